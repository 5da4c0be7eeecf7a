"""How good fits of a ReLU unit are against many random starts, what they cost, and what the population map costs."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mtlsim as mtl
from mtlsim.samples.data import draw_rows
from mtlsim.solvers.gradient import solve_network
from mtlsim.solvers.network import Layers, Network, descend, objective
from mtlsim.solvers.relu_population import make_pair, solve_relu_pair

RECIPE = mtl.ReluTasks(n_features=50, n_samples=(200, 200), cosine=0.8, noise=0.5, design=mtl.Isotropic())
NETWORK = Network(jnp.ones(2), jnp.zeros(2), "relu", "squared")
N_PROBLEMS, N_RANDOM = 32, 100


def seconds(function, *arguments):
    """Result and time of a second call, the first having compiled."""
    jax.block_until_ready(function(*arguments))
    start = time.perf_counter()
    result = jax.block_until_ready(function(*arguments))
    return result, time.perf_counter() - start


def test_fits_against_the_best_of_a_hundred_random_starts():
    keys = jax.random.split(jax.random.key(7), N_PROBLEMS)

    def random(key):
        rows = draw_rows(RECIPE.draw(key=key), key=key)
        starts = jax.random.normal(key, (N_RANDOM, 50, 1)), jax.random.normal(jax.random.fold_in(key, 1), (N_RANDOM, 2, 1))
        widths = jnp.geomspace(1e-2, 1e-7, 50)
        return jnp.min(jax.lax.map(lambda start: objective(NETWORK, rows, descend(NETWORK, rows, Layers(*start), widths)), starts))

    best, spent = seconds(jax.jit(jax.vmap(random)), keys)
    print(f"\n{N_RANDOM} random starts: {1e3 * spent / N_PROBLEMS:.0f} ms a problem")
    for n_hops in (0, 8, 24):
        training = mtl.Training(n_hops=n_hops)
        fit = jax.jit(
            jax.vmap(lambda key, t=training: solve_network(NETWORK, draw_rows(RECIPE.draw(key=key), key=key), 1, t, key).loss)
        )
        losses, spent = seconds(fit, keys)
        excess = np.asarray(losses / best - 1)
        good = (excess <= 1e-6).mean()
        quality = f"no worse in {100 * good:.0f} %, median excess {np.median(excess):+.1e}"
        print(f"{n_hops:2d} hops: {quality}, {1e3 * spent / N_PROBLEMS:.0f} ms a problem")
    assert good >= 0.95


@pytest.mark.parametrize("n_cells", [41 * 31])
def test_population_map(n_cells):
    rng = np.random.default_rng(0)
    arguments = np.exp(rng.normal(size=(n_cells, 2, 20))), rng.normal(size=(n_cells, 2, 20)), np.exp(rng.normal(size=(n_cells, 2)))
    solve = jax.jit(jax.vmap(lambda *pair: solve_relu_pair(make_pair(*pair))))
    _, spent = seconds(solve, *arguments)
    print(f"\npopulation optimum of {n_cells} pairs, d = 20, one core: {spent:.2f} s")
    assert spent < 10
