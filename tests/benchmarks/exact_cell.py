"""What one exact cell costs, by parts and by form of the solver, on whatever backend jax offers.

Run `python tests/benchmarks/exact_cell.py [d ...]` (with MTLSIM_SMOKE=1 in seconds): on an accelerator it is also compared with
one CPU core. The floor is the sum of the parts that no such program can leave out, each run alone: its normals (shared by the
points of a batch), chi-squares, one triangular solve with a matrix, one product and one tridiagonalisation.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import linalg as lax_linalg
from smoke import sized

import mtlsim as mtl
from mtlsim.core import linalg
from mtlsim.core.keys import normal
from mtlsim.results.grid import as_leaves
from mtlsim.results.plan import BATCH_BYTES, bytes_per_draw
from mtlsim.samples.chi_square import draw_chi_squares
from mtlsim.samples.wishart import Variates, draw_factor
from mtlsim.solvers.objective import best_heads
from mtlsim.solvers.pair import whiten_factors
from mtlsim.solvers.secular import make_pencil, maximize
from mtlsim.solvers.single import solve_single
from mtlsim.solvers.solve import PAIR_FORMS
from mtlsim.sweeps.execute import compile_batch

KEY = jax.random.key(0)
REPETITIONS = sized(15, 1)
DIMENSIONS = sized((20, 50, 100, 200), (3,))
N_POINTS = 8
ON_ACCELERATOR = 64  # times as many


def best_seconds(call, repetitions=REPETITIONS):
    """The shortest of several times, compiling apart: other programs only add to it."""
    jax.block_until_ready(call())
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - start)
    return min(times)


def run_cell(cell, n_source, n_seeds):
    """A call of one batch as a sweep runs it, on one device: {output: (seeds, points)}."""
    batch = compile_batch(("tasks.n_samples[0]",), tuple(jax.devices()[:1]), quickly=True)
    values = np.full((N_POINTS, 1), float(n_source)) + np.arange(N_POINTS)[:, None]
    leaves, seeds = as_leaves(cell), np.arange(n_seeds, dtype=np.uint32)
    return lambda: batch(leaves, values, KEY, seeds)


def is_on_cpu() -> bool:
    return jax.default_backend() == "cpu"


def draws_of_a_call(d: int) -> int:
    """What a sweep gives one compiled call on a CPU core."""
    fitting = BATCH_BYTES // bytes_per_draw(d, 2, np.dtype(jnp.result_type(float)).itemsize)
    return sized(max(1, fitting // N_POINTS), 1) * N_POINTS


def measure(d: int) -> dict:
    """Seconds per problem of the cell and of its parts, in the present precision, and the gains of the first draws."""
    n_draws = draws_of_a_call(d) * (1 if is_on_cpu() else ON_ACCELERATOR)
    cell = mtl.Transfer(mtl.LinearTasks(n_features=d, n_samples=(10 * d, 2 * d)))
    keys = jax.random.split(KEY, n_draws)
    tasks = jax.jit(jax.vmap(lambda key: cell.tasks.draw(key=key)))(keys)
    moments = jax.jit(jax.vmap(lambda tasks, key: mtl.draw_moments(tasks, key=key)))(tasks, keys)
    none, no = jnp.zeros((), moments.gram.dtype), jnp.zeros((), bool)

    def of_each(function, *arguments, share=1):
        run = jax.jit(jax.vmap(function))
        return best_seconds(lambda: run(*arguments)) / n_draws / share

    def whiten(m):
        return whiten_factors(tuple(m.factor), (none, none), m.n_samples[0] < d, jnp.zeros_like(m.gram[0]))

    def pencil(m):
        return make_pencil(*whiten(m), tuple(m.cross), tuple(m.energy), (no, no))

    def factors(below, squares, tasks):
        return [draw_factor(Variates(below[i], squares[i], none, squares[i]), tasks.covariances[i]) for i in range(2)]

    def end(tasks, m, pencil):
        direction = pencil.solve(pencil.scale)
        heads, _ = best_heads(m, jnp.ones(2), jnp.zeros(2), direction)
        return tasks.excess_risk(heads[-1] * direction), tasks.excess_risk(m.cross[-1])

    below, squares = jnp.ones((n_draws, 2, -(-d // 2), d)), jnp.ones((n_draws, 2, d))
    pencils = jax.jit(jax.vmap(pencil))(moments)
    right, bordered = moments.factor[:, 1], jnp.pad(moments.gram[:, 0], ((0, 0), (1, 0), (1, 0)))
    call = run_cell(cell, 10 * d, n_draws // N_POINTS)
    parts = {
        "normals": of_each(lambda key: normal(key, (2, -(-d // 2), d)), keys, share=N_POINTS),
        "chi squares": of_each(lambda key: draw_chi_squares(key, 2.0 * d - jnp.arange(2.0 * d + 2) / 2), keys),
        "factors": of_each(factors, below, squares, tasks),
        "STL": of_each(lambda m: solve_single(m[-1]), moments),
        "pencil": of_each(pencil, moments),
        "search": of_each(maximize, pencils),
        "heads, risks": of_each(end, tasks, moments, pencils),
    }
    bricks = {
        "triangular solve": of_each(lambda a, b: linalg.solve_lower_right(a, b.T), moments.factor[:, 0], right),
        "product": of_each(lambda a: linalg.multiply(a, a.T), right),
        "tridiagonal": of_each(lambda a: lax_linalg.tridiagonal(a, lower=True)[1:], bordered) if is_on_cpu() else 0.0,
    }
    forms = {}
    for route, form in list(PAIR_FORMS.items())[: sized(None, 1)]:
        if form == "jacobi" and is_on_cpu():  # which accelerators alone offer: `solve` says so
            continue
        try:
            forms[form] = of_each(lambda m, route=route: mtl.solve(m, 1, route=route).parameters, moments)
        except NotImplementedError:
            forms[form] = np.nan
    floor = parts["normals"] + parts["chi squares"] + sum(bricks.values())
    return {
        "cell": best_seconds(call) / n_draws,
        "eigh": of_each(jnp.linalg.eigh, moments.gram[:, 0]),
        "two Cholesky": of_each(linalg.cholesky, moments.gram.reshape(-1, d, d)[: 2 * n_draws].reshape(n_draws, 2, d, d)),
        "floor": floor,
        "parts": parts,
        "forms": forms,
        "gain": np.asarray(call()["gain"])[: draws_of_a_call(d) // N_POINTS],
    }


def report(d: int, found: dict) -> str:
    """The lines of one size: rate, ratios, parts and forms, in microseconds per problem."""
    line = lambda times: ", ".join(f"{name} {1e6 * t:.1f}" for name, t in times.items())
    cell = found["cell"]
    ratios = {"eigh": cell / found["eigh"], "two Cholesky": cell / found["two Cholesky"], "floor": cell / found["floor"]}
    return (
        f"d = {d:3d} {jnp.zeros(()).dtype}: {1 / cell:9.0f} problems/s, {1e6 * cell:7.1f} us; over one batched eigh "
        f"{ratios['eigh']:.2f}, over two Cholesky factors {ratios['two Cholesky']:.1f}, over the floor {ratios['floor']:.2f}\n"
        f"    parts: {line(found['parts'])}\n    whole solver by form: {line(found['forms'])}"
    )


def measure_all(dimensions: list[int], tell) -> dict[str, dict]:
    """All sizes in both precisions: {'float64 100': what `measure` found}."""
    found = {}
    for wide in sized((True, False), (True,)):
        with jax.enable_x64(wide):
            for d in dimensions:
                name = f"{jnp.zeros(()).dtype} {d}"
                found[name] = measure(d)
                tell(report(d, found[name]))
    return found


def compare(found: dict[str, dict], folder: Path) -> None:
    """Beside one CPU core, which a process of its own has measured."""
    for name, here in found.items():
        core = np.load(folder / f"{name}.npz")
        off = np.nanmax(np.abs(here["gain"] - core["gain"])) / np.nanmax(np.abs(core["gain"]))
        print(f"{name}: {core['cell'] / here['cell']:.1f} times one CPU core; gains agree to {off:.1e} of the largest")


def main(arguments: list[str]) -> None:
    dimensions = [int(one) for one in arguments if one.isdigit()] or list(DIMENSIONS)
    if "--core" in arguments:  # the process that an accelerator is compared with
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        for name, one in measure_all(dimensions, lambda line: None).items():
            np.savez(Path(arguments[-1]) / f"{name}.npz", cell=one["cell"], gain=one["gain"])
        return
    print(f"microseconds per problem on {jax.devices()[0].device_kind}")
    found = measure_all(dimensions, lambda line: print(line, flush=True))
    if is_on_cpu():
        print("no accelerator: only the CPU was measured")
        return
    with tempfile.TemporaryDirectory() as folder:
        program = [sys.executable, __file__, *map(str, dimensions), "--core", folder]
        subprocess.run(program, env={**os.environ, "JAX_PLATFORMS": "cpu"}, check=True)
        compare(found, Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
