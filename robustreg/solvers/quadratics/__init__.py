"""Quadratic problems with an l1 part, each for other digits that are left."""
