"""
Steps of one size: the absolute loss never settles
==================================================

Gradient descent with a step that stays the same. The gradient of the absolute loss is
as large next to its minimum as far away, so the params go to and fro across it, unless
the steps shrink. That of smooth L1 falls to 0, and the params settle. Here both are
solved to a certified gap instead, and no step has to be chosen.
"""

import matplotlib.pyplot as plt
import numpy as np

from robustreg import RobustRegressor
from robustreg.losses import make_loss

rng = np.random.default_rng(0)
X = np.column_stack([rng.normal(size=100), np.ones(100)])
y = X @ [2.0, 1.0] + rng.standard_t(2, size=100)


fits = {
    name: RobustRegressor(name, scale=1.0, tol=1e-10).fit(X[:, :1], y)
    for name in ("l2", "l1", "smooth_l1")
}
for name, fit in fits.items():
    print(f"{name:>10}: our solver, {fit.n_iter_} iterations, gap {fit.dual_gap_:.1e}")


def descend(name, step_of, steps=300):
    """Return how far the objective of each step lies above its minimum."""
    loss, params, values = make_loss(name, beta=1.0), np.zeros(2), []
    for step in range(steps):
        residual = y - X @ params
        values.append(loss.value(residual).mean())
        params = params + step_of(step) * X.T @ loss.gradient(residual) / len(y)
    least = loss.value(y - fits[name].predict(X[:, :1])).mean()
    return np.maximum(np.array(values) - least, 1e-16)


ways = {
    "L2, step 0.3": descend("l2", lambda step: 0.3),
    "L1, step 0.3": descend("l1", lambda step: 0.3),
    "L1, step 0.3 / sqrt(k)": descend("l1", lambda step: 0.3 / np.sqrt(step + 1)),
    "smooth L1, step 0.3": descend("smooth_l1", lambda step: 0.3),
}
fig, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
for style, (name, excess) in zip(["--", "-", ":", "-."], ways.items(), strict=True):
    ax.semilogy(excess, style, label=name)
ax.set(xlabel="step", ylabel="objective above its minimum", ylim=(1e-15, 10))
ax.legend()

assert ways["smooth L1, step 0.3"][-1] < 1e-12
assert ways["L1, step 0.3"][-50:].max() > 1e-4
plt.show()
