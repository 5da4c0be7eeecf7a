"""Error of float32 against float64, on the same draws: a map of exact two-task cells over condition number and noise.

`python -m pytest tests/benchmarks/test_precision.py -s -o addopts= -o timeout=900`
"""

import jax
import jax.numpy as jnp
import numpy as np
from smoke import sized

import mtlsim as mtl
from mtlsim.core.status import Status
from mtlsim.core.verdict import summarise
from mtlsim.results.grid import as_leaves

CONDITION_NUMBERS, NOISES = sized((1.0, 1e2, 1e4, 1e6), (1.0,)), (0.5, 1.5, 5.0)
N_SEEDS, N_FEATURES, ROWS = sized((400, 20, (200, 60)), (8, 3, (30, 12)))
KEY = jax.random.key(0)


def solved(tasks, moments):
    """Gain, risk alone and status of one draw, in the precision of its moments."""
    alone, together = mtl.solve_single(moments[-1]), mtl.solve(moments, 1)
    risks = [tasks.excess_risk(parameters, -1) for parameters in (alone, together.parameters[-1])]
    return risks[0] - risks[1], risks[0], jnp.maximum(tasks.status, together.status)


def both(recipe, key):
    """The same draw solved in float64 and in float32."""
    tasks = recipe.draw(key=key)
    moments = mtl.draw_moments(tasks, key=key)
    low = jax.tree.map(lambda leaf: leaf.astype(jnp.float32) if leaf.dtype == jnp.float64 else leaf, (tasks, moments))
    return solved(tasks, moments), solved(*low)


def test_error_of_float32(capsys):
    """Where float32 says that it is fine, it has the sign of float64 and its first digits."""
    run = jax.jit(jax.vmap(both, (None, 0)))
    keys = jax.vmap(lambda seed: jax.random.fold_in(KEY, seed))(jnp.arange(N_SEEDS))
    lines = ["condition   noise   median error   99 % error   other sign   bad status (64 / 32)   verdict (64 / 32)"]
    worst = []
    for condition in CONDITION_NUMBERS:
        for noise in NOISES:
            design = mtl.Spiked(condition_number=condition)
            recipe = mtl.LinearTasks(n_features=N_FEATURES, n_samples=ROWS, cosine=0.8, alignment=1.0, noise=noise, design=design)
            (gain, risk, status), (low, _, low_status) = jax.tree.map(np.asarray, run(as_leaves(recipe), keys))
            fine = (status == Status.ok) & (low_status == Status.ok)
            error = np.abs(low - gain)[fine] / risk[fine]
            other = np.mean(np.sign(low[fine]) != np.sign(gain[fine])) if fine.any() else np.nan
            signs = [int(summarise(np.where(fine, values, np.nan))["sign"]) for values in (gain, low)]
            quantiles = np.quantile(error, [0.5, 0.99]) if fine.any() else (np.nan, np.nan)
            bad = 100 * np.mean(status != Status.ok), 100 * np.mean(low_status != Status.ok)
            lines.append(
                f"{condition:9.0e}{noise:8.1f}{quantiles[0]:15.1e}{quantiles[1]:13.1e}{100 * other:11.2f} %"
                f"{bad[0]:12.1f} / {bad[1]:5.1f} %{signs[0]:16d} / {signs[1]:2d}"
            )
            worst.append((fine.mean(), quantiles[1], other, signs[0] - signs[1]))
    with capsys.disabled():
        print("\n" + "\n".join(lines) + "\nerror: |gain32 - gain64| over the risk alone, where both say ok")
    trusted = np.array([row for row in worst if row[0] > 0.5])
    assert len(trusted) >= sized(6, 3) and trusted[:, 1].max() < 0.05 and (trusted[:, 3] == 0).all()
