"""
Ten targets of 1, and one of 1000
=================================

A constant is fitted to eleven numbers. Least squares answers with their mean, which is
that of none of them; what a residual pulls with is bounded for smooth L1, and the
absolute loss only counts how many numbers lie on each side.
"""

import matplotlib.pyplot as plt
import numpy as np

from robustreg import RobustRegressor

y = np.append(np.ones(10), 1000.0)
X = np.zeros((11, 1))
betas = {"l2": None, "smooth_l1": 1.0, "log_cosh": 1.0, "l1": None, "tukey": 4.685}
losses = list(betas)
answers = [
    RobustRegressor(loss, beta=beta, scale=1.0).fit(X, y).intercept_
    for loss, beta in betas.items()
]
for loss, answer in zip(losses, answers, strict=True):
    print(f"{loss:>10}: {answer:.4g}")

np.testing.assert_allclose(answers[0], y.mean())
# Ten pull with (answer - 1) / beta, one with 1: the answer is 1 + beta / 10.
np.testing.assert_allclose(answers[1], 1.1)
np.testing.assert_allclose(answers[3:], 1.0)

fig, ax = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
ax.barh(losses, answers, color="C0")
ax.bar_label(ax.containers[0], fmt="%.4g", padding=3)
ax.axvline(1.0, color="0.5", ls="--", lw=1)
ax.set(xscale="log", xlim=(0.5, 400), xlabel="fitted constant (ten targets are 1)")
ax.invert_yaxis()
plt.show()
