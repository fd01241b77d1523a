"""Regression that survives up to half of the rows being wrong, in X as well."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, final

from numpy.random import RandomState
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed

from robustreg.breakdown import Search, fit_mm, fit_mm_whole
from robustreg.estimators.base import FitEach, RobustLinearModel
from robustreg.estimators.messages import Collapse
from robustreg.losses import Loss, Tukey
from robustreg.partitions import FitOne
from robustreg.rows import Array, Rows, Standard
from robustreg.validation import (
    MM_CONSTRAINTS,
    check_mm_data,
    check_mm_params,
)


@final
class MMRegressor(RobustLinearModel):
    r"""MM-regression: 50 % breakdown and 95 % efficiency.

    With :math:`r = y - X c - b`, the S-estimate [1]_ is the fit with the smallest scale
    s that solves

    .. math::

        \sum_i w_i \, \rho(r_i / s)
        = \text{breakdown} \cdot \Bigl( \sum_i w_i - \text{rank} \Bigr)

    where :math:`\rho` is Tukey's loss, rising from 0 to 1. The M-step starts there and
    goes down to the next local minimum, over c and b, of

    .. math::

        \frac{\sum_i w_i \, \text{loss}(r_i / s)}{\sum_i w_i}
        + \alpha \, \text{penalty}(c / s)

    where loss is Tukey's with the constant for the efficiency [2]_. Rows that are far
    from the fit have no weight at all, whether y or X is wrong in them, and up to half
    of the rows may be.

    Parameters
    ----------
    efficiency : float, default=0.95
        Efficiency at Gaussian errors, relative to least squares, below 1 and at least
        that of the S-estimate: 0.287 at a breakdown of 0.5. The higher it is, the more
        moderate outliers bias the fit.
    breakdown : float, default=0.5
        Share of rows that may be wrong, in (0, 0.5]. Less of it makes the S-estimate
        more efficient.
    n_subsets : int, default=500
        How many random subsets of rows start the search, from 0 to ten million. Time
        grows in proportion, a minute or two for a million subsets of 300 rows, and
        memory does not. One of them at least must have about no wrong row: with a share
        e of wrong rows and p coefficients, intercept included, one in
        :math:`(1 - e)^{-p}` has none. With 0 the search starts from rows that are
        central in X, and chance has no part in it; the notes say what is gained and
        what is lost.
    n_jobs : int or None, default=None
        How many threads refine what the subsets lead to, or whatever a
        `joblib.parallel_config` says; None is 1 and -1 all processors. The fit does not
        depend on it. It helps where a search takes seconds: with many subsets or
        columns.
    random_state : int, RandomState instance or None, default=0
        Where the subsets come from. Other than in scikit-learn's estimators the
        default is a number, so that a fit can be repeated; None draws new ones.
    penalty : {"l1", "l2", "elasticnet"} or None, default=None
        :math:`\sum_j \lvert c_j \rvert`, :math:`\sum_j c_j^2 / 2`, or their mixture by
        ``l1_ratio``, in the M-step [3]_. The S-estimate is not penalised, and thus
        needs more rows than coefficients.
    alpha : float, default=0.0
        Strength of the penalty, at least 0. A penalty without alpha and alpha without
        a penalty have no effect, of which a `NoEffectWarning` tells.
    l1_ratio : float, default=0.5
        Share of l1 in the elastic net, in [0, 1].
    fit_intercept : bool, default=True
        Whether to fit an intercept, which is never penalised.
    solver : str, default="auto"
        Of the M-step: ``"majorised-newton"``, or ``"auto"``, which picks it.
    tol : float, default=1e-10
        Positive. The M-step is done when the optimality condition is violated by at
        most ``tol`` of its terms, or as little as rounding errors allow.
    max_iter : int, default=500
        Largest number of iterations of the M-step, at least 1.
    outlier_threshold : float, default=3.0
        Positive: `outliers_` are the rows whose absolute residual exceeds so many
        ``residual_scale_``. It does not change the fit.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
        Coefficients, of the dtype of X; float64 after a fit by passes.
    intercept_ : float or ndarray of shape (n_targets,)
        Intercept, 0 if none is fitted.
    scale_ : float or ndarray of shape (n_targets,)
        The S-scale, in units of y; consistent for the standard deviation of Gaussian
        errors.
    s_coef_, s_intercept_ : ndarray or float
        The S-estimate, of the shapes of `coef_` and `intercept_`, in float64.
    beta_, s_beta_ : float
        The constants of Tukey's loss for the M-step and for the S-estimate, by
        default 4.685 and 1.548.
    weights_ : ndarray or dask Array of shape (n_samples,) or (n_samples, n_targets)
        :math:`\text{loss}'(r) / r`, in [0, 1]: how much each row counts in the M-step.
        Lazy if X is a dask collection, as `outliers_` is.
    residual_scale_ : float or ndarray of shape (n_targets,)
        `scale_`; positive and as small as rounding errors if that is 0.
    outliers_ : ndarray or dask Array of bool, of the shape of y
        Rows whose absolute residual exceeds ``outlier_threshold * residual_scale_``.
        Rows of weight 0 are flagged by the same rule. A lazy array of a dask collection
        is no part of copies and pickles.
    stationarity_ : float or ndarray of shape (n_targets,)
        By which share of its terms the optimality condition of the M-step is
        violated.
    dual_gap_ : float or ndarray of shape (n_targets,)
        nan: the loss is not convex.
    n_iter_ : int
        Iterations of the M-step, the largest of all targets. For rows that are
        elsewhere, readings of all of them.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, if X has any.

    Raises
    ------
    ValueError
        From `fit`, for X with 2000 columns or more, for weights that do not count
        rows, and for ``alpha > 0`` where the S-scale is 0, as it is with as many
        coefficients as rows.

    Notes
    -----
    ``sample_weight`` must count rows: the S-scale depends on how many there are.

    The smallest scale is looked for from ``n_subsets`` subsets, and from least squares
    and L1 fits of all rows and of halves that are central in X, refined as in fast-S
    [4]_; subsets are drawn so that columns of dummies do no harm [5]_. It may be
    missed: with many columns and wrong rows raise ``n_subsets``. Of more rows than
    4000, or 20 for each coefficient, a sample of half as many finds the candidates, and
    all rows refine them. The subsets do not depend on the order of the rows. Of rows
    that are elsewhere a sample finds the valley, which all rows are then fitted in.

    With ``n_subsets=0`` the S-estimate is the best local minimum that least squares
    and L1 fits of two central halves lead to, after [6]_ and [7]_: the half that is
    nearest to the medians of the columns, and the half that is nearest along the
    principal axes of their robust correlation. Its scale may be larger than the
    smallest, on purpose. Where rows that are far out in X can be fitted at little
    cost, the smallest scale follows them, and this fit does not. There are two prices.
    Units and offsets of columns make no difference, but linear combinations of columns
    do, so that the fit is not affine equivariant. And wrong rows that are not far from
    the medians may make up most of a half, be they fewer than ``breakdown``, and carry
    the fit beyond all bounds.

    S-estimates may tie: where all rows of a small group with a dummy of its own are
    rejected but one, it may be any of them. Of those that tie, the first 64, the one
    counts from which the M-step comes lowest.

    If more than half of the rows lie on one plane, that plane is the fit, its scale is
    0, and a `ScaleCollapseWarning` says so.

    References
    ----------
    .. [1] Rousseeuw, P. J., Yohai, V. J. (1984). Robust regression by means of
       S-estimators. Lecture Notes in Statistics 26, 256-272. Springer.
    .. [2] Yohai, V. J. (1987). High breakdown-point and high efficiency robust
       estimates for regression. Annals of Statistics 15, 642-656.
    .. [3] Smucler, E., Yohai, V. J. (2017). Robust and sparse estimators for linear
       regression models. Computational Statistics & Data Analysis 111, 116-130.
    .. [4] Salibian-Barrera, M., Yohai, V. J. (2006). A fast algorithm for S-regression
       estimates. Journal of Computational and Graphical Statistics 15, 414-427.
    .. [5] Koller, M., Stahel, W. A. (2017). Nonsingular subsampling for regression
       S estimators with categorical predictors. Computational Statistics 32, 631-646.
    .. [6] Hubert, M., Rousseeuw, P. J., Verdonck, T. (2012). A deterministic algorithm
       for robust location and scatter. Journal of Computational and Graphical
       Statistics 21, 618-637.
    .. [7] Hubert, M., Rousseeuw, P. J., Vanpaemel, D., Verdonck, T. (2015). The DetS
       and DetMM estimators for multivariate location and scatter. Computational
       Statistics & Data Analysis 81, 64-75.

    Examples
    --------
    >>> import numpy as np
    >>> from robustreg import MMRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 2))
    >>> y = X @ [1.0, -2.0] + 0.1 * rng.normal(size=200)
    >>> X[:80], y[:80] = 100.0, 1e4
    >>> model = MMRegressor().fit(X, y)
    >>> model.coef_.round(1)
    array([ 1., -2.])
    >>> int((model.weights_ == 0).sum())
    80
    """

    _parameter_constraints: dict[str, list[Any]] = MM_CONSTRAINTS
    starts_from_s = True

    def __init__(
        self,
        *,
        efficiency: float = 0.95,
        breakdown: float = 0.5,
        n_subsets: int = 500,
        n_jobs: int | None = None,
        random_state: int | RandomState | None = 0,
        penalty: str | None = None,
        alpha: float = 0.0,
        l1_ratio: float = 0.5,
        fit_intercept: bool = True,
        solver: str = "auto",
        tol: float = 1e-10,
        max_iter: int = 500,
        outlier_threshold: float = 3.0,
    ) -> None:
        self.efficiency = efficiency
        self.breakdown = breakdown
        self.n_subsets = n_subsets
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.outlier_threshold = outlier_threshold

    def _checked_loss(self) -> Loss:
        """Check the parameters and return the M-step's loss."""
        self.s_beta_, self.beta_ = check_mm_params(self)
        return Tukey(self.beta_)

    def _check_weight(self, standard: Standard, weight: Array) -> None:
        """Refuse what subsets of rows cannot find, and weights that count no rows."""
        check_mm_data(standard.unit.size + 1, weight)

    def _fit_of_each(self, rows: Rows, n_targets: int) -> FitEach:
        """Return what fits the problems of all targets, from the same random numbers.

        So that a target's fit does not depend on the others.
        """
        search = self._search()
        return lambda problems: [fit_mm(problem, search) for problem in problems]

    def _fit_of_whole(self) -> FitOne:
        """Return what fits a target whose rows are elsewhere, as `_fit_of_each`."""
        return partial(fit_mm_whole, search=self._search())

    def _each(
        self, function: Callable[[Any], Any], portions: Sequence[Any]
    ) -> list[Any]:
        """Return what a function makes of each portion, by ``n_jobs`` processors."""
        # What takes time are products of matrices, which threads make side by side.
        shared = Parallel(n_jobs=self.n_jobs, prefer="threads")
        return list(shared(delayed(function)(portion) for portion in portions))

    def _search(self) -> Search:
        """Return how the S-estimate is looked for, of each target from one seed."""
        return Search(
            constant=self.s_beta_,
            breakdown=self.breakdown,
            n_subsets=self.n_subsets,
            seed=int(check_random_state(self.random_state).randint(2**31 - 1)),
            each=self._each,
        )

    @property
    def _asked_scale(self) -> float:
        """Any number: the scale is that of the S-estimate."""
        return 1.0

    def _told(self) -> str:
        """Return the estimator with what tells it from others of a search."""
        shown = f"efficiency={self.efficiency!r}, breakdown={self.breakdown!r}"
        return f"MMRegressor({shown})"

    def _collapse(self) -> Collapse:
        """Return how a collapsed scale is spoken of."""
        return Collapse(
            name="The S-scale",
            fit="least squares on those rows",
            tied="Use RobustRegressor with a number as scale, in units of y.",
            wide="Drop columns, or use RobustRegressor with a penalty.",
            exact="If they are meant to be exact, nothing is wrong.",
            small="Lower alpha, or drop columns.",
        )
