"""Robust regression that chooses its loss and its penalty by cross-validation."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import partial
from typing import Any, Self, final

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import check_cv
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.parallel import Parallel

from robustreg.choosing.candidates import (
    N_ALPHAS,
    Combination,
    asks_in_vain,
    combinations_of,
    listed,
)
from robustreg.choosing.folds import Fold, Options, Scores
from robustreg.choosing.judging import judged
from robustreg.choosing.results import Results, gathered
from robustreg.choosing.scores import scores_by
from robustreg.choosing.strengths import strengths_for
from robustreg.estimators import messages
from robustreg.estimators.arrays import problem_on
from robustreg.estimators.base import NoEffectWarning
from robustreg.estimators.predictor import LinearPredictor
from robustreg.estimators.robust import RobustRegressor
from robustreg.linalg import EPS
from robustreg.losses import Loss, make_loss
from robustreg.rows import Array, Rows, make_rows, present, taken
from robustreg.validation import (
    CHOOSING_CONSTRAINTS,
    SHARED,
    Callbacks,
    check_choosing_data,
    check_choosing_params,
    check_fit_data,
    check_split_params,
    checked_splits,
    unchanged_on_error,
    watched,
)


@final
class RobustRegressorCV(LinearPredictor):
    r"""`RobustRegressor` with its loss and penalty chosen by cross-validation.

    Each candidate, a combination of a loss, a breakpoint, a penalty and a strength,
    minimises on the training rows of each fold what `RobustRegressor` minimises,

    .. math::

        \frac{\sum_i w_i \, \text{loss}(r_i / s)}{\sum_i w_i}
        + \alpha \, \text{penalty}(c / s),

    and is scored on the other rows. The one with the highest mean score is fitted to
    all rows. `sklearn.linear_model.LassoCV` with losses to choose from, and a score
    that outliers cannot own. Scores are those of a `GridSearchCV` over the same
    candidates, to about 1e-6 of themselves at the default ``tol``; folds share what
    their fits have in common.

    Parameters
    ----------
    loss : str, Loss or list of them, default="smooth_l1"
        As for `RobustRegressor`, here and below; a list holds candidates.
    beta : float, None or list of them, default=None
        Breakpoint of the loss in units of the scale.
    quantile : float or list of floats, default=0.5
        Tilt of the loss. Scores of different quantiles do not compare.
    penalty : {"l1", "l2", "elasticnet"}, None or list of them, default="l1"
        None is fitted once, without a strength.
    l1_ratio : float or list of floats, default=0.5
        Share of l1 in the elastic net.
    alphas : int or array-like of shape (n_alphas,), default=100
        Strengths of the penalty. Without one they have no effect, and others than the
        default warn so. Of a number of them each combination has its own,
        found from all rows, evenly spaced in their logarithm. With an l1 part they
        start at the smallest that makes all coefficients 0, as those of `LassoCV` do.
        With l2 alone they start where what columns explain is halved in the direction
        in which they vary most: at the largest eigenvalue of their covariance times
        the median of :math:`\lvert \text{loss}'(r) \rvert` over that of
        :math:`\lvert r \rvert`, without columns.
    eps : float, default=1e-3
        Smallest alpha over the largest, in (0, 1); ignored if ``alphas`` are given.
    scale : float or {"mad", "proposal2"}, default="mad"
        Scale of the residuals, of each fit its own.
    cv : int, cross-validation generator or iterable, default=None
        As for scikit-learn's searches. None is 5 folds of neighbouring rows: if they
        are sorted, pass ``KFold(5, shuffle=True, random_state=0)``.
    scoring : str, callable or None, default=None
        The name of one of scikit-learn's scorers, or a scorer, such as those of
        `robustreg.metrics`: a callable of an estimator, X, y and, if weights are given,
        ``sample_weight``. None is `robustreg.metrics.neg_tau_scale`, the robust
        counterpart of minus the root mean squared error, and where ``quantile`` is not
        0.5 minus the mean pinball loss. Both are in units of y for any loss.
    selection : {"best", "1se"}, default="best"
        ``"1se"`` takes the fewest coefficients, and of as few the largest alpha, among
        the candidates within one standard error of the best [1]_.
    n_jobs : int or None, default=None
        Folds that are fitted at the same time, in processes.
    verbose : int or bool, default=False
        As in `sklearn.linear_model.LassoCV`: how often joblib prints how many folds
        are done. Callbacks tell more: of each candidate of each fold.
    fit_intercept : bool, default=True
        Whether to fit an intercept, which is never penalised.
    tol : float, default=1e-10
        Positive; the relative gap at which a fit is done.
    max_iter : int, default=500
        Largest number of iterations of each fit, at least 1.
    outlier_threshold : float, default=3.0
        Positive: `outliers_` are the rows whose absolute residual exceeds so many
        ``residual_scale_``.

    Attributes
    ----------
    alpha_, loss_, beta_, quantile_, penalty_, l1_ratio_
        What was chosen.
    best_params_ : dict
        The same, by the names of `RobustRegressor`'s parameters.
    best_score_ : float
        Mean score of what was chosen.
    best_index_ : int
        Its place in ``cv_results_``.
    index_1se_ : int
        The place there of what ``selection="1se"`` chooses, whatever was asked for.
    best_estimator_ : RobustRegressor
        What was chosen, fitted to all rows; for `robustreg.inference` and displays.
    cv_results_ : dict of ndarrays
        As that of `sklearn.model_selection.GridSearchCV`.
    n_splits_ : int
        Number of folds.
    coef_, intercept_, scale_, dual_gap_, stationarity_, n_iter_
        Of ``best_estimator_``, as `RobustRegressor` has them.
    weights_, residual_scale_, outliers_
        The same.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, if X has any.

    Notes
    -----
    Candidates whose parameters differ only in what their loss or penalty ignores are
    fitted once. Fits of smooth convex losses are made at once where that is possible,
    others of convex losses start at those that are most like them; those of
    redescending losses have a start of their own, as in `RobustRegressor`.

    References
    ----------
    .. [1] Breiman, L. et al. (1984). Classification and Regression Trees, section
       3.4.3. Wadsworth.

    Examples
    --------
    >>> import numpy as np
    >>> from robustreg import RobustRegressorCV
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 5))
    >>> y = X @ [2.0, 0.0, 0.0, 1.0, 0.0] + 0.1 * rng.normal(size=200)
    >>> y[::10] = 100.0
    >>> model = RobustRegressorCV(["l2", "smooth_l1"], alphas=5, selection="1se")
    >>> model.fit(X, y).loss_, model.coef_.round(1)
    ('smooth_l1', array([2., 0., 0., 1., 0.]))
    """

    _parameter_constraints: dict[str, list[Any]] = CHOOSING_CONSTRAINTS

    def __init__(
        self,
        loss: str | Loss | list[str | Loss] = "smooth_l1",
        *,
        beta: float | list[float | None] | None = None,
        quantile: float | list[float] = 0.5,
        penalty: str | list[str | None] | None = "l1",
        l1_ratio: float | list[float] = 0.5,
        alphas: int | ArrayLike = N_ALPHAS,
        eps: float = 1e-3,
        scale: float | str = "mad",
        cv: Any = None,
        scoring: str | Callable[..., float] | None = None,
        selection: str = "best",
        n_jobs: int | None = None,
        verbose: int | bool = False,
        fit_intercept: bool = True,
        tol: float = 1e-10,
        max_iter: int = 500,
        outlier_threshold: float = 3.0,
    ) -> None:
        self.loss = loss
        self.beta = beta
        self.quantile = quantile
        self.penalty = penalty
        self.l1_ratio = l1_ratio
        self.alphas = alphas
        self.eps = eps
        self.scale = scale
        self.cv = cv
        self.scoring = scoring
        self.selection = selection
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter
        self.outlier_threshold = outlier_threshold

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        **params: Any,
    ) -> Self:
        """Choose, and fit what was chosen to all rows.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features, as `RobustRegressor.fit` takes them, but no dask collection.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets. Several share one choice, by their mean score.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, not all 0, of fits and scores. A weight of 2 is the
            same as the row twice in the same fold.
        **params : dict
            For the splitter, such as ``groups``, where metadata routing is enabled.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            For a parameter out of its range, for what `RobustRegressor.fit` refuses,
            and for a fold in which no row has weight.

        Warns
        -----
        ConvergenceWarning
            Once, if fits of folds did not converge.
        NoEffectWarning
            For ``alphas`` without any penalty.
        """
        with np.errstate(under="ignore"), unchanged_on_error(self):
            check_choosing_params(self, listed)
            scores = scores_by(self.scoring)
            check_split_params(type(self).__name__, params)
            check_choosing_data(type(self).__name__, X=X, y=y)
            # The choice, and the fit of what was chosen.
            with watched(self, X, y, sample_weight, n_steps=2) as told:
                failed, of = self._fitted(X, y, sample_weight, params, scores, told)
        self._warn(failed, of)
        return self

    def get_metadata_routing(self) -> MetadataRouter:
        """Return what is routed: metadata of the splitter.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRouter
            The routes.
        """
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(
                splitter=check_cv(self.cv),
                method_mapping=MethodMapping().add(caller="fit", callee="split"),
            )
        )

    def _fitted(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        params: dict[str, Any],
        scores: Scores,
        callbacks: Callbacks | None,
    ) -> tuple[int, int]:
        """Choose and fit; return how many fits of folds did not converge, of all."""
        data, target, weight = check_fit_data(self, X, y, sample_weight)
        targets = target[:, None] if target.ndim == 1 else target
        splits = self._splits(X, target, params)
        combinations = self._combinations(data, targets, weight)
        folds = [Fold(data, targets, weight, *split) for split in splits]
        weighted, single = sample_weight is not None, target.ndim == 1
        options = Options(self._shared, scores, weighted, single)
        parallel = Parallel(n_jobs=self.n_jobs, verbose=self.verbose)
        found = judged(folds, combinations, options, parallel, callbacks)
        results = gathered(combinations, found)
        self._choose(results, X, y, sample_weight, callbacks)
        failed = sum(fold.failed for fold in found)
        return failed, results.scores.size * targets.shape[1]

    @property
    def _shared(self) -> dict[str, Any]:
        """The parameters that all candidates share."""
        return {name: getattr(self, name) for name in SHARED}

    def _combinations(self, X: Any, targets: Array, weight: Array) -> list[Combination]:
        """Return the candidates, by their losses and penalties."""
        X, targets, weight = taken(present(weight), X, targets, weight)
        rows: Rows | None = None
        found = []
        for terms in combinations_of(self.get_params(deep=False)):
            loss = make_loss(terms["loss"], terms["beta"], terms["quantile"])
            if terms["penalty"] is None:
                alphas = np.zeros(1)
            elif not isinstance(self.alphas, int | np.integer):
                alphas = np.asarray(self.alphas, dtype=np.float64)
            else:
                rows = rows or make_rows(X, weight, self.fit_intercept)
                alphas = self._strengths(terms, loss, rows, targets, weight)
            found.append(Combination(terms, loss, alphas))
        return found

    def _strengths(
        self,
        terms: dict[str, Any],
        loss: Loss,
        rows: Rows,
        targets: Array,
        weight: Array,
    ) -> Array:
        """Return the alphas of a combination: of several targets the largest ones."""
        model = RobustRegressor(alpha=1.0, **terms, **self._shared)
        n_alphas: Any = self.alphas
        each = [
            strengths_for(
                problem_on(model, rows, column, weight, loss, EPS),
                n_alphas,
                self.eps,
            )
            for column in targets.T
        ]
        return max(each, key=lambda alphas: float(alphas[0]))

    def _splits(
        self, X: Any, target: Array, params: dict[str, Any]
    ) -> Iterable[tuple[Any, Any]]:
        """Return the training and the test rows of each fold."""
        splitter = check_cv(self.cv)
        routed = process_routing(self, "fit", **params).splitter.split if params else {}
        split = partial(splitter.split, X, target)
        return [
            (np.arange(target.shape[0])[train], np.arange(target.shape[0])[test])
            for train, test in checked_splits(type(self).__name__, split, routed)
        ]

    def _choose(
        self,
        results: Results,
        X: Any,
        y: Any,
        sample_weight: Any,
        callbacks: Callbacks | None,
    ) -> None:
        """Choose by the results; fit all rows, and set what is known then."""
        self.cv_results_, self.index_1se_ = results.layout(), results.sparsest()
        places = {"best": results.best(), "1se": self.index_1se_}
        self.best_index_ = places[self.selection]
        self.n_splits_ = results.scores.shape[1]
        self.best_params_ = results.params[self.best_index_]
        self.best_score_ = float(self.cv_results_["mean_test_score"][self.best_index_])
        for name, value in self.best_params_.items():
            setattr(self, f"{name}_", value)
        best = RobustRegressor(**self.best_params_, **self._shared)
        refit = callbacks.around("refit", best) if callbacks else nullcontext()
        with warnings.catch_warnings(), refit:
            # An alpha of 0 is a candidate like any other.
            warnings.simplefilter("ignore", NoEffectWarning)
            self.best_estimator_ = best.fit(X, y, sample_weight)
        for name, value in vars(best).items():
            if name.endswith("_"):
                setattr(self, name, value)

    def _warn(self, failed: int, of: int) -> None:
        """Say once what has no effect and how many fits of folds did not converge."""
        name = type(self).__name__
        if asks_in_vain(self.penalty, self.alphas):
            text = messages.no_effect_alphas(name, self.alphas, N_ALPHAS)
            warnings.warn(text, NoEffectWarning, stacklevel=3)
        if failed:
            text = messages.unconverged_folds(name, failed, of, self.tol)
            warnings.warn(text, ConvergenceWarning, stacklevel=3)
