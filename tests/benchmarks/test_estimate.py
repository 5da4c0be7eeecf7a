"""What `estimate` says against what `sweep` takes, each from nothing compiled: within a factor of 1.5.

`python -m pytest tests/benchmarks/test_estimate.py -s -o addopts= -o timeout=900`
"""

import time

import jax
import numpy as np
import pytest
from smoke import shown, sized

import mtlsim as mtl

ROWS = {"tasks.n_samples[0]": np.geomspace(10, 1e6, 13).round()}
SWEEPS = {
    "exact pairs": (mtl.Transfer(mtl.LinearTasks(20, (1000, 60), cosine=0.8)), ROWS | {"tasks.noise": [0.5, 1.0, 2.0]}, 2000),
    "pooled, three compiles": (
        mtl.Transfer(mtl.LinearTasks(10, (1000, 60), cosine=0.8), sharing="pooled"),
        ROWS | {"tasks.relation": ["same", "disjoint", "rotated"]},
        3000,
    ),
    "ReLU units": (mtl.Transfer(mtl.ReluTasks(8, (100, 50), cosine=0.8, noise=0.5)), {"tasks.noise": [0.3, 1.0, 3.0]}, 200),
}


@pytest.mark.parametrize("name", sized(list(SWEEPS), ["pooled, three compiles"]))
def test_an_estimate_is_within_a_factor_of_the_truth(name, tmp_path, capsys):
    cell, grid, n_seeds = SWEEPS[name]
    grid, n_seeds = sized(grid, {"tasks.noise": [0.5, 1.0]}), sized(n_seeds, 8)
    jax.clear_caches()
    found = mtl.estimate(cell, grid, n_seeds)
    jax.clear_caches()
    begun = time.perf_counter()
    mtl.sweep(cell, grid, n_seeds, jax.random.key(0), tmp_path / "a.nc", progress=False)
    taken = time.perf_counter() - begun
    with capsys.disabled():
        print(f"\n{name}: estimated {found.seconds():.1f} s, taken {taken:.1f} s, ratio {taken / found.seconds():.2f}")
        print(found.report())
    assert shown(1 / 1.5 < taken / found.seconds() < 1.5)
