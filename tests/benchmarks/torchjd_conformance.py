"""Our weightings against TorchJD's of the same name, on random gradients: `python tests/benchmarks/torchjd_conformance.py`.

Both are told to solve their problem to rounding: by default TorchJD adds 1e-4 of the trace to some grams and stops early, and how
far that takes its steps is printed beside. Compared are the steps sum_k w_k g_k, over the length of ours. Where a solver iterates,
what decides who is right is how far each is from the paper's definition: M w = 1 / w (Nash-MTL), the projections by nonnegative
least squares (UPGrad), the gap of the shortest mixture over the trace (MGDA), the duality gap over |g_0|^2 (CAGrad).
Without TorchJD (`pip install 'torchjd[full]'`) it says so and ends.
"""

import importlib.util
import sys
import warnings

import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize
from smoke import sized

from mtlsim.weighting import Facts, Signals, find_scheme

jax.config.update("jax_enable_x64", True)
N_GRAMS = sized(100, 2)
N_ORDERS = sized(1000, 20)
EQUAL = 1e-6
SIZES = (2, 3, 5, 8)


def some_gradients(rng, n_tasks):
    """Rows of lengths apart, of which the last one is against the first in half of the draws; more columns than tasks."""
    gradients = rng.normal(size=(n_tasks, n_tasks + 2)) * np.exp(rng.normal(size=(n_tasks, 1)))
    gradients[-1] -= rng.choice([0, 2]) * gradients[0]
    return gradients


def ours_of(name, n_tasks, **options):
    scheme = find_scheme(name)(**options)
    facts = Facts(jnp.ones(n_tasks), jnp.ones(n_tasks))
    return jax.jit(lambda gram: scheme.weights(Signals(jnp.ones(n_tasks), gram, jnp.asarray(0)), scheme.init(facts))[0])


def theirs(torch):
    """Name of a scheme, its options, TorchJD's weighting solved to rounding, and with its defaults."""
    import torchjd.aggregation as jd
    from torchjd.linalg import QuadprogProjector

    exact = lambda: QuadprogProjector(norm_eps=0.0, reg_eps=1e-14)
    return {
        "upgrad": ({}, lambda K: jd.UPGradWeighting(projector=exact()), lambda K: jd.UPGradWeighting()),
        "mgda": (
            {"n_iterations": 2000, "tolerance": 1e-14},
            lambda K: jd.MGDAWeighting(1e-12, 10_000),
            lambda K: jd.MGDAWeighting(),
        ),
        "cagrad": ({}, lambda K: jd.CAGradWeighting(0.4, norm_eps=0.0), lambda K: jd.CAGradWeighting(0.4)),
        "imtl-g": ({}, lambda K: jd.IMTLGWeighting(), lambda K: jd.IMTLGWeighting()),
        "aligned-mtl": ({}, lambda K: jd.AlignedMTLWeighting(), lambda K: jd.AlignedMTLWeighting()),
        "nash-mtl": ({}, lambda K: jd.NashMTL(K, 0.0, optim_niter=200), lambda K: jd.NashMTL(K)),
    }


def weights_of(torch, weighting, gradients):
    from torchjd.aggregation import NashMTL

    given = gradients if isinstance(weighting, NashMTL) else gradients @ gradients.T
    part = weighting.weighting if isinstance(weighting, NashMTL) else weighting
    return part(torch.tensor(given)).detach().numpy()


def residual(name, weights, gradients):
    """How far weights are from their paper's definition, for those with one that is checked in a line."""
    gram = gradients @ gradients.T
    if name == "nash-mtl":
        return np.abs(weights * (gram @ weights) - 1).max()
    if name == "upgrad":
        wanted = np.mean([own + optimize.nnls(gradients.T, -own)[0] @ gradients for own in gradients], 0)
        return np.linalg.norm(weights @ gradients - wanted) / np.linalg.norm(wanted)
    if name == "mgda":
        return max(0, weights @ gram @ weights - (gram @ weights).min()) / np.trace(gram)
    if name == "cagrad":
        added = weights - 1 / len(weights)
        step, mixture = weights @ gradients, added @ gradients / added.sum()
        return (mixture @ step - (gradients @ step).min()) / np.sum(gradients.mean(0) ** 2)
    return np.nan


def main():
    if importlib.util.find_spec("torchjd") is None:
        print("TorchJD is not installed, so nothing is compared: pip install 'torchjd[full]'")
        return 0
    import torch

    torch.manual_seed(0)
    warnings.simplefilter("ignore")
    print(f"{N_GRAMS} random gradients for each of K = {SIZES}; largest difference of steps, and residuals of the definition")
    failed = []
    for name, (options, exact, default) in theirs(torch).items():
        worst, apart, own, other = 0.0, 0.0, 0.0, 0.0
        for n_tasks in SIZES:
            rng, ours = np.random.default_rng(n_tasks), ours_of(name, n_tasks, **options)
            for _ in range(N_GRAMS if name not in ("mgda", "nash-mtl") else max(N_GRAMS // 20, 1)):
                gradients = some_gradients(rng, n_tasks)
                mine = np.asarray(ours(jnp.asarray(gradients @ gradients.T)))
                length = np.linalg.norm(mine @ gradients)
                found, usual = (weights_of(torch, kind(n_tasks), gradients) for kind in (exact, default))
                worst = max(worst, np.linalg.norm((found - mine) @ gradients) / length)
                apart = max(apart, np.linalg.norm((usual - mine) @ gradients) / length)
                own = max(own, residual(name, mine, gradients))
                other = max(other, residual(name, found, gradients))
        of_definition = "" if np.isnan(own) else f"; from the definition ours {own:.1e}, theirs {other:.1e}"
        print(f"  {name:12s} {worst:.1e} (its defaults {apart:.1e}){of_definition}", flush=True)
        failed += [] if worst <= EQUAL else [f"{name} ({'ours' if own <= other else 'theirs'} nearer to the definition)"]
    failed += pcgrad(torch)
    print(f"not equal to {EQUAL:g}: {', '.join(failed) or 'none'}")
    return int(any("theirs" in one or one.startswith("pcgrad") for one in failed))


def pcgrad(torch):
    """TorchJD draws the orders, ours is their mean: equal for two tasks, within five standard errors for more."""
    from torchjd.aggregation import PCGradWeighting

    failed = []
    for n_tasks in (2, 3, 5):
        rng, ours = np.random.default_rng(n_tasks), ours_of("pcgrad", n_tasks)
        score = 0.0
        for _ in range(N_GRAMS if n_tasks == 2 else 3):
            gradients = some_gradients(rng, n_tasks)
            gram = gradients @ gradients.T
            wanted = np.asarray(ours(jnp.asarray(gram)))
            drawn = [PCGradWeighting()(torch.tensor(gram)).numpy() for _ in range(1 if n_tasks == 2 else N_ORDERS)]
            error = np.std(drawn, 0) / len(drawn) ** 0.5
            off = np.abs(np.mean(drawn, 0) - wanted)
            score = max(score, off.max() if n_tasks == 2 else (off / (error + 1e-12)).max())
        of_many = f"mean of {N_ORDERS} orders within {score:.1f} standard errors"
        says = f"largest difference {score:.1e}" if n_tasks == 2 else of_many
        print(f"  pcgrad, K = {n_tasks}: {says}")
        failed += [f"pcgrad {n_tasks}"] if score > (EQUAL if n_tasks == 2 else 5) else []
    return failed


if __name__ == "__main__":
    sys.exit(main())
