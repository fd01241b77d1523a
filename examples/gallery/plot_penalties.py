"""
Two columns that say the same: L1, L2 and elastic net penalties
===============================================================

A penalty is about coefficients, a loss is about residuals. Of two columns that are
nearly equal an L1 penalty keeps one, an L2 penalty shares the coefficient out between
them, and an elastic net keeps both and drops the columns that say nothing.
"""

import matplotlib.pyplot as plt
import numpy as np

from robustreg import SmoothL1Regressor

rng = np.random.default_rng(3)
X = rng.normal(size=(200, 6))
X[:, 1] = X[:, 0] + 0.05 * X[:, 1]
y = X[:, 0] + X[:, 1] + rng.standard_t(2, size=200)

settings = {
    "l1": {"penalty": "l1", "alpha": 0.1},
    "l2": {"penalty": "l2", "alpha": 0.1},
    "elastic net": {"penalty": "elasticnet", "alpha": 0.1, "l1_ratio": 0.5},
}
fig, axes = plt.subplots(1, 3, figsize=(9, 3), sharey=True, layout="constrained")
found = {}
for ax, (name, terms) in zip(axes, settings.items(), strict=True):
    found[name] = SmoothL1Regressor(**terms).fit(X, y).coef_
    ax.bar(np.arange(6), found[name], color=["C0", "C1"] + ["0.6"] * 4)
    ax.axhline(0, color="0.5", lw=0.8)
    ax.set(title=name, xlabel="column")
axes[0].set_ylabel("coefficient")

for name, coef in found.items():
    print(name, coef.round(3))
twins = {name: coef[:2] for name, coef in found.items()}
assert np.count_nonzero(twins["l1"]) == 1
assert abs(twins["l2"][0] / twins["l2"][1] - 1) < 0.2
assert np.count_nonzero(twins["elastic net"]) == 2
assert np.count_nonzero(found["l2"]) == 6
assert np.count_nonzero(found["elastic net"][2:]) < 4
plt.show()
