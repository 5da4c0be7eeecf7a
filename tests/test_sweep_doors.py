"""What a sweep is given and says: grids, file names, writers that share a process number, versions, progress, one axis drawn."""

import json
import os
import subprocess
import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import malformed
import matplotlib
import numpy as np
import pytest
from noisy import Noisy

import mtlsim as mtl
from mtlsim import cli
from mtlsim.experiments._experiment import redraw
from mtlsim.results import dataset as datasets
from mtlsim.results import settings, store, watch
from mtlsim.results.watch import sign_of_life, status
from mtlsim.sweeps import progress

matplotlib.use("Agg")
KEY, GRID = jax.random.key(4), {"drift": np.linspace(-3, 3, 6)}


def run(path=None, grid=None, **options):
    return mtl.sweep(Noisy(), GRID if grid is None else grid, 8, KEY, path, **({"progress": False, "chunk_draws": 16} | options))


@pytest.mark.parametrize("value", [0.5, np.float64(0.5), np.array(0.5), "0.5", None, {"from": 0}])
def test_a_value_that_is_no_sequence_is_one_sentence_whose_cure_cures(value):
    with pytest.raises(ValueError, match=r"grid\['drift'\] must be a sequence of values, but is .*; write \["):
        run(grid={"drift": value})


@pytest.mark.parametrize("values", [[0.5], (0.5,), range(1), iter([0.5]), np.array([0.5])])
def test_every_sequence_of_values_is_taken(values):
    assert run(grid={"drift": values}).sizes["drift"] == 1


def test_writers_with_the_same_process_number_never_share_a_name(monkeypatch, tmp_path):
    """Two containers on a shared folder have the same host name and number: neither may take the other's file away."""
    monkeypatch.setattr(os, "getpid", lambda: 7)
    monkeypatch.setattr(store.socket, "gethostname", lambda: "a host/with: signs")
    names = {store.writer() for _ in range(100)}
    assert len(names) == 100 and all("/" not in name and len(name) < 80 for name in names)
    seen = []

    def write(temporary):
        seen.append(temporary)
        if len(seen) == 1:
            store.write_whole(tmp_path / "a.nc", write)  # the other container, just now
        temporary.write_text("x")

    store.write_whole(tmp_path / "a.nc", write)
    assert len(set(seen)) == 2 and [file.name for file in tmp_path.iterdir()] == ["a.nc"]
    with sign_of_life(tmp_path):
        with sign_of_life(tmp_path):
            assert len(list(tmp_path.glob("running-*"))) == 2
        assert len(list(tmp_path.glob("running-*"))) == 1


def test_a_long_file_name_is_one_sentence_and_one_that_fits_works(tmp_path):
    with pytest.raises(ValueError, match="path must be a file name of at most 249 bytes, but is one of 255; choose a shorter one"):
        run(tmp_path / ("a" * 252 + ".nc"))
    run(tmp_path / ("a" * 246 + ".nc"))
    assert [len(file.name) for file in tmp_path.iterdir()] == [249]


@pytest.mark.parametrize("command", ["plot", "status", "explain", "sweep", "estimate", "merge", "transfer", "score", "weights"])
def test_a_long_file_name_is_one_sentence_on_the_command_line(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = ["a" * 300] * (2 if command in ("transfer", "score", "weights") else 1)
    assert cli.main([command, *names]) == 2
    error = capsys.readouterr().err
    assert error.startswith("mtlsim: ") and error.count("\n") == 1


def test_a_sweep_along_one_axis_is_drawn_as_a_curve(tmp_path, capsys):
    run(tmp_path / "a.nc")
    assert cli.main(["plot", str(tmp_path / "a.nc")]) == 0
    assert all((tmp_path / name).stat().st_size > 1000 for name in ("a.png", "a.pdf"))
    run(tmp_path / "one.nc", {"drift": [1.0]})
    with pytest.raises(ValueError, match="result must be a sweep over one parameter or more, but is one cell"):
        redraw(tmp_path / "one.nc")


def test_a_curve_over_words_keeps_them():
    from mtlsim.plots.curves import transfer_curve

    data = run().isel(drift=slice(0, 3)).assign_coords(drift=["same", "other", "none"])
    ax = transfer_curve(data, "drift").axes[0]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["same", "other", "none"]
    line = next(line for line in ax.lines if len(line.get_xdata()) == 3)
    np.testing.assert_array_equal(line.get_ydata(), data.gain_mean)


def test_a_log_gets_a_line_a_minute_and_a_terminal_a_bar(capsys, monkeypatch):
    run(progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and lines[-1].startswith("48/48 draws, undecided")
    now = iter(np.arange(1000) * 25.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    run(progress=True)
    assert 3 <= len(capsys.readouterr().err.splitlines()) <= 4  # 3 chunks of 25 seconds
    monkeypatch.undo()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    run(progress=True)
    text = capsys.readouterr().err
    assert "\r" in text and "48.0/48.0" in text
    run()
    assert capsys.readouterr().err == ""


def test_quiet_is_quiet_on_the_command_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "a.toml").write_text("﻿[tasks]\nn_features = 3\nn_samples = [9, 9]\n[sweep]\nn_seeds = 2\n", encoding="utf-8")
    assert cli.main(["sweep", str(tmp_path / "a.toml"), "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def of_other_versions(monkeypatch, **versions):
    original = settings.version_of
    for module in (settings, watch):
        monkeypatch.setattr(module, "version_of", lambda package: versions.get(package) or original(package))


def begin(path, monkeypatch):
    from mtlsim.sweeps import execute

    with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
        calls, first = [], execute.run_points

        def stopping(*arguments):
            calls.append(1)
            if len(calls) > 1:
                raise KeyboardInterrupt
            return first(*arguments)

        context.setattr(execute, "run_points", stopping)
        run(path)


def test_a_sweep_of_another_patch_release_goes_on_knowingly(tmp_path, monkeypatch):
    path = tmp_path / "a.nc"
    begin(path, monkeypatch)
    assert "the same command goes on" in status(path)
    of_other_versions(monkeypatch, numpy="9.9.9")
    text = status(path)
    assert "numpy is" in text and "9.9.9" in text and "--accept-versions" in text
    with pytest.raises(
        ValueError, match=r"versions.numpy is .* and \"9.9.9\" here\); install those versions again, or go on with accept"
    ):
        run(path)
    with pytest.raises(ValueError, match="n_seeds is 8 there and 9 here"):
        mtl.sweep(Noisy(), GRID, 9, KEY, path, progress=False, accept_versions=True)
    found = run(path, accept_versions=True)
    wanted = run()
    np.testing.assert_array_equal(found.gain, wanted.gain)
    (others,) = json.loads(found.attrs["accepted_versions"])
    assert others["numpy"] == "9.9.9" and json.loads(found.attrs["settings"])["versions"]["numpy"] != "9.9.9"
    assert "other versions went on with it: numpy 9.9.9" in mtl.explain(found)
    assert "accepted_versions" in run(path, accept_versions=True).attrs and "accepted_versions" not in wanted.attrs


def test_shards_of_two_patch_releases_are_joined_knowingly(tmp_path, monkeypatch):
    shards = [tmp_path / f"s{i}.nc" for i in (1, 2)]
    run(shards[0], shard="1/2")
    with monkeypatch.context() as context:
        of_other_versions(context, numpy="9.9.9")
        run(shards[1], shard="2/2")
    with pytest.raises(ValueError, match=r"versions.numpy is \"9.9.9\" there .*--accept-versions"):
        mtl.merge(shards, tmp_path / "all.nc")
    assert cli.main(["merge", *map(str, shards), "--out", str(tmp_path / "all.nc"), "--accept-versions"]) == 0
    found = datasets.load(tmp_path / "all.nc")
    np.testing.assert_array_equal(found.gain, run().gain)
    (others,) = json.loads(found.attrs["accepted_versions"])
    assert others["numpy"] == "9.9.9" and json.loads(found.attrs["settings"])["versions"]["numpy"] != "9.9.9"


def test_shards_of_a_sweep_that_went_on_say_so(tmp_path, monkeypatch):
    path = tmp_path / "a.nc"
    begin(path, monkeypatch)
    of_other_versions(monkeypatch, numpy="9.9.9")
    run(path, shard="1/2", accept_versions=True)
    run(path, shard="2/2", accept_versions=True)
    assert "9.9.9" in mtl.merge([path], tmp_path / "all.nc").attrs["accepted_versions"]


def test_another_mtlsim_is_never_accepted(tmp_path, monkeypatch):
    path = tmp_path / "a.nc"
    begin(path, monkeypatch)
    of_other_versions(monkeypatch, mtlsim="0.0.0")
    with pytest.raises(ValueError, match="versions.mtlsim is"):
        run(path, accept_versions=True)
    assert "--accept-versions" not in status(path) and "needs that mtlsim" in status(path)


def test_malformed_files_are_one_sentence():
    script, environment = Path(malformed.__file__), os.environ | {"JAX_ENABLE_X64": "1"}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment, timeout=200)
    assert done.stdout.strip() == f"0 of {len(malformed.MALFORMED)} end otherwise", done.stdout + done.stderr
    assert len(malformed.MALFORMED) > 130


class Returning(eqx.Module):
    """A cell that returns what it is told to."""

    told: str = eqx.field(static=True)
    drift: float = 0.0
    other: float = 0.0

    def __call__(self, *, key):
        number = jax.random.normal(key) + 3
        return {
            "nothing": None,
            "no name": number,
            "vector": {"gain": number * jnp.ones(3)},
            "complex": {"gain": 1j * number},
            "list": {"gain": number, "parts": [1.0, 2.0]},
            "key": {"gain": number, "key": key},
            "number as a name": {1: number},
            "slash": {"gain": number, "a/b": number},
            "seed": {"gain": number, "seed": number},
            "summary": {"gain": number, "gain_mean": number},
            "axis": {"gain": number, "drift": number},
            "points": {"gain": number, "points": number},
        }[self.told]


class Silent(eqx.Module):
    drift: float = 0.0
    other: float = 0.0


class Deaf(Silent):
    def __call__(self, draw):
        return {"gain": draw}


BAD_CELLS = [
    (lambda *, key: {"gain": 1.0}, "cell must be an object whose fields are its parameters, but is a function"),
    (None, "but is None"),
    (Returning, r"but is the class Returning; write Returning\("),
    (Silent(), r"cell must be called with a key, but is a Silent that cannot be called; give its class a def __call__"),
    (Deaf(), r"called with a key and nothing else, but is a Deaf with __call__\(draw\)"),
    (Returning("nothing"), r"what the cell returns must be numbers with their names, but is None; write return"),
    (Returning("no name"), "but is an array of no name"),
    (Returning("vector"), r"output 'gain' must be one number, but is of shape \(3,\)"),
    (Returning("complex"), "output 'gain' must be a real number, .* but is of dtype complex"),
    (Returning("list"), "output 'parts' must be a real number, .* but is a list"),
    (Returning("key"), "output 'key' must be a real number, .* but is of dtype key"),
    (Returning("number as a name"), "names of the cell's outputs must be words without /, but is 1"),
    (Returning("slash"), "but is 'a/b'; rename it"),
    (Returning("seed"), "others than a result's own, but is 'seed'"),
    (Returning("summary"), "others than a result's own, but is 'gain_mean'"),
    (Returning("axis"), "others than a result's own, but is 'drift'"),
    (Returning("points"), "others than a result's own, but is 'points'"),
]


@pytest.mark.parametrize("door", [mtl.sweep, mtl.estimate])
@pytest.mark.parametrize(("cell", "sentence"), BAD_CELLS)
def test_a_cell_that_lacks_something_is_one_sentence(cell, sentence, door):
    with pytest.raises(ValueError, match=sentence):
        door(cell, {"drift": [0.0, 1.0]}, 3, KEY)


@pytest.mark.parametrize(("cell", "sentence"), [BAD_CELLS[0], BAD_CELLS[3], BAD_CELLS[7], BAD_CELLS[9]])
def test_a_boundary_of_such_a_cell_is_the_same_sentence(cell, sentence):
    with pytest.raises(ValueError, match=sentence):
        mtl.find_boundary(cell, "drift", (0.0, 1.0), "other", (0.0, 1.0), n_lines=3, n_seeds=4)


class Plain(eqx.Module):
    """Numbers that are no arrays, and a gain that is a number up to a place."""

    drift: float = 0.0
    other: float = 0.0

    def __call__(self, *, key):
        return {"gain": jnp.sqrt(1 - self.drift) + 0 * self.other, "count": 3, "whole": True, "number": np.float64(0.5)}


def test_what_a_cell_returns_as_plain_numbers_is_kept():
    found = mtl.sweep(Plain(), {"drift": [0.0, 0.5]}, 2, KEY, progress=False)
    assert (found["count"] == 3).all() and found.whole.all() and (found.number == 0.5).all() and found.number.shape == (2, 2)
    with pytest.raises(ValueError, match="cell must be one that returns a gain, but is one of"):
        mtl.measure(NoGain(), 3, KEY)


class NoGain(Silent):
    def __call__(self, *, key):
        return {"loss": jax.random.normal(key)}


def test_no_gains_are_not_said_to_be_no_boundary():
    with pytest.raises(ValueError, match="source must be one with gains in this box, but is one whose gain is nowhere a number"):
        mtl.find_boundary(Plain(), "drift", (2.0, 3.0), "other", (0.0, 1.0), n_lines=3, n_seeds=4)
    none = mtl.find_boundary(Plain(), "drift", (0.0, 0.5), "other", (0.0, 1.0), n_lines=3, n_seeds=4)
    assert repr(none).startswith("Boundary in (drift, other): no points; ")
    pair = mtl.LinearTasks(n_features=20, n_samples=(5, 5), cosine=0.5, relation="same", design=mtl.Isotropic())
    exact = mtl.theory.pooled_least_squares(mtl.Transfer(pair, sharing="pooled"))
    with pytest.raises(ValueError, match="one whose assumptions hold nowhere in this box"):
        mtl.find_boundary(exact, "tasks.noise", (0.3, 3.0), "tasks.cosine", (0.0, 1.0), n_draws=1)
