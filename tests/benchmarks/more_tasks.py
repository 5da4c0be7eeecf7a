"""More than two tasks on one direction: the exact cell against a plain SciPy loop, and what a proof of the optimum costs.

    python tests/benchmarks/more_tasks.py [draws]

For every number of tasks K and of features d, on one core: seconds of compiling the cell; milliseconds a draw of the cell, of the
solver (without and with the proof) and of L-BFGS from eleven starts over the heads in SciPy, with derivatives worked out by hand
and with SciPy's differences; how many times the solver's these are; how often the solver's loss is the larger one; how many optima
are proven to 10^-6 of the smaller task's energy; the median gap with pairs alone and after the proof, over that energy.
"""

import os
import sys
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
os.environ.setdefault("JAX_ENABLE_X64", "1")

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
import scipy.optimize
from smoke import sized

import mtlsim as mtl
from mtlsim.core.compiler import QUICKLY, compile_with_nan
from mtlsim.core.status import Certificate

SIZES = sized(((3, 20), (4, 20), (5, 20), (10, 20), (3, 60)), ((3, 3), (6, 3)))
N_STARTS = sized(11, 2)
REPETITIONS = sized(3, 1)
N_PROOFS = 32


def peer(grams, sides, rng, derivatives):
    """The most that one direction explains: L-BFGS over the heads from random starts, a Cholesky factorisation a value."""
    n_tasks, d = sides.shape
    flat = grams.reshape(n_tasks, d * d)

    def objective(heads):
        gram, side = (heads**2 @ flat).reshape(d, d), heads @ sides
        direction = scipy.linalg.cho_solve(scipy.linalg.cho_factor(gram, check_finite=False), side, check_finite=False)
        value = -side @ direction
        return (value, -2 * (sides @ direction - heads * (grams @ direction @ direction))) if derivatives else value

    found = []
    for _ in range(N_STARTS):
        start = rng.standard_normal(n_tasks)
        options = {"ftol": 1e-15, "gtol": 1e-9}
        found.append(
            scipy.optimize.minimize(objective, start / np.linalg.norm(start), jac=derivatives, method="L-BFGS-B", options=options)
        )
    return -min(result.fun for result in found)


def timed(function, data):
    """What it returns, its seconds of compiling, as a sweep compiles it, and its least seconds of running."""
    start = time.perf_counter()
    compiled = compile_with_nan(jax.vmap(function), QUICKLY).lower(data).compile()
    seconds = time.perf_counter() - start
    times = []
    for _ in range(REPETITIONS):
        start = time.perf_counter()
        found = jax.block_until_ready(compiled(data))
        times.append(time.perf_counter() - start)
    return found, seconds, min(times)


def measure(n_tasks: int, d: int, n_draws: int) -> dict[str, float]:
    cell = mtl.Transfer(mtl.LinearTasks(n_features=d, n_samples=(4 * d,) * (n_tasks - 1) + (2 * d,), cosine=0.6, noise=0.5))
    keys = jax.random.split(jax.random.key(0), n_draws)
    moments = jax.jit(jax.vmap(lambda key: mtl.draw_moments(cell.tasks.draw(key=key), key=key)))(keys)
    _, compiling, whole = timed(lambda key: cell(key=key), keys)
    usual, _, plain = timed(lambda moments: mtl.solve(moments, 1), moments)
    some = jax.tree.map(lambda leaf: leaf[:N_PROOFS], moments)
    proven, _, proof = timed(lambda moments: mtl.solve(moments, 1, certify=True), some)
    rng, n_peers = np.random.default_rng(0), min(n_draws, 20)
    grams, sides = np.asarray(moments.gram), np.asarray(moments.cross)
    seconds = {}
    for derivatives in (False, True):
        start = time.perf_counter()
        reached = [peer(grams[i], sides[i], rng, derivatives) for i in range(n_peers)]
        seconds[derivatives] = (time.perf_counter() - start) / n_peers
    totals = np.asarray(jnp.sum(moments.energy, 1))[:n_peers]
    least = np.asarray(jnp.min(jnp.sum(moments.scores**2, 2), 1))
    losses = np.asarray(usual.loss)[:n_peers]
    return {
        "compile s": compiling,
        "cell ms": 1e3 * whole / n_draws,
        "solve ms": 1e3 * plain / n_draws,
        "SciPy ms": 1e3 * seconds[True],
        "times": seconds[True] / (plain / n_draws),
        "differences ms": 1e3 * seconds[False],
        "times of these": seconds[False] / (plain / n_draws),
        "worse": int(np.sum(losses > (totals - reached) + 1e-9 * totals)),
        "proof ms": 1e3 * proof / min(n_draws, N_PROOFS),
        "exact": float(np.mean(np.asarray(proven.certificate) == Certificate.exact)),
        "gap": float(np.median(usual.gap / least)),
        "proven gap": float(np.median(proven.gap / least[:N_PROOFS])),
    }


if __name__ == "__main__":
    n_draws = int(sys.argv[1]) if len(sys.argv) > 1 else sized(200, 4)
    print(
        " K   d  compile s  cell ms  solve ms  SciPy ms  times  differences ms  times  worse  proof ms  exact      gap  proven gap"
    )
    for n_tasks, d in SIZES:
        found = measure(n_tasks, d, n_draws)
        widths = (11, 9, 10, 10, 7, 16, 7, 7, 10, 7, 9, 12)
        shown = (f"{value:>{width}.3g}" for value, width in zip(found.values(), widths, strict=True))
        print(f"{n_tasks:2} {d:3} {''.join(shown)}", flush=True)
