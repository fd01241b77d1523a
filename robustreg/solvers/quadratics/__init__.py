"""Quadratic problems with an l1 part, each for other digits that are left."""

from robustreg.linalg import EPS

# A slope beyond its l1 part by no more than this share of its terms is beyond by their
# rounding errors: each term and each partial sum has EPS / 2, which mostly cancel.
ROUNDING = 8 * EPS
# Newton steps from one guess of the signs; from near ones it takes two or three.
MOST_STEPS = 100
