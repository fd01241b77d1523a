"""
No gradient past a threshold
============================

``talwar`` is least squares within a threshold and constant beyond: rows far out have no
gradient, so they have no say, and nothing tells a fit that it is lost. Smooth L1 has a
gradient of 1 there: it always finds its way back, and lets every outlier pull a little.
"""

import matplotlib.pyplot as plt
import numpy as np

from robustreg import RobustRegressor
from robustreg.losses import make_loss

rng = np.random.default_rng(1)
y = np.concatenate([rng.normal(size=80), rng.normal(12, 1, size=20)])
X = np.zeros((100, 1))
where = np.linspace(-6, 20, 1001)
residual = y[:, None] - where

fig, axes = plt.subplots(2, 1, figsize=(6.4, 5), sharex=True, layout="constrained")
axes[0].hist(y, bins=50, color="0.7")
axes[0].set_ylabel("rows")
answers, valleys = {}, {}
for style, (name, beta) in {"-": ("smooth_l1", 1.0), "--": ("talwar", 3.0)}.items():
    value = make_loss(name, beta=beta).value(residual).mean(axis=0)
    answers[name] = RobustRegressor(name, beta=beta, scale=1.0).fit(X, y).intercept_
    inner = value[1:-1]
    valleys[name] = np.sum((inner < value[:-2]) & (inner < value[2:]))
    line = axes[1].plot(where, value / value.max(), style, label=name)[0]
    axes[1].axvline(answers[name], color=line.get_color(), ls=style, lw=1)
axes[1].set(xlabel="fitted constant", ylabel="objective, largest 1")
axes[1].legend()

for name, answer in answers.items():
    print(f"{name:>10}: {answer:5.2f}, {valleys[name]} valleys")
# One valley, pulled towards the outliers; several, and a flat top between them.
assert valleys["smooth_l1"] == 1 < valleys["talwar"]
near = np.abs(y - answers["talwar"]) <= 3.0
np.testing.assert_allclose(answers["talwar"], y[near].mean())
assert abs(answers["talwar"]) < 0.2 < answers["smooth_l1"]
plt.show()
