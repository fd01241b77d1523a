"""
Bounding boxes: four targets at once
====================================

Corners of boxes are predicted from features, and one box in ten is mislabelled: that is
what smooth L1 became known for. A target of four columns is four fits in one call.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle
from sklearn.linear_model import LinearRegression

from robustreg import SmoothL1Regressor

rng = np.random.default_rng(0)
features = rng.normal(size=(600, 8))
center = features @ rng.normal(size=(8, 2)) + 10
half = np.exp(0.2 * features[:, :2]) + 1
boxes = np.hstack([center - half, center + half]) + rng.normal(scale=0.1, size=(600, 4))
wrong = np.flatnonzero(rng.random(600) < 0.1)
labels = boxes.copy()
labels[wrong] = boxes[rng.permutation(600)[: len(wrong)]] + 8


def overlap(first, second):
    """Return the intersection over union of boxes (left, bottom, right, top)."""
    low = np.maximum(first[:, :2], second[:, :2])
    high = np.minimum(first[:, 2:], second[:, 2:])
    both = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = [np.prod(each[:, 2:] - each[:, :2], axis=1) for each in (first, second)]
    return both / (areas[0] + areas[1] - both)


def frame(ax, box, **style):
    """Draw a box."""
    ax.add_patch(Rectangle(box[:2], *(box[2:] - box[:2]), **style))


models = {"least squares": LinearRegression(), "smooth L1": SmoothL1Regressor()}
fig, axes = plt.subplots(1, 2, figsize=(8, 4), sharey=True, layout="constrained")
mean = {}
for ax, color, (name, model) in zip(axes, ["C3", "C0"], models.items(), strict=True):
    predicted = model.fit(features[:400], labels[:400]).predict(features[400:])
    mean[name] = overlap(predicted, boxes[400:]).mean()
    for true, box in zip(boxes[400:403], predicted[:3], strict=True):
        frame(ax, true, fc="0.5", ec="0.5", alpha=0.3)
        frame(ax, box, fill=False, ec=color, lw=2)
    ax.autoscale_view()
    ax.set(title=f"{name}: mean overlap {mean[name]:.2f}", xlabel="x")
axes[0].set_ylabel("y")

assert models["smooth L1"].coef_.shape == (4, 8)
assert mean["smooth L1"] > mean["least squares"] + 0.1
plt.show()
