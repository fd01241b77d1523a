"""
The same losses in PyTorch
==========================

Value and gradient of ``SmoothL1Loss``, ``HuberLoss`` and ``L1Loss`` are those of the
losses here. PyTorch is optional: without it the formulas of its documentation stand in.
"""

import matplotlib.pyplot as plt
import numpy as np

from robustreg.losses import make_loss

try:
    import torch
except ImportError:
    torch = None

residual, beta = np.linspace(-3, 3, 601), 0.7


def of_torch(name):
    """Return value and gradient of a loss of PyTorch, by its own differentiation."""
    r = torch.tensor(residual, requires_grad=True)
    options = {"smooth_l1": {"beta": beta}, "huber": {"delta": beta}, "l1": {}}[name]
    loss = getattr(torch.nn.functional, f"{name}_loss")
    value = loss(r, torch.zeros_like(r), reduction="none", **options)
    value.sum().backward()
    return value.detach().numpy(), r.grad.numpy()


def of_its_manual(name):
    """Return the same by the formulas of PyTorch's documentation."""
    size, sign = np.abs(residual), np.sign(residual)
    if name == "l1":
        return size, sign
    near, factor = size < beta, 1.0 if name == "huber" else 1 / beta
    value = np.where(near, residual**2 / 2, beta * (size - beta / 2))
    return factor * value, factor * np.where(near, residual, beta * sign)


fig, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
for style, name in zip(["-", "--", ":"], ["smooth_l1", "huber", "l1"], strict=True):
    theirs = of_its_manual(name) if torch is None else of_torch(name)
    loss = make_loss(name, beta=None if name == "l1" else beta)
    ours = loss.value(residual), loss.gradient(residual)
    for ax, curve, expected in zip(axes, ours, theirs, strict=True):
        np.testing.assert_allclose(curve, expected, rtol=0, atol=1e-12)
        ax.plot(residual, curve, style, label=name)
axes[0].set(xlabel="residual", ylabel="loss", title=f"beta = {beta}")
axes[1].set(xlabel="residual", ylabel="gradient")
axes[1].legend()
plt.show()
