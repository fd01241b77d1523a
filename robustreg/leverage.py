"""How far each row of X is from the others, measured so that outliers do not hide."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2
from sklearn.covariance import MinCovDet

from robustreg.linalg import CANCELLED, FAINT
from robustreg.validation import check_distance_data

Array = NDArray[Any]

# Rows that the minimum covariance determinant is found from: more cost seconds and
# would move a distance by a few per cent.
MOST_ROWS = 1500
# Rows that each direction needs, and that the scatter of a single one does.
ROWS_A_DIRECTION, LEAST_ROWS = 5, 10
# A column of which a larger share has one value draws the scatter to these rows.
MOST_TIED = 1 / 3
# Share of clean Gaussian rows within the cut-off.
COVERED = 0.975


@dataclass(frozen=True)
class RobustDistance:
    """Distances of rows in X, and where far begins.

    Parameters
    ----------
    distance : ndarray of shape (n_samples,)
        Robust distances, at least 0.
    n_directions : int
        Dimension of the space that they are measured in.
    """

    distance: Array
    n_directions: int

    @property
    def cutoff(self) -> float:
        """``sqrt(chi2(n_directions).ppf(0.975))``: 2.5 % of Gaussian rows exceed it."""
        return float(np.sqrt(chi2.ppf(COVERED, self.n_directions)))


def robust_distance(X: ArrayLike, *, random_state: int = 0) -> RobustDistance:
    r"""Return how far each row of X is from the centre of most rows.

    :math:`\sqrt{(x - m)^\top C^{-1} (x - m)}` with location m and scatter C of the
    minimum covariance determinant [1]_, which up to half of the rows cannot move. A
    Mahalanobis distance uses the mean and the covariance of all rows instead, and many
    outliers hide themselves in these.

    The distance is taken in directions in which most rows vary. Left out are

    - columns of two values and those of which more than a third of the rows share one
      value, such as dummies [2]_ and constants,
    - combinations of columns that are the same for most rows, up to a millionth, such
      as a sum of other columns,
    - if there are fewer than five rows to a direction, all but the ``n_samples // 5``
      directions in which the rows in the middle vary most.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Features, dense. Of more than 1500 rows a random sample of 1500 gives m and C.
    random_state : int, default=0
        Seed of that sample and of the search for C.

    Returns
    -------
    RobustDistance
        The distances, their dimension and the cut-off.

    Raises
    ------
    ValueError
        If X is sparse, a dask collection or not finite, has fewer than 10 rows, or
        does not vary in most rows.

    References
    ----------
    .. [1] Rousseeuw, P. J., Van Driessen, K. (1999). A fast algorithm for the minimum
       covariance determinant estimator. Technometrics 41, 212-223.
    .. [2] Hubert, M., Rousseeuw, P. J. (1997). Robust regression with both continuous
       and binary regressors. Journal of Statistical Planning and Inference 57,
       153-163.

    Examples
    --------
    >>> import numpy as np
    >>> from robustreg.leverage import robust_distance
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> X[:20] = [7.0, 7.0]
    >>> far = robust_distance(X)
    >>> np.flatnonzero(far.distance > far.cutoff)[:20].max()
    np.int64(19)
    """
    data = check_distance_data(X, LEAST_ROWS)
    sample = _sample(data, random_state)
    columns = np.flatnonzero([_varies(column) for column in sample.T])
    center = np.median(sample[:, columns], axis=0)
    unit = np.median(np.abs(sample[:, columns] - center), axis=0)
    basis, mcd = _scatter((sample[:, columns] - center) / unit, random_state)
    scores = (data[:, columns] - center) / unit @ basis
    return RobustDistance(np.sqrt(mcd.mahalanobis(scores)), basis.shape[1])


def _sample(X: Array, random_state: int) -> Array:
    """Return all rows if they are few, otherwise some of them."""
    if len(X) <= MOST_ROWS:
        return X
    rng = np.random.default_rng(random_state)
    return X[np.sort(rng.choice(len(X), MOST_ROWS, replace=False))]


def _varies(column: Array) -> bool:
    """Tell whether a column has more than two values and none that many rows share."""
    values, counts = np.unique(column, return_counts=True)
    middle = np.median(column)
    spread = np.median(np.abs(column - middle))
    rounding = CANCELLED * abs(middle)
    tied = counts.max() > MOST_TIED * column.size
    return bool(values.size > 2 and not tied and spread > rounding)


def _scatter(Z: Array, random_state: int) -> tuple[Array, MinCovDet]:
    """Return a basis of the directions in which most rows vary, and the fit in it."""
    basis = _leading(Z)
    while basis.shape[1] > 0:
        mcd = MinCovDet(random_state=random_state)
        with warnings.catch_warnings():
            # A singular scatter is what the loop is for.
            warnings.simplefilter("ignore")
            try:
                mcd.fit(Z @ basis)
            except ValueError:
                break
        variance, directions = np.linalg.eigh(mcd.raw_covariance_)
        varies = variance > FAINT**2 * variance[-1]
        if varies.all():
            return basis, mcd
        basis = basis @ directions[:, varies]
    raise ValueError(
        "No column of X varies in most rows: each has two values, or one that more "
        "than a third of the rows share, so that a distance between rows means "
        "nothing. Plot estimator.outlier_score(X, y) by itself instead."
    )


def _leading(Z: Array) -> Array:
    """Return the directions in which the half of rows in the middle varies most."""
    if Z.shape[1] == 0:
        return np.zeros((0, 0))
    reach = np.abs(Z).max(axis=1)
    middle = Z[np.argsort(reach, kind="stable")[: len(Z) // 2 + 1]]
    _, spread, directions = np.linalg.svd(
        middle - middle.mean(axis=0), full_matrices=False
    )
    most = len(Z) // ROWS_A_DIRECTION
    count = min(int(np.count_nonzero(spread > FAINT * spread[0])), most)
    return np.asarray(directions[:count].T)
