"""Sweeps: the grid's names, the same numbers however they are cut, one compile, common random numbers, sequential seeds."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import untyped
from noisy import Noisy

import mtlsim as mtl
from mtlsim.results.grid import at_point, make_grid, parameters
from mtlsim.results.plan import bytes_per_draw, make_plan, parse_shard
from mtlsim.results.settings import facts
from mtlsim.solvers.solve import choose_route
from mtlsim.sweeps import execute, job

KEY = jax.random.key(7)
CELL = mtl.Transfer(mtl.LinearTasks(n_features=6, n_samples=(30, 15)))
GRID = {"tasks.n_samples[0]": [5, 50, 500], "tasks.noise": [0.5, 2.0]}


def run(grid=GRID, **options):
    """Six traced points, so that all grids of these names share a program."""
    return mtl.sweep(CELL, grid, 6, KEY, progress=False, **options)


def run_noisy(grid, n_seeds, **options):
    return mtl.sweep(Noisy(), grid, n_seeds, KEY, **({"progress": False} | options))


@pytest.fixture(scope="module")
def reference():
    return run()


def test_every_cell_is_the_cell_called_alone(reference):
    for n, noise in [(5, 0.5), (500, 2.0)]:
        cell = mtl.Transfer(mtl.LinearTasks(n_features=6, n_samples=(n, 15), noise=noise))
        for seed in (0, 5):
            draw = cell(key=jax.random.fold_in(KEY, seed))
            stored = reference.sel({"tasks.n_samples[0]": n, "tasks.noise": noise, "seed": seed})
            np.testing.assert_allclose(stored.gain, draw.gain, rtol=1e-9)
            np.testing.assert_allclose(stored.risk_single, draw.risk_single, rtol=1e-9)
            assert stored.status == draw.status


def test_the_rank_chooses_the_route(reference):
    assert reference.route == choose_route(2, 1, False, 6) and np.abs(reference.gain).min() > 1e-12
    grid = make_grid(CELL, GRID | {"rank": [1, 2]})
    draw = at_point(CELL, {"rank": grid.static_points()[1][0]})(key=KEY)
    assert draw.route == "separate" and abs(draw.gain) < 1e-12


def test_seeds_are_an_axis_and_a_longer_sweep_begins_with_the_same_ones():
    short, longer = (run_noisy({"drift": [0.0, 1.0, 2.0]}, n_seeds) for n_seeds in (6, 9))
    assert short.gain.dims == longer.gain.dims == ("drift", "seed") and longer.sizes["seed"] == 9
    np.testing.assert_allclose(longer.gain.values[..., :6], short.gain.values, rtol=1e-9)


class Unknown(eqx.Module):
    """A user's own cell, whose numbers hold a NaN that a unit and an extreme must not hide."""

    size: jax.Array | float = 1.0

    def __call__(self, *, key):
        numbers = self.size * jax.random.normal(key, (100,)).at[3].set(jnp.nan)  # of both axes, or too few to be fused
        return {"gain": jnp.sum(jax.nn.relu(numbers)), "largest": jnp.max(numbers)}


@pytest.mark.parametrize("first", ["cpu", "gpu"])
def test_a_sweep_never_loses_nan(first, monkeypatch):
    """On the devices that run it, whatever the first of the machine are."""
    if jax.default_backend() == "cpu":
        monkeypatch.setattr(jax, "default_backend", lambda: first)
    execute.compile_batch.cache_clear()
    data = mtl.sweep(Unknown(), {"size": [1.0, 2.0]}, 300, KEY, progress=False)
    assert np.isnan(data.gain).all() and np.isnan(data.largest).all()


def test_numbers_do_not_depend_on_chunks(reference):
    on_cpu = jax.default_backend() == "cpu"  # elsewhere kernels differ with the size of a batch
    np.testing.assert_allclose(run(chunk_draws=13).gain, reference.gain, rtol=1e-9 if on_cpu else 1e-7)
    grid = {"drift": np.linspace(-3, 3, 11), "law": ["normal", "logistic"]}
    for chunk_draws in (1, 6, 13):
        np.testing.assert_allclose(run_noisy(grid, 6, chunk_draws=chunk_draws).gain, run_noisy(grid, 6).gain, rtol=1e-9)


@pytest.mark.parametrize(
    ("points", "seeds", "split", "sizes"),
    [
        (1, 200, "seeds", (1, 200)),
        (16, 200, "seeds", (16, 44)),
        (16, 1, "points", (16, 1)),
        (3, 3, "seeds", (3, 4)),
        (1, 1, "seeds", (1, 2)),
    ],
)
def test_devices_share_what_is_repeated_least(points, seeds, split, sizes):
    """A sweep of one point ran it twice on two devices."""
    devices = jax.local_devices()[:1] * 2
    made, _ = job.make_job(Noisy(), {"drift": np.arange(float(points))}, seeds, KEY, facts(devices), 2)
    runner = execute.Runner(made, devices)
    assert (runner.split, (runner.batch_points, runner.batch_seeds)) == (split, sizes)


def test_common_random_numbers_make_neighbouring_cells_alike():
    close = run(GRID | {"tasks.noise": [1.0, 1.0001]}).gain.values
    assert np.std(close[:, 0] - close[:, 1]) < 1e-2 * np.std(close[:, 0])


def test_one_compile_for_all_traced_values_and_one_per_static_value(reference, monkeypatch):
    traces = []
    original = execute.outputs
    monkeypatch.setattr(execute, "outputs", lambda cell, key: traces.append(1) or original(cell, key))
    run({"tasks.n_samples[0]": [3, 70], "tasks.noise": [0.0, 1.0, 9.0]})
    assert not traces  # the program of the reference serves
    execute.compile_batch.cache_clear()
    run_noisy({"drift": np.arange(35.0)}, 7, chunk_draws=30)
    assert len(traces) == 1
    run_noisy({"law": ["normal", "logistic"], "drift": [1.0, 2.0]}, 3)
    assert len(traces) == 3


def test_static_axes_are_an_outer_loop():
    data = run_noisy({"drift": [1.0, 2.0, 3.0], "scale": [1, 5, 9], "law": ["normal", "logistic"]}, 3)
    assert data.gain.dims == ("drift", "scale", "law", "seed")
    for scale, law in itertools.product((1, 5, 9), ("normal", "logistic")):
        alone = mtl.sweep(Noisy(scale=scale, law=law), {"drift": [1.0, 2.0, 3.0]}, 3, KEY, progress=False)
        np.testing.assert_allclose(data.gain.sel(scale=scale, law=law), alone.gain, rtol=1e-9)
        assert data.route.sel(scale=scale, law=law) == law


def test_the_summary_is_that_of_a_regression_on_what_is_known(reference):
    """The mean gain is the intercept over the risk alone less its expectation, with the intercept's standard error."""
    cell = reference.isel({"tasks.n_samples[0]": 0, "tasks.noise": 1})
    design = np.stack([np.ones_like(cell.gain), cell.control], 1)
    coefficients, squares, *_ = np.linalg.lstsq(design, cell.gain.values, rcond=None)
    error = np.sqrt(squares[0] / (len(design) - 2) * np.linalg.inv(design.T @ design)[0, 0])
    np.testing.assert_allclose([cell.gain_mean, cell.gain_standard_error], [coefficients[0], error])
    assert cell.gain_low < cell.gain_mean < cell.gain_high


def test_degenerate_cells_are_counted_not_hidden(capsys):
    data = run_noisy({"void": [1.0, 2.0, 0.0]}, 4, progress=True)
    assert (data.status.values == [[2], [2], [0]]).all()
    assert np.isnan(data.gain.values[:2]).all() and np.isfinite(data.gain.values[2]).all()
    assert data.gain_sign.values[:2].tolist() == [0, 0]
    assert "2 of 3 cells: degenerate in 8 of 12 draws; see ds.where(ds.status == 2)" in capsys.readouterr().err


class Wanting(eqx.Module):
    """A user's own cell, without a status, whose gain is no number in some draws, and too large a one from a size on."""

    size: jax.Array | float = 1.0

    def __call__(self, *, key):
        drawn = jax.random.normal(key)
        return {"gain": jnp.where(drawn < 0, jnp.nan, drawn * self.size * self.size)}


@pytest.mark.parametrize("keep", ["draws", "cells"])
def test_gains_that_are_no_number_are_counted_not_hidden(keep, capsys):
    """A mean over the other draws is another mean, and a reader is told."""
    data = mtl.sweep(Wanting(), {"size": [1.0, 1e200]}, 50, KEY, keep=keep)
    lost = sum(bool(jnp.isnan(Wanting()(key=jax.random.fold_in(KEY, seed))["gain"])) for seed in range(50))
    assert 0 < lost < 50
    told = f"2 of 2 cells: out_of_range in {lost + 50} of 100 draws"
    assert told in capsys.readouterr().err and f"out_of_range on {lost + 50} %" in mtl.explain(data)
    assert data.gain_n_seeds.values.tolist() == [50 - lost, 0]


def test_gains_whose_squares_overflow_are_decided_as_smaller_ones_are():
    data = mtl.sweep(Unbounded(), {"size": [1.0, 1e160, 1e-200]}, 20, KEY, budget=60, progress=False)
    assert data.gain_n_seeds.values.tolist() == [20] * 3 and data.gain_sign.values.tolist() == [1] * 3
    np.testing.assert_allclose(data.gain_low.values / [1.0, 1e160, 1e-200], float(data.gain_low[0]), rtol=1e-12)


class Unbounded(eqx.Module):
    size: jax.Array | float = 1.0

    def __call__(self, *, key):
        return {"gain": (5 + jax.random.normal(key)) * self.size}


def test_the_plan_is_announced(capsys):
    run_noisy({"law": ["normal", "logistic"], "drift": [1.0, 2.0]}, 3, progress=True)
    text = capsys.readouterr().err
    assert "4 cells x 3 seeds in 2 chunks; 2 compiles, one per law; about" in text and "MiB at a time on" in text


def test_sequential_seeds_stop_where_the_sign_is_decided():
    grid = {"drift": [-1.0, 0.1, 1.0]}
    data = run_noisy(grid, 16, budget=160, chunk_draws=1)
    spent = np.isfinite(data.gain.values).sum(-1)
    decided = data.gain_sign.values != 0
    assert data.attrs["level"] == pytest.approx(0.98938, abs=1e-5)
    assert decided[0] and decided[2] and (spent[[0, 2]] < 160).all()
    assert ((spent == 160) | decided).all()
    ran = np.isfinite(data.gain.values)
    np.testing.assert_allclose(data.gain.values[ran], run_noisy(grid, 160).gain.values[ran], rtol=1e-9)


def test_measure_gives_a_verdict_in_words():
    verdict = mtl.measure(Noisy(1.0), 60, KEY)
    assert verdict.word == "positive" and verdict.low > 0 and verdict.n_seeds == 60
    assert str(verdict).startswith("positive transfer: gain ") and "95 % interval" in str(verdict)


def test_every_listed_parameter_can_be_set():
    for name, static in parameters(CELL):
        if not static:
            changed = at_point(CELL, {name: 1.0 if "n_samples" in name or "condition" in name else 0.9})
            assert str(changed) != str(CELL) or "norm" in name or name.startswith("tasks.alignment")


@pytest.mark.parametrize(
    ("grid", "sentence"),
    [
        ({"tasks.nois": [1.0]}, "did you mean 'tasks.noise'"),
        ({"tasks.noise": []}, "but is empty"),
        ({"tasks.noise": [1.0, 1.0]}, "drop the repeated ones"),
        ({"tasks.noise": [1.0, -1.0]}, "noise must be a standard deviation >= 0"),
        ({"tasks.n_samples[0]": [1.5]}, "n_samples must be whole numbers >= 1"),
        ({"tasks.cosine": [0.0, 1.5]}, "cosine must be between -1 and 1"),
        ({"tasks.alignment": [0.01, 1.0]}, "alignment must be at least"),
        ({"rank": [1, 0]}, "rank must be a whole number from 1 to n_features = 6"),
        ({"rank": [1, 7]}, "rank must be a whole number from 1 to n_features = 6"),
        ({"tasks..noise": [1.0]}, "grid must be made of the cell's parameters"),
    ],
)
def test_bad_grids_are_one_sentence(grid, sentence):
    with pytest.raises(ValueError, match="^[^\n]*$") as error:
        mtl.sweep(CELL, grid, 2, KEY, progress=False)
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"n_seeds": 0}, "n_seeds must be a whole number >= 1"),
        ({"n_seeds": 4, "budget": 3}, "budget must be at least n_seeds = 4"),
        ({"n_seeds": 4, "level": 1.0}, "level must be between 0 and 1"),
        ({"n_seeds": 4, "shard": "5/4"}, "shard must be i/N"),
        ({"n_seeds": 4, "key": None}, "key must be a new-style key, but is missing"),
        ({"n_seeds": 4, "key": np.zeros(2, np.uint32)}, "key must be a new-style key"),
    ],
)
def test_bad_options_are_one_sentence(options, sentence):
    with pytest.raises(ValueError) as error:
        untyped(mtl.sweep)(CELL, GRID, **({"key": KEY, "progress": False} | options))
    assert sentence in str(error.value)


def test_the_plan_covers_every_point_once_in_every_shard_layout():
    grid = make_grid(CELL, {"tasks.noise": np.linspace(0.1, 1, 23), "rank": [1, 2]})
    plan = make_plan(grid, bytes_per_draw(6, 2, 8), 10, 2, 2, 50)
    every = [(c.static, c.round, p) for c in plan.chunks() for p in range(c.start, c.stop)]
    assert len(every) == len(set(every)) == 2 * 2 * 23
    pieces = [chunk for i in (1, 2, 3) for chunk in plan.chunks((i, 3))]
    assert sorted(pieces, key=lambda c: c.name) == sorted(plan.chunks(), key=lambda c: c.name)
    assert parse_shard("2/3") == (2, 3) and parse_shard(None) == (1, 1)


def test_an_angle_is_swept_as_its_cosine_is():
    cell, angles = mtl.Transfer(mtl.LinearTasks(3, (9, 8)), sharing="pooled"), [0.0, 60.0, 180.0]
    over = lambda name, values: mtl.sweep(cell, {name: values}, 3, jax.random.key(0), progress=False)["gain"]
    found = over("tasks.angle", angles)
    np.testing.assert_allclose(found.values, over("tasks.cosine", np.cos(np.deg2rad(angles))).values, rtol=1e-12)
    assert found["tasks.angle"].attrs["units"] == "degrees"
    for grid in ({"tasks.angle": angles, "tasks.cosine[0]": [0.1]}, {"tasks.noise": [1.0], "tasks.noise[1]": [2.0]}):
        with pytest.raises(ValueError, match="made of different parameters"):
            mtl.sweep(cell, grid, 3, jax.random.key(0), progress=False)


def test_a_cell_may_mean_something_else_by_solved():
    """`Transfer.solved` says that nothing is trained; a field of that name in a cell of one's own is a field."""

    class Puzzle(eqx.Module):
        solved: jax.Array | float = 0.5

        def __call__(self, *, key):
            return {"gain": self.solved + jax.random.normal(key)}

    data = mtl.sweep(Puzzle(), {"solved": [0.0, 1.0]}, 3, jax.random.key(0), progress=False)
    np.testing.assert_allclose(data.gain[1] - data.gain[0], 1)
    assert mtl.Transfer(mtl.LinearTasks()).solved and not mtl.Transfer(mtl.ReluTasks()).solved
