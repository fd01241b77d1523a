"""
A line, and five outliers among fifty points
============================================

The outliers lie where the line has most leverage. Least squares turns towards them. The
absolute loss and smooth L1 turn less, because each row pulls with at most its ``x``. A
redescending loss gives them no weight at all if it starts close enough, which an
MM-estimate sees to.
"""

import matplotlib.pyplot as plt
import numpy as np

from robustreg import L1Regressor, MMRegressor, RobustRegressor, SmoothL1Regressor

rng = np.random.default_rng(0)
x = np.sort(rng.uniform(0, 10, 50))
y = 1 + 2 * x + rng.normal(size=50)
bad = np.arange(45, 50)
y[bad] = rng.normal(scale=2, size=5)

models = {
    "L2": RobustRegressor("l2"),
    "L1": L1Regressor(),
    "smooth L1": SmoothL1Regressor(),
    "tukey": RobustRegressor("tukey"),
    "MM": MMRegressor(random_state=0),
}
fig, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
ax.plot(x, y, "o", color="0.6", label="rows")
ax.plot(x[bad], y[bad], "o", color="C3", label="outliers")
slopes = {}
for style, (name, model) in zip(
    ["--", "-.", "-", ":", "-"], models.items(), strict=True
):
    model.fit(x[:, None], y)
    slopes[name] = model.coef_[0]
    label = f"{name}: slope {slopes[name]:.2f}"
    ax.plot(x, model.predict(x[:, None]), style, label=label)
ax.set(xlabel="x", ylabel="y", title="True slope 2")
ax.legend()

off = {name: abs(slope - 2) for name, slope in slopes.items()}
assert off["L2"] > 2 * max(off["L1"], off["smooth L1"])
assert off["MM"] < 0.1
# Those rows, and no other, are far from the line.
assert set(np.flatnonzero(models["MM"].outliers_)) == set(bad)
plt.show()
