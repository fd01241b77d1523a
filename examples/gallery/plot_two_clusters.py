"""
Nine targets in ten are one value
=================================

90 % of the targets are 150 and the others lie between 0 and 30. The absolute loss says
150 for every row: that is the median, and it is exact. It is of no use to whom a total
matters, or the tail. The mean lies where no target is. Say what is asked for: a
quantile for the tail, and a model of which rows are low.
"""

import matplotlib.pyplot as plt
import numpy as np

from robustreg import L1Regressor, RobustRegressor

rng = np.random.default_rng(5)
x = rng.uniform(0, 1, 1000)
# Low targets are likelier where x is large.
low = rng.uniform(size=1000) < 0.2 * x
y = np.where(low, rng.uniform(0, 30, 1000), 150.0)
X = x[:, None]

fits = {
    "L1": L1Regressor(),
    "L2": RobustRegressor("l2"),
    "log-cosh, beta = 40": RobustRegressor("log_cosh", beta=40.0, scale=1.0),
    "quantile 0.05": L1Regressor(quantile=0.05),
}
grid = np.linspace(0, 1, 50)[:, None]
fig, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
ax.plot(x, y, ".", color="0.7", ms=3)
for style, (name, model) in zip(["-", "--", "-.", ":"], fits.items(), strict=True):
    ax.plot(grid, model.fit(X, y).predict(grid), style, lw=2, label=name)
ax.set(xlabel="x", ylabel="y", title=f"{np.mean(~low):.0%} of the targets are 150")
ax.legend(loc="center left")

# The median is 150 in every row.
np.testing.assert_allclose(fits["L1"].predict(X), 150.0)
# Of sums only least squares knows: its residuals add up to 0.
np.testing.assert_allclose(fits["L2"].predict(X).sum(), y.sum())
assert fits["L1"].predict(X).sum() > 1.05 * y.sum()
# One row in twenty lies below the quantile.
assert abs(np.mean(y < fits["quantile 0.05"].predict(X) - 1e-9) - 0.05) < 0.01
plt.show()
