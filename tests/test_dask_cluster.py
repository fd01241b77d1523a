"""Fits on a cluster of processes, and what becomes of them if a part of it fails."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace

import dask
import numpy as np
import partition_readers
import pytest
from distributed import Client, KilledWorker, LocalCluster
from distributed.diagnostics.plugin import SchedulerPlugin
from numpy.testing import assert_allclose
from partition_readers import collection, in_memory

from robustreg import RobustRegressor
from robustreg.partitions import dask_engine
from robustreg.partitions.dask_tasks import computed

# More rows than are gathered.
LENGTHS = (30_000, 1, 60_000, 20_000, 10, 25_000)


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        memory_limit="1GiB",
        # Not the port that every other cluster of this machine takes.
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
    ) as cluster:
        yield cluster


@pytest.fixture
def client(cluster):
    with Client(cluster) as client:
        yield client


@cache
def expected(loss="smooth_l1"):
    """Return the fit in memory."""
    return RobustRegressor(loss, tol=1e-16).fit(*in_memory(LENGTHS))


def assert_same(model, loss="smooth_l1"):
    """Assert that a fit is that in memory."""
    coef = expected(loss).coef_
    assert_allclose(model.coef_, coef, rtol=0, atol=1e-8 * np.abs(coef).max())
    assert_allclose(model.scale_, expected(loss).scale_, rtol=3e-8)


class Seen(SchedulerPlugin):
    """The tasks that were computed: in which group, and of what size."""

    def start(self, scheduler):
        self.scheduler = scheduler
        self.groups, self.sizes = {}, {}

    def transition(self, key, start, finish, *args, **kwargs):
        if start == "processing" and finish == "memory":
            task = self.scheduler.tasks[key]
            self.groups.setdefault(task.prefix.name, set()).add(task.group_key)
            self.sizes[key] = task.nbytes


@contextmanager
def watched(cluster):
    """Look at what a scheduler does."""
    plugin = Seen()
    plugin.start(cluster.scheduler)
    cluster.scheduler.add_plugin(plugin, name="seen")
    yield plugin
    cluster.scheduler.remove_plugin("seen")


def wait_until(condition):
    """Return whether a condition becomes true in half a minute."""
    deadline = time.monotonic() + 30
    while not (true := condition()) and time.monotonic() < deadline:
        time.sleep(0.002)
    return true


def when(condition, action):
    """Start a thread that acts once on a condition."""

    def wait():
        if wait_until(condition):
            action()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def is_running(cluster, name):
    """Return whether the scheduler has tasks of a name."""
    return any(group.startswith(name) for group in list(cluster.scheduler.task_groups))


@pytest.mark.parametrize("loss", ["smooth_l1", "l1"])
def test_workers_hold_the_rows_and_each_pass_has_a_name(
    cluster, client, loss, tmp_path
):
    counted = partition_readers.Counted(tmp_path)
    X, y = collection(LENGTHS, counted)
    with watched(cluster) as seen:
        model = RobustRegressor(loss, tol=1e-16).fit(X, y)
    assert_same(model, loss)
    assert counted.reads() == list(range(len(LENGTHS)))
    passes = {name for name in seen.groups if name.startswith("robustreg pass")}
    assert len(passes) == model.n_iter_
    assert {"robustreg pass 1: sample", "robustreg pass 2: gradient"} <= passes
    assert all(len(seen.groups[name]) == 1 for name in passes)
    held = [n for key, n in seen.sizes.items() if str(key).startswith("('robustreg ro")]
    assert sum(held) >= sum(LENGTHS) * 7 * 8
    assert not [key for key in cluster.scheduler.tasks if "robustreg" in str(key)]
    assert_allclose(
        model.predict(X).compute(), model.predict(in_memory(LENGTHS)[0]), rtol=1e-12
    )


def test_workers_take_rows_to_a_basis(cluster, client):
    reader = partition_readers.all_but_dependent
    with watched(cluster) as seen:
        model = RobustRegressor("l2", scale=1.0).fit(*collection(LENGTHS, reader))
    X, y = in_memory(LENGTHS, reader)
    expected = RobustRegressor("l2", scale=1.0, tol=1e-14).fit(X, y)
    assert_allclose(model.predict(X), expected.predict(X), rtol=0, atol=1e-6)
    # Passes in the basis have the names of all others.
    passes = [name for name in seen.groups if name.startswith("robustreg pass")]
    verbs = [name.rpartition(" ")[2] for name in passes]
    assert verbs == ["sample_and_products", "root", "gradient", "gradient"]


def test_rows_that_workers_cannot_hold_are_read_in_each_pass(
    cluster, client, monkeypatch, tmp_path
):
    monkeypatch.setattr(dask_engine, "MOST_HELD", 1e-3)
    counted = partition_readers.Counted(tmp_path)
    with watched(cluster) as seen:
        model = RobustRegressor(tol=1e-16).fit(*collection(LENGTHS, counted))
    assert_same(model)
    expected = np.repeat(np.arange(len(LENGTHS)), model.n_iter_)
    assert counted.reads() == expected.tolist()
    assert "robustreg rows" not in seen.groups


@pytest.mark.parametrize("scheduler", ["threads", "synchronous"])
def test_another_scheduler_may_be_asked_for(cluster, client, scheduler):
    with watched(cluster) as seen, dask.config.set(scheduler=scheduler):
        model = RobustRegressor(tol=1e-16).fit(*collection(LENGTHS))
    assert_same(model)
    assert not seen.groups


def test_a_client_that_is_asked_for_by_itself(cluster, client):
    other = Client(cluster, set_as_default=False)
    with watched(cluster) as seen, dask.config.set(scheduler=other):
        model = RobustRegressor(tol=1e-16).fit(*collection(LENGTHS))
    other.close()
    assert_same(model)
    assert "robustreg rows" in seen.groups


def test_a_fit_in_a_task(client):
    future = client.submit(partition_readers.fit_in_a_task, LENGTHS, pure=False)
    coef = expected().coef_
    assert_allclose(future.result(timeout=60), coef, atol=1e-8 * np.abs(coef).max())


def test_a_worker_that_is_killed_while_it_reads(client, tmp_path):
    killer = partition_readers.KillsItsWorker(tmp_path / "killed")
    model = RobustRegressor(tol=1e-16).fit(*collection(LENGTHS, killer))
    assert (tmp_path / "killed").exists()
    assert_same(model)


def test_a_worker_that_is_killed_with_the_rows_it_holds(cluster, client):
    client.wait_for_workers(2)
    pid = next(iter(client.run(os.getpid).values()))
    killer = when(
        lambda: is_running(cluster, "robustreg pass 2"),
        lambda: os.kill(pid, signal.SIGKILL),
    )
    model = RobustRegressor(tol=1e-16).fit(*collection(LENGTHS))
    killer.join()
    assert_same(model)
    client.wait_for_workers(2)
    assert pid not in client.run(os.getpid).values()


def test_a_worker_that_is_killed_in_the_pass_of_the_sample(
    cluster, client, monkeypatch
):
    # Not held, so that it is the pass that reads.
    monkeypatch.setattr(dask_engine, "MOST_HELD", 0.0)
    client.wait_for_workers(2)
    pid = next(iter(client.run(os.getpid).values()))
    killer = when(
        lambda: is_running(cluster, "robustreg pass 1"),
        lambda: os.kill(pid, signal.SIGKILL),
    )
    with watched(cluster) as seen:
        model = RobustRegressor(tol=1e-16).fit(
            *collection(LENGTHS, partition_readers.slow)
        )
    killer.join()
    assert_same(model)
    assert "robustreg pass 1: sample" in seen.groups
    client.wait_for_workers(2)
    assert pid not in client.run(os.getpid).values()


@pytest.mark.parametrize("held", [True, False])
def test_a_partition_for_which_no_memory_is_left(client, held, monkeypatch):
    if not held:
        monkeypatch.setattr(dask_engine, "MOST_HELD", 0.0)
    with pytest.raises(MemoryError, match="none is left") as caught:
        RobustRegressor().fit(*collection(LENGTHS, partition_readers.without_memory))
    assert caught.value.__notes__ == ["Partition 3 of 6 cannot be read."]


def test_partitions_a_hundred_times_as_large_as_others(cluster, client):
    # The largest takes 48 MB with its target.
    lengths = (12_000, 1_200_000, 12_000, 12_000)
    before = client.run(partition_readers.largest_size)
    model = RobustRegressor().fit(*collection(lengths))
    more = [
        now - before[each]
        for each, now in client.run(partition_readers.largest_size).items()
    ]
    expected = RobustRegressor().fit(*in_memory(lengths))
    assert_allclose(model.coef_, expected.coef_, rtol=0, atol=1e-5)
    assert max(more) < 4 * 48


@pytest.mark.parametrize("held", [True, False])
def test_a_partition_that_vanished(client, held, monkeypatch):
    if not held:
        monkeypatch.setattr(dask_engine, "MOST_HELD", 0.0)
    with pytest.raises(FileNotFoundError, match=r"not-there\.npy") as caught:
        RobustRegressor().fit(*collection(LENGTHS, partition_readers.vanished))
    assert caught.value.__notes__ == ["Partition 3 of 6 cannot be read."]


def test_a_partition_that_kills_who_reads_it(cluster, client, monkeypatch):
    # One death is enough, if of a task that was to run there as well.
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 0)
    with pytest.raises(KilledWorker) as caught:
        RobustRegressor().fit(*collection(LENGTHS, partition_readers.deadly))
    (note,) = caught.value.__notes__
    assert "partition" in note


@pytest.mark.parametrize("held", [True, False])
def test_the_partition_of_a_task_that_kills_workers(held):
    X, _ = collection(LENGTHS)
    blocks = list(X.to_delayed().ravel())
    task = ("robustreg rows-0", 3) if held else blocks[3].key

    @dask.delayed
    def killed():
        raise KilledWorker(task, SimpleNamespace(address="tcp://worker"), 3)

    with dask.config.set(scheduler="sync"), pytest.raises(KilledWorker) as caught:
        computed([killed()], blocks)
    (note,) = caught.value.__notes__
    known = "That task reads partition 3 of 6."
    assert note == known if not held else "number of a partition" in note


def test_bad_values(client):
    message = "partition 3 holds NaN or infinity in column '2', first in its row 7"
    with pytest.raises(ValueError, match=message):
        RobustRegressor().fit(*collection(LENGTHS, partition_readers.with_nan))


@pytest.fixture
def interruptible():
    """Let interrupts raise, also where the tests run as a job in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("held", [True, False])
def test_an_interrupt_leaves_no_tasks(cluster, client, held, monkeypatch):
    if not held:
        monkeypatch.setattr(dask_engine, "MOST_HELD", 0.0)
    X, y = collection([20_000] * 40, partition_readers.slow)
    interrupter = when(
        lambda: is_running(cluster, "robustreg pass 1"),
        lambda: os.kill(os.getpid(), signal.SIGINT),
    )
    # The traceback refers to all that the fit was about.
    with pytest.raises(KeyboardInterrupt) as caught:
        RobustRegressor().fit(X, y)
    interrupter.join()
    assert wait_until(lambda: not cluster.scheduler.tasks)
    assert caught.tb


def test_an_interrupt_while_tasks_are_sent_leaves_none(cluster, client, monkeypatch):
    def interrupted(*_):
        assert wait_until(lambda: is_running(cluster, "robustreg pass 1"))
        raise KeyboardInterrupt

    monkeypatch.setattr(dask_engine, "MOST_HELD", 0.0)
    X, y = collection([20_000] * 40, partition_readers.slow)
    # What dask does next, with the tasks sent.
    monkeypatch.setattr("distributed.client.pack_data", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        RobustRegressor().fit(X, y)
    assert wait_until(lambda: not cluster.scheduler.tasks)
    assert caught.tb


ALONE = """
import logging, time
from distributed import LocalCluster
cluster = LocalCluster(
    n_workers=1,
    processes=False,
    protocol="tcp://",
    dashboard_address="127.0.0.1:0",
    silence_logs=logging.CRITICAL,
)
print(cluster.scheduler_address, flush=True)
time.sleep(600)
"""


@pytest.fixture
def alone():
    """A process with a scheduler and a worker, and its address."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", ALONE],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with process:
        yield process, process.stdout.readline().strip()
        process.kill()


def test_a_scheduler_that_is_gone(alone):
    process, address = alone
    with Client(address, timeout=10):
        X, y = collection([20_000] * 40, partition_readers.slow)
        threading.Timer(1.0, process.kill).start()
        start = time.monotonic()
        with pytest.raises(Exception, match=r"lost|clos|cancel"):
            RobustRegressor().fit(X, y)
        # Nor does a fit wait that is started then.
        with pytest.raises(Exception, match=r"lost|clos|connect|cancel"):
            RobustRegressor().fit(X, y)
        assert time.monotonic() - start < 60
