"""Newton's method for SciPy's minimize, on plain functions."""

import inspect

import numpy as np
import pytest
from scipy.optimize import (
    Bounds,
    minimize,
    rosen,
    rosen_der,
    rosen_hess,
    rosen_hess_prod,
)

from robustreg import RobustRegressor
from robustreg.optimize import newton

ROSEN = {"fun": rosen, "jac": rosen_der, "hess": rosen_hess}


def logistic(n_variables, strength):
    """Return a random convex function and its derivatives."""
    rng = np.random.default_rng(n_variables)
    X = rng.normal(size=(200, n_variables)) * rng.choice([-1, 1], size=(200, 1))

    def share(b):
        return 0.5 - 0.5 * np.tanh(X @ b / 2)

    return {
        "fun": lambda b: np.logaddexp(0, -X @ b).mean() + strength * b @ b / 2,
        "jac": lambda b: strength * b - X.T @ share(b) / 200,
        "hess": lambda b: (
            X.T @ ((share(b) * (1 - share(b)))[:, None] * X) / 200
            + strength * np.eye(n_variables)
        ),
    }


def barrier():
    """Return a convex function that is no number for negative variables."""
    return {
        "fun": lambda x: np.sum(x - np.log(x)) if x.min() > 0 else np.nan,
        "jac": lambda x: 1 - 1 / x,
        "hess": lambda x: np.diag(x**-2),
    }


def pseudo_huber_fit():
    """Return the objective of a fit, its derivatives and its params."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 3)), rng.standard_t(1, size=50)
    model = RobustRegressor("pseudo_huber", beta=1.0, scale=1.0, fit_intercept=False)

    def root(c):
        return np.sqrt(1 + (y - X @ c) ** 2)

    functions = {
        "fun": lambda c: (root(c) - 1).mean(),
        "jac": lambda c: -X.T @ ((y - X @ c) / root(c)) / 50,
        "hess": lambda c: X.T @ (root(c)[:, None] ** -3 * X) / 50,
    }
    return functions, model.fit(X, y).coef_


@pytest.mark.parametrize("n_variables", [2, 5, 30])
@pytest.mark.parametrize("far", [0.0, 1.0, 3.0])
def test_rosenbrock(n_variables, far):
    x0 = far * np.random.default_rng(0).normal(size=n_variables)
    result = minimize(**ROSEN, x0=x0, method=newton)
    assert result.success and result.status == 0
    # With five variables and more there is a local minimum near -1 as well.
    x0 = np.where(np.arange(n_variables) == 0, np.sign(result.x[0]), 1.0)
    options = {"gtol": 1e-10}
    other = minimize(**ROSEN, x0=x0, method="trust-exact", options=options)
    np.testing.assert_allclose(result.x, other.x, 0, 1e-8)


@pytest.mark.parametrize("n_variables", [1, 4, 20])
@pytest.mark.parametrize("far", [0.0, 1.0, 100.0])
def test_convex_functions_from_anywhere(n_variables, far):
    functions = logistic(n_variables, 1e-2)
    x0 = far * np.random.default_rng(1).normal(size=n_variables)
    result = minimize(**functions, x0=x0, method=newton, tol=1e-10)
    other = minimize(
        **functions, x0=0 * x0, method="trust-exact", options={"gtol": 1e-12}
    )
    assert result.success and np.abs(result.jac).max() <= 1e-10
    assert result.nit <= 25
    np.testing.assert_allclose(result.x, other.x, 1e-7, 1e-9)
    assert result.fun == functions["fun"](result.x)
    np.testing.assert_array_equal(result.hess, functions["hess"](result.x))


def test_a_quadratic_takes_one_step():
    root = np.random.default_rng(2).normal(size=(6, 6))
    matrix, linear = root.T @ root, np.arange(6.0)
    result = minimize(
        lambda x: x @ matrix @ x / 2 - linear @ x,
        np.full(6, 10.0),
        jac=lambda x: matrix @ x - linear,
        hess=lambda x: matrix,
        method=newton,
    )
    assert result.nit == 1 and result.nhev <= 2
    np.testing.assert_allclose(matrix @ result.x, linear, 0, 1e-8)


def test_a_fit_is_the_minimum_of_its_objective():
    functions, coef = pseudo_huber_fit()
    result = minimize(**functions, x0=np.zeros(3), method=newton, tol=1e-12)
    np.testing.assert_allclose(result.x, coef, 1e-9, 1e-10)


@pytest.mark.parametrize("x0", [1e-6, 1.5, 2.0, 1e5])
def test_steps_stay_where_the_function_has_values(x0):
    """The full step of 2 and more leads to where the gradient is only a formula."""
    with np.errstate(divide="ignore", invalid="ignore"):
        result = minimize(**barrier(), x0=np.full(3, x0), method=newton)
    assert result.success
    np.testing.assert_allclose(result.x, 1.0, 0, 1e-7)


@pytest.mark.parametrize("start", [(0.01, 0.01), (0.01, 3.0), (-0.5, 1.0)])
def test_a_hessian_without_minimum_has_a_way_down(start):
    """From near the top of a cosine, and from near a saddle of two."""
    result = minimize(
        lambda x: np.cos(x).sum(),
        start,
        jac=lambda x: -np.sin(x),
        hess=lambda x: np.diag(-np.cos(x)),
        method=newton,
    )
    assert result.success
    np.testing.assert_allclose(result.fun, -2.0)


def test_products_make_a_hessian():
    x0 = np.array([-1.2, 1.0, 2.0])
    whole = minimize(**ROSEN, x0=x0, method=newton)
    products = {"jac": rosen_der, "hessp": rosen_hess_prod}
    result = minimize(rosen, x0, **products, method=newton)
    np.testing.assert_allclose(result.x, whole.x, 0, 1e-8)


def test_arguments_reach_all_functions():
    result = minimize(
        lambda x, a, b: np.cosh(a * x - b).sum(),
        np.zeros(2),
        args=(2.0, 3.0),
        jac=lambda x, a, b: a * np.sinh(a * x - b),
        hess=lambda x, a, b: np.diag(a * a * np.cosh(a * x - b)),
        method=newton,
    )
    np.testing.assert_allclose(result.x, 1.5)


def test_a_function_with_its_gradient():
    result = minimize(
        lambda x: (rosen(x), rosen_der(x)),
        [-1.2, 1.0],
        jac=True,
        hess=rosen_hess,
        method=newton,
    )
    assert result.success


def test_a_start_at_the_minimum_takes_no_step():
    result = newton(rosen, np.ones(3), jac=rosen_der, hess=rosen_hess)
    assert result.success and result.nit == 0
    np.testing.assert_array_equal(result.x, 1.0)


def test_iterations_end_at_their_limit():
    result = minimize(**ROSEN, x0=[-1.2, 1], method=newton, options={"maxiter": 3})
    assert not result.success and result.nit == 3 and result.status == 1
    assert "limit" in result.message


def test_a_tolerance_below_rounding_errors_is_not_met():
    result = minimize(
        lambda x: np.cosh(x - 1e3 / 3).sum() + 1e-9 * x.sum(),
        np.full(2, 330.0),
        jac=lambda x: np.sinh(x - 1e3 / 3) + 1e-9,
        hess=lambda x: np.diag(np.cosh(x - 1e3 / 3)),
        method=newton,
        tol=0.0,
    )
    assert not result.success and result.status in (1, 2)
    assert np.abs(result.jac).max() <= 1e-12


def test_a_start_without_a_value_fails():
    result = minimize(**barrier(), x0=[-1.0, -1.0], method=newton)
    assert not result.success


def test_callbacks_see_each_step_in_both_of_scipys_ways():
    params, values = [], []
    minimize(**ROSEN, x0=[-1.2, 1.0], method=newton, callback=params.append)

    def callback(intermediate_result):
        values.append(intermediate_result.fun)

    result = minimize(**ROSEN, x0=[-1.2, 1.0], method=newton, callback=callback)
    assert [rosen(x) for x in params] == values and len(values) == result.nit
    np.testing.assert_array_equal(params[-1], result.x)


def test_a_callback_may_end_it():
    def callback(x):
        raise StopIteration

    result = minimize(**ROSEN, x0=[-1.2, 1.0], method=newton, callback=callback)
    assert result.nit == 1 and result.status == 3 and not result.success


def test_functions_may_overwrite_their_argument():
    def fun(x):
        x *= 0
        return 0.0

    def jac(x):
        gradient = x.copy()
        x *= 0
        return gradient

    result = newton(fun, np.ones(2), jac=jac, hess=lambda x: np.eye(2))
    np.testing.assert_array_equal(result.x, 0.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bounds": Bounds(0, 1)}, "no bounds"),
        ({"bounds": [(0, 1), (0, 1)]}, "no bounds"),
        ({"constraints": {"type": "eq", "fun": rosen}}, "no constraints"),
        ({"jac": None}, "needs callables"),
        ({"jac": "2-point"}, "needs callables"),
        ({"hess": None}, "needs callables"),
        ({"hess": "2-point"}, "needs callables"),
        ({"jac": lambda x: np.ones(3)}, r"jac returned shape \(3,\), not \(2,\)"),
        ({"hess": lambda x: np.ones(2)}, r"hess returned shape \(2,\), not \(2, 2\)"),
        ({"fun": lambda x: np.ones(2)}, r"fun returned shape \(2,\), not \(\)"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(ValueError, match=message):
        minimize(**{**ROSEN, "x0": [-1.2, 1.0], "method": newton, **options})


def test_options_of_other_methods_are_refused():
    with pytest.raises(TypeError, match="maxfev"):
        minimize(**ROSEN, x0=[-1.2, 1.0], method=newton, options={"maxfev": 3})


def test_it_takes_what_minimize_hands_to_a_method():
    names = set(inspect.signature(newton).parameters)
    assert names >= {
        *("fun", "x0", "args", "jac", "hess", "hessp", "bounds"),
        *("constraints", "callback", "tol"),
    }
