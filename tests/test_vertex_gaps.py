"""Certificates of many vertices by arrays are those of each by itself."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from robustreg.certificate import duality_gap
from robustreg.losses import make_loss
from robustreg.objective import Objective
from robustreg.paths.null_fit import null_fit
from robustreg.paths.vertex_gaps import vertex_gaps
from robustreg.paths.vertices import Vertex
from robustreg.penalties import ElasticNet
from robustreg.rows import make_rows

SHARES = np.array([0.5, 0.1, 0.02])


@pytest.fixture(params=[0.5, 0.9])
def vertices(request):
    """Return an objective, l1 parts, and the vertices and slopes optimal for them."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 5)) + np.arange(5)
    y = X[:, 0] + rng.standard_t(2, size=80)
    weight = rng.uniform(0.5, 2, 80)
    rows = make_rows(X, weight, True)
    penalty = ElasticNet(rows.standard.unit, np.zeros(5))
    loss = make_loss("l1", 1.0, request.param)
    objective = Objective(rows, y, weight / weight.sum(), loss, penalty)
    null = null_fit(objective, 1e-10, 100)
    walk = Vertex(objective, null.point.params)
    l1 = np.append(rows.standard.unit, 0.0) * null.strength * SHARES[:, None]
    fits = [walk.fit(one, 100) for one in l1]
    params, slopes = (
        [vars(fit)[name] for fit in fits] for name in ("params", "slopes")
    )
    return objective, l1, np.array(params), np.array(slopes)


def one_by_one(objective, l1, params, slopes):
    """Return the gaps that `duality_gap` has."""
    likes = [objective.with_penalty(ElasticNet(one[:-1], 0 * one[:-1])) for one in l1]
    return [
        duality_gap(like, like.evaluate(p), d)
        for like, p, d in zip(likes, params, slopes, strict=True)
    ]


def test_gaps_of_optima_are_rounding_errors(vertices):
    gaps = vertex_gaps(*vertices, 1e-10)
    assert (gaps <= 1e-14).all()
    assert_allclose(gaps, one_by_one(*vertices), atol=1e-14)


def test_gaps_near_optima(vertices):
    objective, l1, params, slopes = vertices
    near = params * (1 + 1e-4)
    expected = one_by_one(objective, l1, near, slopes)
    assert min(expected) > 1e-8
    assert_allclose(vertex_gaps(objective, l1, near, slopes, 1.0), expected, rtol=1e-9)
    assert np.isinf(vertex_gaps(objective, l1, near, slopes, 1e-10)).all()


def test_slopes_that_are_not_feasible_certify_nothing(vertices):
    objective, l1, params, slopes = vertices
    assert np.isinf(vertex_gaps(objective, l1, params, 0.99 * slopes, 1.0)).all()
    assert np.isinf(vertex_gaps(objective, 0.9 * l1, params, slopes, 1.0)).all()
