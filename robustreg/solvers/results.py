"""What every solver returns."""

from __future__ import annotations

from scipy.optimize import OptimizeResult

from robustreg.objective import Point

# What a solver says that ends before ``max_iter``, and to which no larger one matters.
NO_DECREASE = "no further decrease"


def result_at(
    point: Point, gap: float, nit: int, success: bool, trouble: str, **more: object
) -> OptimizeResult:
    """Return the result of a solver that ended at a point.

    Parameters
    ----------
    point : Point
        Where it ended.
    gap : float
        A bound on the value there minus the minimum.
    nit : int
        Iterations.
    success : bool
        Whether the gap is within the tolerance.
    trouble : str
        The message if it is not.
    **more : object
        What only some solvers know, such as ``slopes``.
    """
    return OptimizeResult(
        x=point.params,
        fun=point.value,
        point=point,
        gap=gap,
        nit=nit,
        success=bool(success),
        status=0 if success else 1,
        message="converged" if success else trouble,
        **more,
    )
