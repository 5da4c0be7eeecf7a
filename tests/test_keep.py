"""Sums in place of draws: the same summary as of all draws, however it is cut, in a result that does not grow with the seeds."""

import jax
import numpy as np
import pytest
from noisy import Noisy

import mtlsim as mtl
from mtlsim.core.status import Status
from mtlsim.core.verdict import summarise_sums
from mtlsim.results.dataset import counts, load, sentence_on_status
from mtlsim.results.keep import condense, join, width_of
from mtlsim.results.plan import Chunk
from mtlsim.results.store import read_chunk
from mtlsim.results.watch import status
from mtlsim.sweeps import job

GRID = {"drift": np.linspace(-1, 1, 12)}
SUMMARY = ["gain_mean", "gain_standard_error", "gain_low", "gain_high", "gain_sign", "gain_n_seeds"]


def run(keep, path=None, n_seeds=20, **options):
    return mtl.sweep(Noisy(bad=1.0), GRID, n_seeds, jax.random.key(1), path, keep=keep, progress=False, **options)


@pytest.mark.parametrize("options", [{}, {"chunk_draws": 40}, {"budget": 100}, {"budget": 100, "chunk_draws": 40}])
def test_cells_have_the_summary_of_their_draws(options):
    draws, cells = run("draws", **options), run("cells", **options)
    for name in SUMMARY:
        np.testing.assert_allclose(cells[name], draws[name], rtol=1e-12, err_msg=name)
    np.testing.assert_array_equal(counts(cells, "status"), counts(draws, "status"))
    assert counts(draws, "status")[:, Status.not_converged].sum() == (draws.status == Status.not_converged).sum() > 0
    assert "seed" not in cells.dims and "gain" not in cells and cells.status_draws.dims == ("drift", "status_name")
    assert cells.status_draws.sel(status_name="not_converged").sum() > 0
    said, wanted = sentence_on_status(cells), sentence_on_status(draws)
    assert said == wanted.replace("ds.status == 3", "ds.status_draws[..., 3] > 0") != wanted
    assert mtl.explain(cells) == mtl.explain(draws)


def test_draws_without_a_number_are_counted_not_averaged():
    gain = np.array([[1.0, np.nan, 3.0], [np.nan] * 3])
    found = condense({"gain": gain, "status": np.array([[0, 2, 0], [2, 2, -1]])})
    np.testing.assert_array_equal(found["status_totals"], [[2, 0, 1, 0, 0, 0], [0, 0, 2, 0, 0, 0]])
    both = summarise_sums(join("gain", found["gain_totals"], condense({"gain": np.array([[5.0], [7.0]])})["gain_totals"]))
    np.testing.assert_allclose([both["n_seeds"], both["mean"], both["standard_error"]], [[3, 1], [3, 7], [2 / 3**0.5, np.inf]])


def test_other_outputs_keep_their_mean_and_error_and_their_own_axes():
    curve = mtl.TrainingCurve(mtl.ReluTasks(n_features=3, n_samples=(20, 10)), n_points=4)
    options = {"grid": {"tasks.noise": [0.5, 1.0]}, "n_seeds": 4, "key": jax.random.key(0), "progress": False}
    draws, cells = (mtl.sweep(curve, keep=keep, **options) for keep in ("draws", "cells"))
    name = next(name for name in draws.data_vars if draws[name].ndim == 3)
    np.testing.assert_allclose(cells[f"{name}_mean"], draws[name].mean("seed"), rtol=1e-10)
    error = draws[name].std("seed", ddof=1) / 2
    np.testing.assert_allclose(cells[f"{name}_standard_error"], error, rtol=1e-8, atol=1e-15)


def test_a_result_of_cells_is_kept_resumed_and_watched(tmp_path):
    data = run("cells", tmp_path / "a.nc", chunk_draws=40)
    np.testing.assert_array_equal(load(tmp_path / "a.nc").gain_mean, data.gain_mean)
    assert "20 seeds a cell" in status(tmp_path / "a.nc")
    with pytest.raises(ValueError, match="keep is"):
        run("draws", tmp_path / "a.nc")
    larger = run("cells", tmp_path / "b.nc", n_seeds=2000)
    assert abs((tmp_path / "b.nc").stat().st_size / (tmp_path / "a.nc").stat().st_size - 1) < 0.01
    assert larger.gain_n_seeds.values.tolist() == [2000] * 12


def test_a_result_that_no_memory_holds_is_refused_before_it_runs(monkeypatch):
    monkeypatch.setattr(job, "host_bytes", lambda: 3700)
    with pytest.raises(ValueError, match="keep must be 'cells' for .*e-06 GiB of a result"):
        run("draws", n_seeds=30)
    run("cells", n_seeds=30)
    with pytest.raises(ValueError, match="keep must be one of"):
        run("means")


def test_a_single_cell_too():
    for keep in ("draws", "cells"):
        data = mtl.sweep(Noisy(1.0), {}, 30, jax.random.key(0), keep=keep, progress=False)
        assert data.gain_sign.shape == () and data.gain_sign == 1


def test_accelerators_get_more_points_at_once():
    from mtlsim.results.grid import make_grid
    from mtlsim.results.plan import make_plan

    grid = make_grid(Noisy(), {"drift": list(range(1000))})
    cpu, gpu = (make_plan(grid, 10_000, 200, 1, 2, None, platform=platform) for platform in ("cpu", "gpu"))
    assert cpu.batch_points == 16 and gpu.batch_points == 512 and gpu.batch_seeds == 200
    assert [(c.start, c.stop) for c in gpu.chunks()] == [(0, 512), (512, 1000)]


def test_sums_of_an_earlier_form_are_added_up_again(tmp_path):
    """A chunk that was kept in another form is as good as missing: the same sweep runs it again."""
    chunk = Chunk(0, 0, 0, 0, 12)
    for name, there in (("gain_totals", True), ("gain_sums", False), ("gap_sums", False)):
        np.savez(tmp_path / chunk.name, points=np.arange(12), **{name: np.zeros((12, width_of("gain")[0]))})
        assert (read_chunk(tmp_path, chunk) is not None) == there


@pytest.mark.parametrize("size", [1.0, 1e200, 1e-200])
def test_sums_of_other_outputs_are_those_of_their_finite_draws_at_any_scale(size):
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=(3, 40)) + 2
    drawn[0, 5], drawn[1, 7], drawn[2] = np.inf, np.nan, 1.0
    parts = [condense({"risk": size * drawn[:, part]})["risk_totals"] for part in (slice(0, 1), slice(1, 15), slice(15, 40))]
    whole = condense({"risk": size * drawn})["risk_totals"]
    kept = [one[np.isfinite(one)] for one in drawn]
    wanted = np.array([[len(one), size * one.mean(), size * one.std() * np.sqrt(len(one))] for one in kept])
    for found in (whole, join("risk", join("risk", *parts[:2]), parts[2])):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-13 * size)
