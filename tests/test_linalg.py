"""Factorisations of matrices that have lost their rank, or were never definite."""

import numpy as np
import pytest

from robustreg.linalg import dependent_solve, factorise

INDEFINITE = ([[1.0, 2.0], [2.0, 1.0]], [[1.0, 0.0], [0.0, -1.0]])


@pytest.mark.parametrize("matrix", INDEFINITE)
def test_an_indefinite_matrix_is_not_one_of_dependent_columns(matrix):
    matrix = np.array(matrix)
    assert dependent_solve(matrix, np.ones(2)) is None
    assert factorise(matrix).rcond == 0.0


def test_dependent_columns_of_any_size_are_solved():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(9, 5)) @ np.diag([1e-6, 1.0, 1e5, 0.0, 3.0])
    root = np.column_stack([root, root[:, 0], root[:, 1:3] @ [1.0, 2.0]])
    matrix, right = root.T @ root, root.T @ rng.normal(size=9)
    solution = dependent_solve(matrix, right)
    size = np.sqrt(matrix.diagonal())
    assert (np.abs(matrix @ solution - right) <= 1e-12 * size * 10).all()
