"""Settings that libraries read when they are first imported."""

import os

# scikit-learn skips its array API checks without the first; forked and threaded
# tests share the cores without the second.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
