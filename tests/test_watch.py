"""What a sweep says about itself before, while and after it runs, and what its numbers do not depend on: devices and memory."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from conftest import COMPILER
from noisy import Noisy

import mtlsim as mtl
from mtlsim.cli import main
from mtlsim.results.watch import SILENCE, sign_of_life, status
from mtlsim.sweeps import estimate as estimates
from mtlsim.sweeps import execute
from mtlsim.sweeps.estimate import Estimate, estimate

KEY = jax.random.key(4)
GRID = {"drift": np.linspace(-3, 3, 30)}


def run(path=None, cell=None, **options):
    return mtl.sweep(cell or Noisy(), GRID, 8, KEY, path, **({"progress": False, "chunk_draws": 40} | options))


def test_numbers_do_not_depend_on_devices():
    script = Path(__file__).with_name("sweep_on_devices.py")
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    environment["XLA_FLAGS"] = COMPILER
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=True)
    n_devices, worst = done.stdout.split()
    assert n_devices == "8" and float(worst) < 1e-12


def test_little_memory_makes_smaller_batches_of_the_same_numbers(monkeypatch):
    wanted, sizes = run(), []
    original = execute.run_points
    monkeypatch.setattr(execute, "run_points", lambda *a: sizes.append(a[-1]) or original(*a))
    np.testing.assert_allclose(run().gain, wanted.gain, rtol=1e-12)
    monkeypatch.setattr(execute, "available_bytes", lambda devices: 2 * 500)
    np.testing.assert_allclose(run().gain, wanted.gain, rtol=1e-12)
    before, after = set(sizes[: len(sizes) // 2]), set(sizes[len(sizes) // 2 :])
    assert before == {8} and max(after) < 8


def stopped_after(monkeypatch, n_chunks, error=KeyboardInterrupt):
    original, calls = execute.run_points, []

    def stopping(*arguments):
        calls.append(1)
        if len(calls) > n_chunks:
            raise error
        return original(*arguments)

    monkeypatch.setattr(execute, "run_points", stopping)


def test_status_of_a_sweep_that_died_that_runs_and_that_is_done(tmp_path, monkeypatch, capsys):
    path = tmp_path / "a.nc"
    with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
        stopped_after(context, 3)
        run(path, Noisy(bad=1.0))
    text = status(path)
    assert "3 of 6 chunks are there" in text and "nobody works on it; the same command goes on from there (each --shard" in text
    # the first 15 of 30 drifts, -3 to -0.1, over 8 seeds: counted by hand from the result
    with monkeypatch.context() as context:
        seen = []
        original = execute.run_points
        context.setattr(execute, "run_points", lambda *a: seen.append(status(path)) or original(*a))
        data = run(path, Noisy(bad=1.0))
    first = data.isel(drift=slice(0, 15))
    undecided, bad = 100 * float((first.gain_sign == 0).mean()), 100 * float((first.status != 0).mean())
    assert 0 < undecided < 100 and 0 < bad < 100
    assert text.endswith(f"so far: undecided {undecided:.3g} % of cells, bad status {bad:.2g} %")
    assert f"process {os.getpid()} on" in seen[0] and "running for " in seen[0]
    assert "chunks a minute: at this pace" in seen[2].replace("; ", ": ")
    assert main(["status", str(path)]) == 0
    assert "a.nc is done: 8 seeds a cell" in capsys.readouterr().out
    assert main(["status", str(tmp_path / "b.nc")]) == 2
    assert "must be a sweep's .nc file or its folder of parts" in capsys.readouterr().err


def test_signs_of_life_tell_the_dead_from_the_living(tmp_path, monkeypatch):
    with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
        stopped_after(context, 1)
        run(tmp_path / "a.nc")
    folder = tmp_path / "a.nc.parts"
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    import socket

    here = {"host": socket.gethostname(), "process": ended.pid, "since": time.time() - 100}
    (folder / "running-x-1.json").write_text(json.dumps(here))
    (folder / "running-y-2.json").write_text(json.dumps(here | {"host": "elsewhere"}))
    silent = folder / "running-z-3.json"
    silent.write_text(json.dumps(here | {"host": "silent", "process": 3}))
    os.utime(silent, (time.time() - 2 * SILENCE,) * 2)
    text = status(folder)
    assert f"process {ended.pid} on {socket.gethostname()}: died" in text
    assert f"process {ended.pid} on elsewhere: running for 1 min 40 s" in text
    assert "process 3 on silent: died, its last sign of life was 1 min 00 s ago" in text
    with sign_of_life(folder):
        assert len(list(folder.glob("running-*.json"))) == 2  # the dead are forgotten when somebody begins
    assert len(list(folder.glob("running-*.json"))) == 1


def test_progress_says_what_is_found(capsys):
    run(cell=Noisy(bad=1.0), progress=True)
    text = capsys.readouterr().err
    assert "undecided" in text and "bad status" in text and "240/240" in text


def test_an_estimate_counts_what_the_sweep_does(monkeypatch):
    monkeypatch.setattr(estimates, "SECONDS", 0.05)
    traced = []
    own = jax.jit(lambda x: traced.append(1) or x + 1)
    own(1.0)
    assert jax.config.jax_compilation_cache_dir is not None
    found = estimate(Noisy(), GRID, 8, KEY, budget=24, chunk_draws=40)
    own(2.0)
    assert len(traced) == 1  # a user's programs stay
    assert (found.cells, found.n_seeds, found.n_rounds, found.compiles, found.chunks) == (30, 8, 3, 1, 6)
    data = run(budget=24)
    assert found.result == sum(data[name].nbytes for name in ("gain", "status"))
    assert found.draw > 0 and found.compile_again > 0 and found.memory > 0


def test_estimates_by_hand():
    base = {"cells": 100, "n_seeds": 10, "n_rounds": 2, "compiles": 3, "chunks": 4, "devices": "2 cpu devices", "start": 1.0}
    found = Estimate(**base, compile_first=9.0, compile_again=2.0, draw=0.01, memory=3 * 2**20, result=2**30)
    assert found.seconds(1, 1) == pytest.approx(1 + 3 * 2 + 1000 * 0.01)
    assert found.seconds() == pytest.approx(1 + 6 + 20)
    assert found.seconds(3, 1) == pytest.approx(1 + 6 + 10 * 2 / 4)  # four chunks on three workers: one does two
    assert found.seconds(100, 1) == pytest.approx(1 + 6 + 10 / 4)
    text = found.report((10,))
    assert "100 cells x 10 seeds in 1 to 2 rounds in 4 chunks; 3 programs to compile" in text and "9 s the first time" in text
    assert "1e+04 us a draw" in text and "3 MiB at a time, 1 GiB for the result" in text
    assert "17 s to 27 s on this machine" in text and "with 10 workers like it: 9.5 s to 12 s" in text


def test_estimates_from_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(estimates, "SECONDS", 0.05)
    (tmp_path / "a.toml").write_text(
        '[tasks]\nn_features = 3\n[cell]\nsharing = "pooled"\n[grid]\n"tasks.noise" = [1.0, 2.0]\n[sweep]\nn_seeds = 5\n'
    )
    assert main(["estimate", str(tmp_path / "a.toml"), "--set", "sweep.n_seeds=7"]) == 0
    assert "2 cells x 7 seeds" in capsys.readouterr().out
    assert [file.name for file in tmp_path.iterdir()] == ["a.toml"]


def test_a_scheduler_belongs_to_dask(tmp_path, capsys):
    (tmp_path / "a.toml").write_text("[tasks]\nn_features = 3\n")
    assert main(["sweep", str(tmp_path / "a.toml"), "--executor", "dask"]) == 2
    assert "scheduler must be given with --executor dask" in capsys.readouterr().err


def test_options_that_an_estimate_does_not_have():
    with pytest.raises(ValueError, match="estimate's options must be one of the known names, but is 'path'"):
        estimate(Noisy(), GRID, 8, path="a.nc")
    base = {"cells": 1, "n_seeds": 1, "n_rounds": 1, "compiles": 1, "chunks": 1, "devices": "1 cpu device"}
    with pytest.raises(ValueError, match="workers must be a whole number >= 1, but is 0"):
        Estimate(**base, compile_first=1.0, compile_again=1.0, draw=1.0, memory=1, result=1).seconds(0)
