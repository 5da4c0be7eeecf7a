"""What training under every weighting scheme costs: twelve schemes, 200 seeds, 2000 steps, four tasks, in one call of `sweep`.

Beside it stand one plain step in NumPy, which a loop over seeds and steps pays at least, and a loop in PyTorch and TorchJD.
"""

import time

import jax
import numpy as np
import pytest
from smoke import shown, sized

import mtlsim as mtl
from mtlsim.samples.wishart import draw_moments
from mtlsim.solvers.task_gradients import mean_moments
from mtlsim.training.weighted import _start, train_weighted
from mtlsim.weighting import find_scheme, scheme_names

N_SEEDS, N_STEPS, RANK = *sized((200, 2000), (2, 4)), 2
D = sized(50, 3)
TASKS = mtl.LinearTasks(n_features=D, n_samples=(200, 150, 100, 100), cosine=0.8, noise=0.5, design=mtl.Isotropic())
KEY = jax.random.key(0)


def seconds_of_the_bench(schemes):
    training = mtl.WeightedTraining("sgd", N_STEPS, 0.05)
    start = time.perf_counter()
    data = mtl.sweep(mtl.Weighting(TASKS, rank=RANK, training=training), {"scheme": schemes}, N_SEEDS, KEY, progress=False)
    assert np.isfinite(data.gain.values).all()
    return time.perf_counter() - start


def numpy_step(gram, cross, shared, heads, rate):
    """One step under equal weights, written plainly: the least that a loop over seeds and steps pays."""
    residuals = np.einsum("kde,ke->kd", gram, heads @ shared.T) - cross
    return shared - 2 * rate * residuals.T @ heads, heads - 2 * rate * residuals @ shared


def test_the_bench_of_all_schemes():
    schemes = sized(scheme_names(), ["equal"])
    cold, warm = seconds_of_the_bench(schemes), seconds_of_the_bench(schemes)
    steps = len(schemes) * N_SEEDS * N_STEPS
    moments = draw_moments(TASKS.draw(key=KEY), key=KEY)
    n, rng = np.asarray(moments.n_samples), np.random.default_rng(0)
    means = np.asarray(moments.gram) / n[:, None, None], np.asarray(moments.cross) / n[:, None]
    layers = 0.1 * rng.standard_normal((D, RANK)), 0.1 * rng.standard_normal((4, RANK))
    start = time.perf_counter()
    for _ in range(N_STEPS):
        layers = numpy_step(*means, *layers, 0.05)
    loop = (time.perf_counter() - start) / N_STEPS
    print(f"\n{len(schemes)} schemes x {N_SEEDS} seeds x {N_STEPS} steps: {cold:.0f} s with compiling, {warm:.1f} s without")
    print(f"{1e6 * warm / steps:.2f} us a step and problem; equal weights in a NumPy loop {1e6 * loop:.0f} us")
    for scheme in schemes:
        print(f"  {scheme:30s} {1e6 * seconds_of_the_bench([scheme]) / (N_SEEDS * N_STEPS):.2f} us")
    assert shown(warm < 60)


def test_against_a_loop_in_pytorch():
    """The same start, steps and weights; the loop's cost for all twelve schemes is that of those it has, times twelve over six."""
    pytest.importorskip("torchjd")
    import weighting_peer as peer

    moments, training = draw_moments(TASKS.draw(key=KEY), key=KEY), mtl.WeightedTraining("sgd", 300, 0.05, decay=False)
    means = [np.asarray(part) for part in (mean_moments(moments).gram, mean_moments(moments).cross, mean_moments(moments).energy)]
    start = [np.asarray(layer) for layer in _start(moments, RANK, training, KEY)]
    loop = {}
    for name in peer.SCHEMES:
        scheme = find_scheme(name)(**({"steps": "plain", "tolerance": 1e-30} if name == "mgda" else {}))  # as in the peer
        ours = train_weighted(moments, scheme, RANK, training, KEY)
        begun = time.perf_counter()
        shared, heads, weights = peer.train(name, *means, *start, training.n_steps, 0.05)
        loop[name] = (time.perf_counter() - begun) / training.n_steps
        off = np.abs(weights - ours.weights).max()
        print(f"\n{name:24s} {1e6 * loop[name]:.0f} us a step, weights off by {off:.0e}", end="")
        assert off < 1e-6 and np.abs(heads @ shared.T - ours.heads @ ours.shared.T).max() < 1e-6
    seconds_of_the_bench(sized(scheme_names(), ["equal"]))
    warm = seconds_of_the_bench(sized(scheme_names(), ["equal"]))
    whole = np.mean(list(loop.values())) * len(scheme_names()) * N_SEEDS * N_STEPS
    print(f"\ntwelve schemes: {warm:.1f} s, the loop {whole:.0f} s: {whole / warm:.0f} times")
    assert shown(whole / warm > 100)
