"""How good fits of a ReLU unit are against many random starts, what they cost beside PyTorch and NumPy, and the population map."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from relu_peers import batched_search, restart_until
from smoke import shown, sized

import mtlsim as mtl
from mtlsim.samples.data import draw_rows
from mtlsim.solvers.continuation import make_plan
from mtlsim.solvers.network import Layers, Network, descend, objective
from mtlsim.solvers.relu_population import make_pair, solve_relu_pair
from mtlsim.training.network import solve_network

D, N = sized((50, 200), (3, 20))
RECIPE = mtl.ReluTasks(n_features=D, n_samples=(N, N), cosine=0.8, noise=0.5, design=mtl.Isotropic())
NETWORK = Network(jnp.ones(2), jnp.zeros(2), "relu", "squared")
N_PROBLEMS, N_RANDOM, BATCH = sized((64, 100, 8), (2, 3, 2))
CELLS_AND_SEEDS = 30 * 200


def seconds(function, *arguments):
    """Result and time of a second call, the first having compiled."""
    jax.block_until_ready(function(*arguments))
    start = time.perf_counter()
    result = jax.block_until_ready(function(*arguments))
    return result, time.perf_counter() - start


def in_batches(function, *arguments):
    """The vmapped function over a few problems at a time, which stay in the caches, as a sweep runs them."""
    run = jax.jit(jax.vmap(function))

    def over(*arguments):
        parts = range(0, len(jax.tree.leaves(arguments)[0]), BATCH)
        return np.concatenate([run(*jax.tree.map(lambda leaf: leaf[i : i + BATCH], arguments)) for i in parts])  # noqa: B023

    return seconds(over, *arguments)


@pytest.fixture(scope="module")
def problems():
    keys = jax.random.split(jax.random.key(7), N_PROBLEMS)
    return jax.jit(jax.vmap(lambda key: draw_rows(RECIPE.draw(key=key), key=key)))(keys), keys


def fit(n_hops):
    return lambda rows, key: solve_network(NETWORK, rows, 1, mtl.Training(n_hops=n_hops), key).loss


def test_fits_against_the_best_of_a_hundred_random_starts(problems):
    def random(rows, key):
        starts = jax.random.normal(key, (N_RANDOM, D, 1)), jax.random.normal(jax.random.fold_in(key, 1), (N_RANDOM, 2, 1))
        widths = jnp.geomspace(1e-2, 1e-7, 50)
        return jnp.min(jax.lax.map(lambda start: objective(NETWORK, rows, descend(NETWORK, rows, Layers(*start), widths)), starts))

    best, spent = in_batches(random, *problems)
    print(f"\n{N_RANDOM} random starts: {1e3 * spent / N_PROBLEMS:.0f} ms a problem")
    for n_hops in sized((0, 8, 32), (0,)):
        losses, spent = in_batches(fit(n_hops), *problems)
        excess = losses / best - 1
        good = (excess <= 1e-6).mean()
        quality = f"no worse in {100 * good:.0f} %, median excess {np.median(excess):+.1e}"
        print(f"{n_hops:2d} hops: {quality}, {1e3 * spent / N_PROBLEMS:.0f} ms a problem")
    assert shown(good >= 0.95)


def test_fits_against_loops_in_pytorch_and_batched_numpy(problems):
    """One core each, the same problems; PyTorch restarts until it has our loss, or for sixty times as long as we took."""
    pytest.importorskip("torch")
    rows, _ = problems
    X, y = np.asarray(rows.X), np.asarray(rows.y)
    rng = np.random.default_rng(0)
    for n_hops in sized((0, 8), (0,)):
        losses, spent = in_batches(fit(n_hops), *problems)
        ours = spent / N_PROBLEMS
        own = [[np.linalg.lstsq(X[p, k], y[p, k], rcond=None)[0] for k in range(2)] for p in range(N_PROBLEMS)]
        starts = np.array([[a, b, a / np.linalg.norm(a) + b / np.linalg.norm(b)] for a, b in own])
        starts /= np.linalg.norm(starts, axis=-1, keepdims=True)
        plan = make_plan("relu", "squared", 25, 3, n_hops)
        shakes = rng.normal(size=(max(n_hops, 1), N_PROBLEMS, *y.shape[1:]))
        begun = time.perf_counter()
        parts = [slice(i, i + BATCH) for i in range(0, N_PROBLEMS, BATCH)]
        numpy_losses = np.concatenate([batched_search(X[p], y[p], starts[p], plan, shakes[:, p]) for p in parts])
        batched = (time.perf_counter() - begun) / N_PROBLEMS
        share = (losses <= numpy_losses * (1 + 1e-6)).mean(), (numpy_losses <= losses * (1 + 1e-6)).mean()
        few = sized(8, 1)
        loop = [restart_until(X[p], y[p], losses[p], 60 * ours, p) for p in range(few)]
        reached = np.mean([best <= losses[p] * (1 + 1e-6) for p, (best, _) in enumerate(loop)])
        torch_spent = np.mean([spent for _, spent in loop])
        print(f"\n{n_hops} hops: {1e3 * ours:.1f} ms a problem, {ours * CELLS_AND_SEEDS:.0f} s for 30 cells x 200 seeds")
        print(f"batched NumPy {batched / ours:.2f} times; not above it in {share[0]:.0%}, it not above us in {share[1]:.0%}")
        print(f"PyTorch {torch_spent / ours:.0f} times and more, when it had our loss in {reached:.0%}")
        assert shown(batched / ours > 0.9 and torch_spent / ours > 30)


@pytest.mark.parametrize("n_cells", [sized(41 * 31, 2)])
def test_population_map(n_cells):
    rng = np.random.default_rng(0)
    arguments = np.exp(rng.normal(size=(n_cells, 2, 20))), rng.normal(size=(n_cells, 2, 20)), np.exp(rng.normal(size=(n_cells, 2)))
    solve = jax.jit(jax.vmap(lambda *pair: solve_relu_pair(make_pair(*pair))))
    _, spent = seconds(solve, *arguments)
    print(f"\npopulation optimum of {n_cells} pairs, d = 20, one core: {spent:.2f} s")
    assert shown(spent < 10)
