"""Piecewise linear losses: exact methods, and the few rows that they are worth."""
