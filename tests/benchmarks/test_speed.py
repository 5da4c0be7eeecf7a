"""Ratios measured side by side in one run; run with `python -m pytest tests/benchmarks -s -p no:cacheprovider`.

Each is the shortest of several repetitions, compile time apart. On one core: prefix the command with `taskset -c 0`.
"""

import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import peer
from exact_cell import N_POINTS, best_seconds, run_cell
from smoke import shown, sized
from threadpoolctl import threadpool_limits

import mtlsim as mtl
from mtlsim.samples import draw_moments
from mtlsim.theory.predictor import Spectra, diagonalise_pair, predict_pooled

KEY = jax.random.key(0)


def seconds_per_draw(cell, n_source, n_seeds=4):
    return best_seconds(run_cell(cell, n_source, n_seeds)) / (N_POINTS * n_seeds)


def test_cost_does_not_grow_with_the_sample_size():
    cell = mtl.Transfer(mtl.LinearTasks(n_features=sized(50, 3), n_samples=(1000, 150)))
    ratios = [seconds_per_draw(cell, 1e9) / seconds_per_draw(cell, 1e3) for _ in range(sized(5, 1))]
    print(f"\ncost at 10^9 rows over 10^3 rows: {np.median(ratios):.2f}")
    assert shown(np.median(ratios) <= 1.1)


def test_the_predictor():
    """10 000 settings of two tasks with commuting covariances, d = 100; and pairs of any covariances against one batched eigh."""
    d, rng = sized(100, 3), np.random.default_rng(0)
    spectra, parameters = rng.uniform(0.1, 10, (2, d)), rng.standard_normal((2, d))
    form = Spectra(jnp.asarray(spectra), jnp.asarray(parameters), jnp.ones(d))
    rows, noise = jnp.asarray(rng.uniform(150, 2000, (10_000, 2))), jnp.asarray(rng.uniform(0.1, 2, (10_000, 2)))
    weights = jnp.asarray(rng.uniform(0.1, 3, (10_000, 2)))
    many = jax.jit(jax.vmap(lambda n, s, w: predict_pooled(form, n, s, w, 1.0).risk))
    seconds = best_seconds(lambda: many(rows, noise, weights))
    roots = rng.standard_normal((32, 2, d, d)) / np.sqrt(d)
    pairs = jnp.asarray(roots @ roots.swapaxes(-1, -2) + 0.1 * np.eye(d))
    one = lambda c: predict_pooled(diagonalise_pair(c, form.parameters), rows[0], noise[0], weights[0]).risk
    any_pair, plain = jax.jit(jax.vmap(one)), jax.jit(jax.vmap(jnp.linalg.eigh))
    dense, eigh = best_seconds(lambda: any_pair(pairs)), best_seconds(lambda: plain(pairs[:, 0]))
    print(f"\n10 000 commuting settings {seconds:.2f} s; a pair of any covariances over one eigh {dense / eigh:.2f}")
    assert shown(seconds < 2 and dense < 1.6 * eigh)


def test_the_sample_size_figure_against_numpy():
    """d = 100, sources 250, 500, ..., 10 000 and 100 000, three relations: seconds per draw, one core each."""
    d, design = sized(100, 3), mtl.Spiked(1e4, 0.1)
    covariance = np.asarray(design.draw(d).matrix())
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.standard_normal((d, d)))[0]
    roots = {
        "same": np.sqrt(covariance),
        "disjoint": np.sqrt(covariance[::-1, ::-1]),
        "rotated": rotation @ np.sqrt(covariance),
    }
    sources = sized([250, *range(500, 10_001, 500)], [250, 1000, 10_000])
    roots = sized(roots, {"same": roots["same"]})
    ours, theirs = {}, {}
    with threadpool_limits(1):
        for relation, root in roots.items():
            tasks = mtl.LinearTasks(n_features=d, n_samples=(1000, 150), cosine=0.96, design=design, relation=relation)
            each = seconds_per_draw(mtl.Transfer(tasks), 1000)
            for n in [*sources, 100_000]:
                repetitions = 3 if n < 10_000 else 1
                start = time.perf_counter()
                for _ in range(repetitions):
                    peer.cell(rng, (root, roots["same"]), 0.96, (n, 150), 1.0)
                theirs[relation, n] = (time.perf_counter() - start) / repetitions
                ours[relation, n] = each
    figure = sum(theirs[r, n] for r in roots for n in sources) / sum(ours[r, n] for r in roots for n in sources)
    largest = np.mean([theirs[r, 100_000] / ours[r, 100_000] for r in roots])
    times = {n: 1e3 * np.mean([theirs[r, n] for r in roots]) for n in (250, 1000, 10_000, 100_000)}
    print("\npeer, ms a draw: " + ", ".join(f"{n} rows {t:.1f}" for n, t in times.items()))
    print(f"mtlsim, ms a draw: {1e3 * np.mean(list(ours.values())):.2f} at any number of rows")
    print(f"over the figure {figure:.0f} times faster, at 10^5 rows {largest:.0f} times")
    assert shown(figure >= 10 and largest >= 100)


def test_objectives_equal_the_peers_on_the_same_moments():
    rng = np.random.default_rng(1)
    worst = 0.0
    for _ in range(sized(20, 2)):
        tasks = mtl.LinearTasks(n_features=sized(30, 3), n_samples=(int(rng.integers(40, 3000)), 60), alignment=0.6).draw(key=KEY)
        moments = draw_moments(tasks, key=jax.random.key(int(rng.integers(10**6))))
        grams, crosses = np.asarray(moments.gram), np.asarray(moments.cross)
        _, energy = peer.best_direction(grams[0], crosses[0], grams[1], crosses[1])
        solution = mtl.solve(moments, 1)
        ours = float(moments.energy.sum() - solution.loss)
        worst = max(worst, abs(ours - energy) / energy)
    print(f"\nlargest relative difference of the explained energies: {worst:.1e}")
    assert worst < 1e-8


def run_fresh(program, **environment):
    """A program in a process of its own: its output and seconds."""
    start = time.perf_counter()
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, **environment}, check=True
    )
    return run.stdout, time.perf_counter() - start


SWEEP = """
from mtlsim.launcher import prepare
prepare({n_devices})
import time, jax, numpy as np, mtlsim as mtl
cell = mtl.Transfer(mtl.LinearTasks(n_features={d}, n_samples=(1000, 200)))
grid = {{"tasks.n_samples[0]": np.geomspace(10, 1e5, 16).round()}}
mtl.sweep(cell, grid, {n_seeds}, jax.random.key(0), progress=False)
start = time.perf_counter()
mtl.sweep(cell, grid, 10 * {n_seeds}, jax.random.key(0), progress=False)
print(time.perf_counter() - start)
"""


def test_two_host_devices_against_one():
    size = {"n_seeds": sized(400, 1), "d": sized(40, 3)}
    seconds = {n: float(run_fresh(SWEEP.format(n_devices=n, **size), XLA_FLAGS="")[0]) for n in (1, 2)}
    print(f"\none device {seconds[1]:.1f} s, two {seconds[2]:.1f} s: {seconds[1] / seconds[2]:.2f} times")
    assert shown(seconds[1] / seconds[2] >= 1.5)


MILLION = """
from mtlsim.launcher import prepare
prepare()
import resource, jax, numpy as np, mtlsim as mtl
cell = mtl.Transfer(mtl.LinearTasks(n_features=20, n_samples=(1000, 100)))
grid = {"tasks.n_samples[0]": np.geomspace(10, 1e5, 100).round(), "tasks.noise": [0.5, 1, 2, 4, 8]}
data = mtl.sweep(cell, grid, n_seeds, jax.random.key(0), "million.nc", progress=False)
assert data.gain.size == 500 * n_seeds
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


def test_a_million_draws_stay_under_two_gibibytes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    output, seconds = run_fresh(f"n_seeds = {sized(2000, 2)}\n{MILLION}")
    print(f"\n10^6 draws at d = 20: {float(output):.2f} GiB, {seconds:.0f} s")
    assert float(output) < 2


def test_the_first_figure_on_a_cold_cache(tmp_path):
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "XLA_FLAGS": ""}
    start = time.perf_counter()
    fast = sized([], ["--fast", "--seeds", "2"])
    command = [sys.executable, "-m", "mtlsim", "figure", "transfer-map", "--out", tmp_path, *fast]
    subprocess.run(command, env=environment, check=True)
    seconds = time.perf_counter() - start
    print(f"\ntransfer-map on a cold cache: {seconds:.0f} s")
    assert shown(seconds < 60)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 4 * 2**20


def test_the_example_of_the_readme_on_a_cold_cache(tmp_path, monkeypatch):
    text = (Path(__file__).parents[2] / "README.md").read_text()
    program = re.search(r"<!-- example -->\n+```python\n(.*?)```", text, re.DOTALL)[1]
    monkeypatch.chdir(tmp_path)
    first, again = (run_fresh(program, XDG_CACHE_HOME=str(tmp_path / "cache"), XLA_FLAGS="")[1] for _ in range(2))
    print(f"\nthe example of the README: {first:.0f} s on a cold cache, {again:.0f} s afterwards")
    assert shown(first < 30)
