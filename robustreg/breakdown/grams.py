"""Gram matrices of one design under the weights of many candidates."""

from __future__ import annotations

import numpy as np

from robustreg.breakdown.cloud import Cloud
from robustreg.rows import Array

# Candidates whose Gram matrices cost less one by one than the products of columns.
FEW = 8


def gram_matrices(cloud: Cloud, pull: Array) -> Array:
    """Return ``design.T @ diag(w) @ design`` for each row w of weights.

    Those of many are one matrix product, with the products of pairs of columns.

    Parameters
    ----------
    cloud : Cloud
        With the design.
    pull : ndarray of shape (n_candidates, n_rows)
        The weights.

    Returns
    -------
    ndarray of shape (n_candidates, n_columns, n_columns)
    """
    design, n_columns = cloud.design, cloud.design.shape[1]
    gram = np.empty((len(pull), n_columns, n_columns))
    if len(pull) <= FEW:
        for one, weight in zip(gram, pull, strict=True):
            np.matmul(design.T * weight, design, out=one)
        return gram
    upper = np.triu_indices(n_columns)
    sums = np.zeros((len(pull), upper[0].size))
    for place, products in cloud.products():
        sums += pull[:, place] @ products
    gram[:, upper[0], upper[1]] = sums
    gram[:, upper[1], upper[0]] = sums
    return gram
