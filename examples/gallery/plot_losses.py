"""
Loss curves and their derivatives
=================================

What a residual costs, and what it pulls with. The gradient of least squares grows
without a bound; that of the absolute loss has one and a jump at 0; smooth L1 has the
bound without the jump; of redescending losses it falls to 0 again.
"""

import matplotlib.pyplot as plt
import numpy as np

from robustreg.losses import LOSSES, make_loss

styles = ["-", "--", "-.", ":"]
fig, axes = plt.subplots(2, 2, figsize=(9, 7), layout="constrained")
names = [name for name in LOSSES if name != "quantile"]
for column, reach in zip(axes.T, (2.0, 4.0), strict=True):
    residual = np.linspace(-reach, reach, 801)
    for index, name in enumerate(names):
        loss = make_loss(name, beta=1.0)
        style = {"ls": styles[index % 4], "color": f"C{index % 10}", "label": name}
        column[0].plot(residual, loss.value(residual), **style)
        column[1].plot(residual, loss.gradient(residual), **style)
        if loss.facts.bounded_slope:
            assert np.abs(loss.gradient(residual)).max() <= 1 + reach
    column[0].set(title=f"beta = 1, residuals within {reach:g}", ylabel="loss")
    column[0].set_ylim(0, 4)
    column[1].set(xlabel="residual", ylabel="gradient", ylim=(-2.2, 2.2))
fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right")

# %%
# Where smooth L1 turns is its ``beta``: small ones come close to the absolute loss,
# large ones to the square, divided by beta.

fig, axes = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
residual = np.linspace(-4, 4, 801)
for style, beta in zip(styles, (0.1, 0.5, 1.0, 4.0), strict=True):
    loss = make_loss("smooth_l1", beta=beta)
    gradient = loss.gradient(residual)
    axes[0].plot(residual, loss.value(residual), style, label=f"beta = {beta:g}")
    axes[1].plot(residual, gradient, style, label=f"beta = {beta:g}")
    # The gradient is the residual over beta, clipped to 1.
    np.testing.assert_allclose(gradient, np.clip(residual / beta, -1, 1))
axes[0].set(xlabel="residual", ylabel="smooth L1 loss")
axes[1].set(xlabel="residual", ylabel="gradient")
axes[1].legend()
plt.show()
