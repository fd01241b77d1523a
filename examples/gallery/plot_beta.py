"""
Smooth L1 lies between L1 and L2
================================

As ``beta`` falls, smooth L1 tends to the absolute loss; as it grows, every residual
lies within it, and the fit is that of least squares. The loss is divided by beta, which
changes no fit without a penalty.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes

from robustreg import L1Regressor, RobustRegressor, SmoothL1Regressor

X, y = load_diabetes(return_X_y=True)
y = y.copy()
y[::20] *= 10
betas = np.geomspace(1e-2, 1e5, 60)
# The scale is 1: beta is in units of y.
path = [SmoothL1Regressor(beta=beta, scale=1.0).fit(X, y).coef_ for beta in betas]
l1, l2 = L1Regressor().fit(X, y).coef_, RobustRegressor("l2").fit(X, y).coef_
to_l1, to_l2 = (
    np.linalg.norm(path - end, axis=1) / np.linalg.norm(end) for end in (l1, l2)
)

fig, ax = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
ax.loglog(betas, np.maximum(to_l1, 1e-6), "-", label="from the L1 fit")
ax.loglog(betas, np.maximum(to_l2, 1e-6), "--", label="from the L2 fit")
ax.axvline(
    RobustRegressor().fit(X, y).scale_, color="0.5", ls=":", label="MAD of the fit"
)
ax.set(xlabel="beta, in units of y", ylabel="relative distance of coefficients")
ax.legend()

assert to_l1[0] < 1e-2
np.testing.assert_allclose(path[-1], l2, rtol=1e-6)
plt.show()
