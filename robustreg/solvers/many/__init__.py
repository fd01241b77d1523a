"""Fits of one kind by the hundred, which share rows and what a step costs in Python."""
