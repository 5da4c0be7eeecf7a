"""Results on disk: resumed after a kill with the same numbers, never overwritten, sharded and merged."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
import sweep_to_kill
import xarray as xr

import mtlsim as mtl
from mtlsim.results import explain, settings, store
from mtlsim.results.dataset import load
from mtlsim.sweeps import execute as runs

KEY = jax.random.key(3)
CELL = mtl.Transfer(mtl.LinearTasks(n_features=5, n_samples=(30, 15)))
GRID = {"tasks.n_samples[0]": [5, 50, 500], "tasks.noise": [0.5, 2.0]}


def run(path, grid=GRID, n_seeds=4, **options):
    return mtl.sweep(CELL, grid, n_seeds, KEY, path, progress=False, chunk_draws=8, **options)


def test_a_result_holds_its_settings_and_comes_back_equal(tmp_path):
    data = run(tmp_path / "a.nc", attributes={"note": "mine"})
    again = load(tmp_path / "a.nc")
    xr.testing.assert_identical(data.drop_vars("seed"), again.drop_vars("seed"))
    settings = again.attrs["settings"]
    for word in ("LinearTasks", "versions", "jaxlib", "float64", "device", "tasks.n_samples[0]"):
        assert word in settings
    assert again["tasks.noise"].attrs["units"] and again.attrs["note"] == "mine"
    assert [file.name for file in tmp_path.iterdir()] == ["a.nc"]


def test_a_finished_sweep_is_not_computed_again(tmp_path, monkeypatch):
    data = run(tmp_path / "a.nc")
    monkeypatch.setattr(runs, "run_points", lambda *_: pytest.fail("computed again"))
    np.testing.assert_array_equal(run(tmp_path / "a.nc").gain, data.gain)


def test_what_other_code_made_is_said(tmp_path, monkeypatch, capsys):
    path = tmp_path / "a.nc"
    first = mtl.sweep(CELL, GRID, 4, KEY, path, shard="1/2")  # half of it, in its folder of parts
    capsys.readouterr()
    assert "other code" not in mtl.explain(first)
    here = json.loads(first.attrs["settings"])["source"]
    for module in (settings, explain):
        monkeypatch.setattr(module, "source_of_package", lambda: "another")
    last = mtl.sweep(CELL, GRID, 4, KEY, path)
    said = f"other code of mtlsim made it (source {here} there, another here)"
    assert f"going on with {path}.parts, but {said}; the result says so" in capsys.readouterr().err
    text = mtl.explain(last)
    assert said in text and "other versions went on with it: source of mtlsim another" in text
    np.testing.assert_array_equal(run(tmp_path / "b.nc").gain, last.gain)
    mtl.sweep(CELL, GRID, 4, KEY, path)
    assert capsys.readouterr().err == f"{path} is taken as it is, but {said}; move it away to have it made anew\n"
    mtl.sweep(CELL, GRID, 4, KEY, tmp_path / "b.nc")
    assert "taken as it is" not in capsys.readouterr().err


def test_code_that_numbers_come_from_has_a_hash(tmp_path, monkeypatch):
    (tmp_path / "plots").mkdir()
    found = []
    for name, text in (("solve.py", "1"), ("plots/curve.py", "1"), ("plots/curve.py", "2"), ("solve.py", "2"), ("sol.py", "2")):
        (tmp_path / name).write_text(text)
        monkeypatch.setattr(settings, "ROOT", tmp_path)
        found.append(settings.source_of_package.__wrapped__())
    assert found[0] == found[1] == found[2] and len(set(found)) == 3


def interrupt_after(monkeypatch, n_chunks):
    """Make the sweep die before computing chunk number n_chunks."""
    original, done = runs.run_points, []

    def dying(*arguments):
        if len(done) == n_chunks:
            raise KeyboardInterrupt
        done.append(1)
        return original(*arguments)

    monkeypatch.setattr(runs, "run_points", dying)
    return done


def test_an_interrupted_sweep_goes_on_where_it_stopped(tmp_path, monkeypatch):
    whole = run(tmp_path / "whole.nc")
    with monkeypatch.context() as context:
        interrupt_after(context, 2)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "a.nc")
    assert not (tmp_path / "a.nc").exists()
    with monkeypatch.context() as context:
        counted = interrupt_after(context, 100)
        resumed = run(tmp_path / "a.nc")
    assert len(counted) == 1
    np.testing.assert_array_equal(resumed.gain, whole.gain)


def test_a_torn_chunk_is_computed_again(tmp_path, monkeypatch):
    with monkeypatch.context() as context:
        interrupt_after(context, 2)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "a.nc")
    chunk = sorted((tmp_path / "a.nc.parts").glob("chunk-*.npz"))[0]
    chunk.write_bytes(chunk.read_bytes()[:-100])
    with monkeypatch.context() as context:
        counted = interrupt_after(context, 100)
        resumed = run(tmp_path / "a.nc")
    assert len(counted) == 2
    np.testing.assert_array_equal(resumed.gain, run(tmp_path / "whole.nc").gain)


@pytest.mark.pinned("the process that is killed draws by itself")
def test_sigkill_at_any_moment_loses_at_most_the_chunk_in_flight(tmp_path, monkeypatch):
    script = Path(__file__).with_name("sweep_to_kill.py")
    environment = os.environ | {"JAX_ENABLE_X64": "1", "OPENBLAS_NUM_THREADS": "1"}
    parts = tmp_path / "a.nc.parts"
    process = subprocess.Popen([sys.executable, script, tmp_path / "a.nc"], env=environment)
    deadline = time.monotonic() + 120
    while len(list(parts.glob("chunk-*.npz"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    kept = {file.name: file.stat().st_mtime_ns for file in parts.glob("chunk-*.npz")}
    assert len(kept) >= 3 and not (tmp_path / "a.nc").exists()
    with monkeypatch.context() as context:  # the chunks stay beside the result, to see which were computed again
        context.setattr(store.Parts, "remove", lambda self: None)
        sweep_to_kill.sweep(tmp_path / "a.nc")
    after = {file.name: file.stat().st_mtime_ns for file in parts.glob("chunk-*.npz")}
    assert all(after[name] == stamp for name, stamp in kept.items()) and len(after) > len(kept)
    # the killed process may round otherwise: it was compiled on other devices
    np.testing.assert_allclose(load(tmp_path / "a.nc").gain, sweep_to_kill.sweep(tmp_path / "b.nc").gain, rtol=1e-13)


def test_other_settings_are_refused_and_nothing_is_overwritten(tmp_path, monkeypatch):
    run(tmp_path / "a.nc")
    before = (tmp_path / "a.nc").read_bytes()
    with pytest.raises(ValueError, match=r"n_seeds is 4 there and 5 here.*choose another path"):
        run(tmp_path / "a.nc", n_seeds=5)
    assert (tmp_path / "a.nc").read_bytes() == before
    interrupt_after(monkeypatch, 1)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "b.nc")
    with pytest.raises(ValueError, match=r"made by other settings \(axes is"):
        run(tmp_path / "b.nc", grid={"tasks.noise": [1.0, 3.0]})


@pytest.mark.parametrize("content", [b"", b"not a netCDF file", None])
def test_foreign_and_truncated_files_are_refused_and_kept(tmp_path, content):
    path = tmp_path / "a.nc"
    if content is None:
        run(path)
        content = path.read_bytes()[:3000]
    path.write_bytes(content)
    with pytest.raises(ValueError, match="must be a whole result of mtlsim.sweep"):
        run(path)
    assert path.read_bytes() == content


def test_a_netcdf_file_of_somebody_else_is_refused(tmp_path):
    xr.Dataset({"gain": ("x", [1.0])}).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with pytest.raises(ValueError, match="must be a whole result of mtlsim.sweep"):
        run(tmp_path / "a.nc")


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="path must be in a folder that can be written"):
        run(tmp_path / "file" / "a.nc")
    with pytest.raises(ValueError, match=r"a file name ending in .nc"):
        run(tmp_path / "a.txt")


def test_shards_merge_to_the_whole_and_missing_ones_are_named(tmp_path):
    whole = run(tmp_path / "whole.nc")
    for i in (1, 2):
        run(tmp_path / f"s{i}.nc", shard=f"{i}/3")
        assert not (tmp_path / f"s{i}.nc").exists()
    pieces = [tmp_path / "s1.nc", tmp_path / "s2.nc.parts"]
    with pytest.raises(
        ValueError, match=r"pieces must hold all 3 chunks of the sweep, but 1 is missing \(chunk-000-00002-000.npz\)"
    ):
        mtl.merge(pieces, tmp_path / "merged.nc")
    assert not (tmp_path / "merged.nc").exists()
    run(tmp_path / "s3.nc", shard="3/3")
    merged = mtl.merge([*pieces, tmp_path / "s3.nc"], tmp_path / "merged.nc")
    np.testing.assert_array_equal(merged.gain, whole.gain)
    np.testing.assert_array_equal(load(tmp_path / "merged.nc").gain_sign, whole.gain_sign)


def test_shards_in_one_folder_and_pieces_of_different_sweeps(tmp_path):
    for i in (1, 2):
        run(tmp_path / "a.nc", shard=f"{i}/2")
    merged = mtl.merge([tmp_path / "a.nc.parts"], tmp_path / "merged.nc")
    np.testing.assert_array_equal(merged.gain, run(tmp_path / "whole.nc").gain)
    run(tmp_path / "b.nc", level=0.9, shard="1/2")
    with pytest.raises(ValueError, match="level is 0.9 there and 0.95 here"):
        mtl.merge([tmp_path / "a.nc.parts", tmp_path / "b.nc.parts"], tmp_path / "c.nc")
    with pytest.raises(ValueError, match="no readable manifest.json"):
        mtl.merge([tmp_path], tmp_path / "c.nc")
