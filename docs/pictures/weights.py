"""A weight of 2 is the row twice; and the weights that a fit gives.

python docs/pictures/weights.py
"""

import numpy as np
from style import BLUE, INK, VERMILION, panels, save

from robustreg import RobustRegressor


def main() -> None:
    """Draw a panel of weights that are given and one of weights that are found."""
    rng = np.random.default_rng(2)
    x = np.linspace(0, 10, 24)
    y = 2 + 0.5 * x + rng.normal(size=24)
    y[[3, 17, 20]] += [7, -5, 6]
    count = np.arange(24) % 3
    X, ends = x[:, None], np.array([[0.0], [10.0]])
    figure, (given, found) = panels(2, sharey=True)
    weighted = RobustRegressor().fit(X, y, sample_weight=count)
    repeated = RobustRegressor().fit(np.repeat(X, count, axis=0), np.repeat(y, count))
    given.plot(ends, weighted.predict(ends), color=BLUE, lw=5, alpha=0.5)
    given.plot(ends, repeated.predict(ends), "--", color=VERMILION)
    given.scatter(x, y, s=25 * count, color=INK)
    given.scatter(x[count == 0], y[count == 0], marker="x", s=20, color=INK, lw=1)
    given.set(title="weights given: 0, 1, 2", xlabel="x", ylabel="y")
    model = RobustRegressor().fit(X, y)
    found.plot(ends, model.predict(ends), color=BLUE)
    found.scatter(x, y, s=50 * model.weights_, color=INK)
    for row in np.argsort(model.weights_)[:3]:
        label = f"{model.weights_[row]:.2f}"
        found.annotate(label, (x[row], y[row]), (5, -3), textcoords="offset points")
    found.set(title="weights found", xlabel="x")
    save(figure, __file__)


if __name__ == "__main__":
    main()
