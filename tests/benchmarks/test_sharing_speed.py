"""What a training step of an architecture costs, 200 seeds at once, beside the same steps in a PyTorch loop; and compiling."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from smoke import shown, sized

import mtlsim as mtl
from mtlsim.core.keys import stream
from mtlsim.samples.wishart import draw_moments
from mtlsim.sharing import as_sharing
from mtlsim.sharing._sharing import Shape
from mtlsim.training.shared import train_shared

N_SEEDS, N_STEPS, LOOP = sized((200, 2000, 300), (2, 4, 4))
K, D, R, RATE = 4, sized(50, 3), 2, 0.05
TASKS = mtl.LinearTasks(n_features=D, n_samples=(200, 150, 100, 100), cosine=0.8, noise=0.5, design=mtl.Isotropic())
KEY = jax.random.key(0)


def hard(torch, shared, heads):
    return heads @ shared.T


def cross_stitch(torch, columns, amounts, heads):
    return torch.einsum("kl,kr,ldr->kd", amounts, heads, columns)


def covariance_alignment(torch, shared, alignments, heads):
    return torch.einsum("kde,er,kr->kd", alignments, shared, heads)


LOOPS = {"hard": hard, "cross-stitch": cross_stitch, "covariance-alignment": covariance_alignment}


def in_pytorch(torch, name, moments, start):
    """Parameters (K, d) after steps of plain descent on (sum of squares + penalty) / rows, gradients by autograd; s a step."""
    gram, cross, energy = (torch.tensor(np.asarray(part)) for part in (moments.gram, moments.cross, moments.energy))
    leaves = [torch.tensor(np.asarray(leaf), requires_grad=True) for leaf in start]
    total, eye = float(np.sum(moments.n_samples)), torch.eye(D, dtype=gram.dtype)
    begun = time.perf_counter()
    for _ in range(LOOP):
        theta = LOOPS[name](torch, *leaves)
        squares = torch.einsum("kd,kde,ke->", theta, gram, theta) - 2 * (cross * theta).sum() + energy.sum()
        penalty = ((leaves[1] - eye) ** 2).sum() if name == "covariance-alignment" else 0.0
        slopes = torch.autograd.grad((squares + penalty) / total, leaves)
        with torch.no_grad():
            for leaf, slope in zip(leaves, slopes, strict=True):
                leaf -= RATE * slope
    spent = (time.perf_counter() - begun) / LOOP
    return LOOPS[name](torch, *leaves).detach().numpy(), spent


@pytest.mark.parametrize("name", LOOPS)
def test_steps_of_an_architecture_against_a_loop_in_pytorch(name):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    sharing, training = as_sharing(name), mtl.WeightedTraining("sgd", LOOP, RATE, decay=False)
    moments = draw_moments(TASKS.draw(key=KEY), key=KEY)
    found = train_shared(moments, sharing, R, jnp.ones(K), training, KEY)
    start = sharing.init(stream(KEY, "start"), Shape(K, D, R), training.start_size)
    theta, step = in_pytorch(torch, name, moments, start)
    off = np.abs(theta - sharing.linear(found.params)).max()
    cell = mtl.TrainingCurve(
        TASKS, rank=R, training=mtl.WeightedTraining("sgd", N_STEPS, RATE, decay=False), n_points=1, sharing=sharing
    )
    seconds = []
    for seed in (1, 2):
        begun = time.perf_counter()
        mtl.sweep(cell, {}, N_SEEDS, jax.random.key(seed), progress=False)
        seconds.append(time.perf_counter() - begun)
    each = seconds[1] / (N_SEEDS * N_STEPS)
    print(f"\n{name}: {1e6 * each:.2f} us a step and problem, PyTorch {1e6 * step:.0f} us: {step / each:.0f} times")
    print(f"compiling {seconds[0] - seconds[1]:.1f} s; parameters off by {off:.0e} after {LOOP} steps")
    times = 3 if name == "covariance-alignment" else 100  # whose K d^2 entries are the work of both
    assert off < 1e-9 and shown(step / each > times) and shown(seconds[0] - seconds[1] < 15)
