"""
The L1 fit jumps when one point moves a little
==============================================

A line with the least absolute residuals passes through two points. When another one
moves sideways, the line stays, until two other points do as well: then many lines are
best, and next to that place the answer is at the one end of them or at the other. Least
squares and smooth L1 move with the data, by as little as it moved.
"""

import matplotlib.pyplot as plt
import numpy as np

from robustreg import L1Regressor, RobustRegressor, SmoothL1Regressor

x = np.array([1.2, 3.5, 1.0, 0.8, 3.4, 0.6])
y = np.array([1.2, 0.6, 2.1, 3.7, 2.1, 1.1])
moves = np.linspace(-0.5, 0.5, 101)
models = {
    "L1": L1Regressor(),
    "L2": RobustRegressor("l2"),
    "smooth L1, beta = 1": SmoothL1Regressor(scale=1.0),
}


def slope(model, move):
    """Return the slope of the line when the first point has moved sideways."""
    moved = x + move * (np.arange(6) == 0)
    return model.fit(moved[:, None], y).coef_[0]


fig, ax = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
jumps = {}
for style, (name, model) in zip(["-", "--", "-."], models.items(), strict=True):
    slopes = np.array([slope(model, move) for move in moves])
    jumps[name] = np.abs(np.diff(slopes)).max()
    ax.plot(moves, slopes, style, lw=2, label=name)
ax.set(xlabel="how far the first point has moved", ylabel="slope of the line")
ax.legend()

for name, jump in jumps.items():
    print(f"{name:>20}: the slope moves by up to {jump:.3f}")
assert jumps["L1"] > 0.5
assert max(jumps["L2"], jumps["smooth L1, beta = 1"]) < 0.01
plt.show()
