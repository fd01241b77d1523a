"""Partitions that workers make where they are, some of them not as they should."""

import os
import resource
import signal
import time
from pathlib import Path
from uuid import uuid4

import dask
import dask.array as da
import numpy as np

N_FEATURES = 4


def features(partition, n_rows):
    """Return the features of a partition."""
    rng = np.random.default_rng([partition, 0])
    X = rng.normal(size=(n_rows, N_FEATURES))
    X[:, 1:] += 0.5 * X[:, :-1]
    return X * [0.5, 1, 20, 1] + [0, 10, 50, -3]


def target(partition, n_rows):
    """Return the targets of a partition."""
    noise = np.random.default_rng([partition, 1]).standard_t(1.5, size=n_rows)
    return features(partition, n_rows) @ [1.0, -0.5, 0.01, 0.2] + 3 + noise


def all_but_dependent(partition, n_rows):
    """Return features of which one is all but the sum of two others."""
    X = features(partition, n_rows)
    noise = np.random.default_rng([partition, 2]).normal(size=n_rows)
    X[:, 3] = X[:, 0] + X[:, 1] + 1e-8 * noise
    return X


def slow(partition, n_rows):
    """Return features after a while."""
    time.sleep(0.3)
    return features(partition, n_rows)


def vanished(partition, n_rows):
    """Return features, those of the fourth partition from a file that is not there."""
    if partition == 3:
        np.load("not-there.npy")
    return features(partition, n_rows)


def with_nan(partition, n_rows):
    """Return features, of which the fourth partition holds NaN."""
    X = features(partition, n_rows)
    if partition == 3:
        X[7, 2] = np.nan
    return X


class Counted:
    """Features of which each reading leaves a file."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __call__(self, partition, n_rows):
        Path(self.folder, f"{partition}-{uuid4().hex}").touch()
        return features(partition, n_rows)

    def reads(self):
        """Return the numbers of all partitions that were read, in order."""
        names = [path.name for path in Path(self.folder).iterdir()]
        return sorted(int(name.partition("-")[0]) for name in names)


class KillsItsWorker:
    """Features whose reader is killed once, in the fourth partition."""

    def __init__(self, killed):
        self.killed = str(killed)

    def __call__(self, partition, n_rows):
        if partition == 3 and not Path(self.killed).exists():
            Path(self.killed).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return features(partition, n_rows)


def deadly(partition, n_rows):
    """Return features; who reads the fourth partition is killed."""
    if partition == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return features(partition, n_rows)


def without_memory(partition, n_rows):
    """Return features, unless it is the fourth partition, of which none are left."""
    if partition == 3:
        raise MemoryError("none is left")
    return features(partition, n_rows)


def collection(lengths, reader=features):
    """Return X and y, each partition by a reader."""
    read = dask.delayed(reader, name="reader", traverse=False)
    X = [
        da.from_delayed(read(i, n), (n, N_FEATURES), float)
        for i, n in enumerate(lengths)
    ]
    y = [
        da.from_delayed(dask.delayed(target)(i, n), (n,), float)
        for i, n in enumerate(lengths)
    ]
    return da.concatenate(X), da.concatenate(y)


def in_memory(lengths, reader=features):
    """Return the same rows as arrays."""
    X = [reader(*each) for each in enumerate(lengths)]
    y = [target(*each) for each in enumerate(lengths)]
    return np.concatenate(X), np.concatenate(y)


def largest_size():
    """Return how much memory this process has taken at most, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fit_in_a_task(lengths):
    """Return the coefficients of a fit that is itself a task of a cluster."""
    from robustreg import RobustRegressor

    return RobustRegressor(tol=1e-16).fit(*collection(lengths)).coef_
