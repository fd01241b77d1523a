"""Factorisations of matrices that have lost their rank, or were never definite."""

import numpy as np
import pytest

from robustreg.linalg import Exchanged, Square, dependent_solve, factorise, pivots

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


def test_exchanged_rows_are_solved_both_ways():
    rng = np.random.default_rng(1)
    before, rows, places = rng.normal(size=(7, 7)), rng.normal(size=(2, 7)), [4, 1]
    after, square = before.copy(), Square(before)
    after[places] = rows
    moves = square.solve(np.eye(7)[:, places])
    system, right = Exchanged(square, np.array(places), moves, rows), rng.normal(size=7)
    for transposed, matrix in ((False, after), (True, after.T)):
        solution = system.solve(right, transposed)
        np.testing.assert_allclose(matrix @ solution, right, rtol=0, atol=1e-12)
    dependent = Exchanged(square, np.array([0]), moves[:, :1] * 0, rows[:1])
    assert dependent.rcond == 0


def test_pivots_are_independent_rows_and_the_larger_ones():
    rows = np.random.default_rng(2).normal(size=(9, 4))
    rows[1], rows[6:] = 2 * rows[0], 1e-6 * rows[6:]
    chosen = pivots(rows[[0, 1, 2, 6, 7, 3]])
    assert np.linalg.matrix_rank(rows[[0, 1, 2, 6, 7, 3]][chosen]) == 4
    assert {1, 2, 5} < set(chosen)
