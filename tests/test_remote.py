"""Sweeps by other processes, and every fault that they must survive: lost, doubled and late chunks, killed workers, a scheduler
that goes and comes back, a full disk. In each case the numbers are those of this process, or the missing chunks are named."""

import multiprocessing
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import jax
import numpy as np
import pytest
from conftest import untyped
from noisy import Noisy

import mtlsim as mtl
from mtlsim.results import store
from mtlsim.sweeps import execute
from mtlsim.sweeps.remote import DaskExecutor
from mtlsim.sweeps.schedule import Incomplete

KEY = jax.random.key(5)
GRID = {"drift": np.linspace(-1, 1, 60)}


def run(path=None, **options):
    return mtl.sweep(Noisy(), GRID, 8, KEY, path, chunk_draws=8, progress=False, **options)


@pytest.fixture(scope="module")
def wanted():
    return run()


def check(data, wanted):
    for name in wanted.data_vars:
        np.testing.assert_allclose(data[name], wanted[name], rtol=1e-12, atol=1e-13)


class Unreliable(Executor):
    """Runs calls at once; the first `lost` results of each chunk never arrive, and those of chunks in `fails` are errors."""

    def __init__(self, lost=0, fails=()):
        self.lost, self.fails, self.calls = lost, fails, {}

    def submit(self, function, *arguments):
        future, asked = Future(), arguments[-1]
        self.calls[asked] = self.calls.get(asked, 0) + 1
        if isinstance(asked, bytes) and self.calls[asked] <= self.lost:
            future.cancel()
            future.set_running_or_notify_cancel()
            return future
        result = function(*arguments)
        if isinstance(asked, bytes) and int(result["points"][0]) in self.fails:
            future.set_exception(OSError("the node went down"))
        else:
            future.set_result(result)
        return future


def test_results_that_are_lost_are_asked_for_again(wanted):
    executor = Unreliable(lost=2)
    check(run(executor=executor), wanted)
    assert sorted(executor.calls.values()) == [1] + [3] * 60  # one question first, then each chunk three times


def test_what_fails_for_good_is_named_all_else_kept_and_the_next_call_runs_only_that(tmp_path, wanted, monkeypatch):
    sentence = r"2 of 60 chunks are missing \(chunk-000-00007-000.npz, chunk-000-00030-000.npz\), .* the node went down"
    with pytest.raises(Incomplete, match=sentence):
        run(tmp_path / "a.nc", executor=Unreliable(fails=(7, 30)))
    assert not (tmp_path / "a.nc").exists()
    original, ran = execute.run_points, []
    monkeypatch.setattr(execute, "run_points", lambda *a: ran.append(1) or original(*a))
    check(run(tmp_path / "a.nc"), wanted)
    assert len(ran) == 2


def test_a_fault_of_the_input_stops_at_once():
    class Refusing(Unreliable):
        def submit(self, function, *arguments):
            future = super().submit(function, *arguments)
            if isinstance(arguments[-1], bytes):
                future = Future()
                future.set_exception(ValueError("workers must all be as the first one asked"))
            return future

    executor = Refusing()
    with pytest.raises(ValueError, match="workers must all be"):
        run(executor=executor)
    assert len(executor.calls) < 61 + 1 and max(executor.calls.values()) == 1


def test_a_worker_of_other_versions_is_refused():
    class Lying(Unreliable):
        def submit(self, function, *arguments):
            future = super().submit(function, *arguments)
            if not isinstance(arguments[-1], bytes):
                future.result()["versions"]["jax"] = "0.1"
            return future

    with pytest.raises(ValueError, match=r"workers must all be as the first one asked.*versions.jax is \"0.1\" there"):
        run(executor=Lying())


def test_a_sweep_that_another_process_finishes_meanwhile(tmp_path, wanted, monkeypatch):
    """All chunks come twice, those of the slower process late: after the result is there and the folder gone."""
    original, calls = execute.run_points, []

    def overtaken(*arguments):
        calls.append(1)
        if len(calls) == 30:
            check(run(tmp_path / "a.nc"), wanted)
            assert not (tmp_path / "a.nc.parts").exists()
        return original(*arguments)

    monkeypatch.setattr(execute, "run_points", overtaken)
    check(run(tmp_path / "a.nc"), wanted)
    assert [file.name for file in tmp_path.iterdir()] == ["a.nc"]


def test_a_folder_that_is_taken_away_costs_only_its_chunks(tmp_path, wanted, monkeypatch):
    original, calls = execute.run_points, []

    def robbed(*arguments):
        calls.append(1)
        if len(calls) == 30:
            shutil.rmtree(tmp_path / "a.nc.parts")
        return original(*arguments)

    monkeypatch.setattr(execute, "run_points", robbed)
    with pytest.raises(ValueError, match="but 29 are missing"):
        run(tmp_path / "a.nc")
    check(run(tmp_path / "a.nc"), wanted)
    assert len(calls) == 60 + 29


def test_processes_that_begin_together_cut_the_sweep_as_the_first_one(tmp_path, wanted, monkeypatch):
    """The other one has another cut, and its manifest is there between our look and our writing."""
    original = store.write_whole

    def slower(path, write, **options):
        if path.name == store.MANIFEST and not path.exists():
            path.parent.mkdir(exist_ok=True)
            monkeypatch.setattr(store, "write_whole", original)
            with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
                context.setattr(execute, "run_points", only_once)
                mtl.sweep(Noisy(), GRID, 8, KEY, tmp_path / "a.nc", chunk_draws=240, progress=False)
        original(path, write, **options)

    def only_once(*arguments):
        if calls:
            raise KeyboardInterrupt
        return counted(*arguments)

    compute, calls = execute.run_points, []
    counted = lambda *arguments: calls.append(1) or compute(*arguments)
    monkeypatch.setattr(store, "write_whole", slower)
    monkeypatch.setattr(execute, "run_points", counted)
    check(run(tmp_path / "a.nc"), wanted)
    assert len(calls) == 2  # of 30 points each, as the other one began; by our own cut there would be 60 more


def test_a_chunk_of_another_cut_is_not_taken(tmp_path, wanted, monkeypatch):
    run(tmp_path / "a.nc", shard="1/2")
    folder = tmp_path / "a.nc.parts"
    shutil.copy(folder / "chunk-000-00002-000.npz", folder / "chunk-000-00001-000.npz")
    check(run(tmp_path / "a.nc"), wanted)


@contextmanager
def small_disk(n_bytes):
    """No file of this process can grow beyond n_bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [1200, 20_000])
def test_a_full_disk_is_one_sentence_and_nothing_is_lost(room, tmp_path, wanted):
    """The smaller one has no room for a chunk, the larger one none for the result."""
    options = {"attributes": {"note": "x" * 20_000}} if room > 2000 else {"chunk_draws": 240}
    call = lambda: mtl.sweep(Noisy(), GRID, 8, KEY, tmp_path / "a.nc", progress=False, **options)
    with small_disk(room), pytest.raises(ValueError, match="path must be on a disk with room for the result.*chunks are kept"):
        call()
    assert not (tmp_path / "a.nc").exists()
    assert not list((tmp_path / "a.nc.parts").glob(".*")) and not list(tmp_path.glob(".*"))
    check(call(), wanted)


def test_any_executor_whose_workers_start_anew(wanted):
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        check(run(executor=executor), wanted)


def test_an_executor_brings_its_own_devices():
    with pytest.raises(ValueError, match="devices must be left out with an executor"):
        run(executor=Unreliable(), devices=jax.devices())
    with pytest.raises(ValueError, match="executor must be a DaskExecutor or one of"):
        untyped(mtl.sweep)(Noisy(), GRID, 8, KEY, executor="tcp://host:8786")
    with pytest.raises(ValueError, match="devices must be at least one"):
        run(devices=[])
    with pytest.raises(ValueError, match="scheduler must be an address"):
        DaskExecutor(None)


def test_sequential_seeds_by_an_executor():
    options = {"budget": 32, "chunk_draws": 80, "progress": False}
    here, there = (mtl.sweep(Noisy(), GRID, 8, KEY, executor=e, **options) for e in (None, Unreliable(lost=1)))
    check(there, here)
    assert 0 < np.isnan(here.gain).mean() < 0.75


@contextmanager
def after_chunks(folder, count, do):
    """Call do() once, from another thread, when the folder holds so many chunks."""

    def watch():
        while len(list(folder.glob("chunk-*.npz"))) < count:
            time.sleep(0.002)
        done.append(len(list(folder.glob("chunk-*.npz"))))
        do()

    done, thread = [], threading.Thread(target=watch, daemon=True)
    thread.start()
    yield done
    thread.join(60)


@pytest.mark.filterwarnings("ignore")  # of what is killed here
def test_a_worker_that_is_killed_in_the_middle(tmp_path, wanted):
    from distributed import LocalCluster

    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": 60}
    with LocalCluster(**options) as cluster, DaskExecutor(cluster) as executor:
        workers = executor.client.run(os.getpid)
        kill = lambda: os.kill(next(iter(workers.values())), signal.SIGKILL)
        with after_chunks(tmp_path / "a.nc.parts", 5, kill) as done:
            check(run(tmp_path / "a.nc", executor=executor), wanted)
        assert done and done[0] < 60
        check(run(executor=executor), wanted)  # the worker that took its place too


def start(*command):
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent), "JAX_ENABLE_X64": "1"}
    return subprocess.Popen([sys.executable, "-m", "dask", *map(str, command)], env=environment, stderr=subprocess.DEVNULL)


@pytest.mark.filterwarnings("ignore")
def test_a_scheduler_that_goes_and_comes_back_or_does_not(tmp_path, wanted):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address, running = f"tcp://127.0.0.1:{port}", []

    def begin():
        running.append(start("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"))
        running.append(start("worker", address, "--nthreads", 1, "--no-dashboard", "--no-nanny"))

    def end():
        while running:
            running[-1].kill()
            running.pop().wait()

    try:
        begin()
        with DaskExecutor(address, patience=60.0) as executor:
            with after_chunks(tmp_path / "a.nc.parts", 5, lambda: (end(), begin())) as done:
                check(run(tmp_path / "a.nc", executor=executor), wanted)
            assert done and done[0] < 60
            executor.patience = 2.0
            with after_chunks(tmp_path / "b.nc.parts", 5, end) as done, pytest.raises(Incomplete, match="of 60 chunks are missing"):
                run(tmp_path / "b.nc", executor=executor)
            assert done[0] < 60
        check(run(tmp_path / "b.nc"), wanted)
    finally:
        end()


def test_no_scheduler_is_one_sentence():
    with pytest.raises(ValueError, match="scheduler must be the address of a dask scheduler that has workers"):
        DaskExecutor("tcp://127.0.0.1:9", patience=0.5)
