"""How often the held-out interval of `transfer_between_arrays` covers the mean gain, and on which side it misses.

    python tests/benchmarks/arrays_intervals.py [DATASETS] [--kinds NAME ...]

8 features, 25 splits that train on 80 % of the target's rows. The truth of each kind is the mean gain of independent targets at
that training size with the same source. "no gain" is a source whose true gain in squared error is near zero (its own error is
printed): there a sign is a false one.
"""

import argparse
import os
from functools import partial

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import jax
import jax.numpy as jnp
import numpy as np
from smoke import sized

from mtlsim.arrays.few_rows import CURVE_FITTED, length_factor, variance_above, with_few_rows
from mtlsim.arrays.metrics import divergences, log_losses, logistic_curve
from mtlsim.arrays.resampling import Splits, decide_resampled
from mtlsim.arrays.splits import compare

jax.config.update("jax_enable_x64", True)
D, N_SPLITS, N_TESTED = 8, 25, 200
N_TRUTH, BLOCK = sized(3000, 20), sized(100, 10)
# rows of target and source, cosine of their parameters, noise of source and target, labels
KINDS = {
    "similar": (60, 200, 0.95, 0.5, 1.0, "real"),
    "no gain": (60, 200, 0.88, 0.5, 1.0, "real"),
    "precise, not alike": (60, 400, 0.6, 0.1, 0.3, "real"),
    "opposite": (60, 200, -0.5, 0.1, 0.3, "real"),
    "orthogonal": (60, 200, 0.0, 0.5, 1.0, "real"),
    "few rows": (24, 200, 0.9, 0.5, 1.0, "real"),
    "heavy noise": (60, 200, 0.6, 0.3, 1.0, "student"),
    "classes": (60, 200, 0.9, 0.5, 1.0, "classes"),
    "classes, few rows": (24, 200, 0.9, 0.5, 1.0, "classes"),
    "classes, not alike": (60, 200, 0.2, 0.3, 0.5, "classes"),
}


def draw(rng: np.random.Generator, n: int, parameters: np.ndarray, noise: float, labels: str):
    X = rng.normal(size=(n, D))
    y = X @ parameters + noise * (rng.standard_t(3, size=n) if labels == "student" else rng.normal(size=n))
    return X, np.sign(y) if labels == "classes" else y


def predictions(outcome):
    return outcome.alone, outcome.together, outcome.left


def differences(alone, together, left, labels, trained):
    """Loss alone minus together of each test row: squared errors, and for classes wrong signs and log losses, which come with how
    far the odds are apart. left (2, m): what both say of training rows that are left out, whose labels are `trained`.
    """
    found = {"squared error": (alone - labels) ** 2 - (together - labels) ** 2}
    if len(np.unique(labels)) > 2:
        return found, 0.0
    wrong = lambda predicted: ((predicted > 0) != (labels > 0)).astype(float)
    curves = [logistic_curve(own, trained > 0) for own in left]
    losses = [log_losses(said, labels > 0, curve) for said, curve in zip((alone, together), curves, strict=True)]
    odds = [slope * said + offset for said, (slope, offset) in zip((alone, together), curves, strict=True)]
    found |= {"accuracy": wrong(alone) - wrong(together), "log loss": losses[0] - losses[1]}
    return found, float(divergences(*odds).mean())


def cover(kind: str, n_datasets: int, seed: int = 7) -> None:
    n, n_source, cosine, source_noise, noise, labels = KINDS[kind]
    rng, n_train = np.random.default_rng(seed), round(0.8 * n)
    parameters = np.zeros((2, D))
    parameters[0, :2], parameters[1, 0] = (cosine, np.sqrt(1 - cosine**2)), 1
    sources = (tuple(map(jnp.asarray, draw(rng, n_source, parameters[0], source_noise, labels))),)
    learn = lambda X, y, train, test: predictions(compare(sources, (X, y), train, test, None, rank=1))
    of_targets = jax.jit(jax.vmap(partial(learn, train=jnp.arange(n_train), test=n_train + jnp.arange(N_TESTED))))
    of_splits = jax.jit(jax.vmap(learn, (None, None, 0, 0)))
    truths = {}
    for _ in range(N_TRUTH // BLOCK):
        drawn = [draw(rng, n_train + N_TESTED, parameters[1], noise, labels) for _ in range(BLOCK)]
        X, y = (np.stack(part) for part in zip(*drawn, strict=True))
        for parts in zip(*map(np.asarray, of_targets(X, y)), y[:, n_train:], y[:, :n_train], strict=True):
            for name, values in differences(*parts)[0].items():
                truths.setdefault(name, []).append(values.mean())
    truths = {name: np.array(parts) for name, parts in truths.items()}
    found = {name: [] for name in truths}
    for _ in range(n_datasets):
        X, y = draw(rng, n, parameters[1], noise, labels)
        order = np.stack([rng.permutation(n) for _ in range(N_SPLITS)])
        tests = order[:, n_train:]
        predicted = [np.asarray(part) for part in of_splits(X, y, order[:, :n_train], tests)]
        parts = [differences(*own) for own in zip(*predicted, y[tests], y[order[:, :n_train]], strict=True)]
        above = variance_above(float(np.mean([apart for _, apart in parts])), n_train, n, D, length_factor(X))
        few_rows = with_few_rows(Splits(n_train, tests), *predicted[:2], y[tests], X)
        for name in truths:
            splits = few_rows if name == "squared error" else Splits(n_train, tests)
            if name == "log loss":
                splits = splits._replace(n_fitted=CURVE_FITTED, variance_above=above)
            elif name == "accuracy":  # which counts what no row has shown, as if one row more differed
                splits = splits._replace(unresolved=1 / n)
            verdict = decide_resampled(np.stack([losses[name] for losses, _ in parts]), splits)
            found[name].append((verdict.low > truths[name].mean(), verdict.high < truths[name].mean(), verdict.sign))
    for name, truth in truths.items():
        above, below, sign = np.array(found[name]).T
        share = lambda events: f"{100 * np.mean(events):.1f}"
        error = truth.std(ddof=1) / np.sqrt(len(truth))
        print(
            f"{kind:20s} {name:14s} gain {truth.mean():+.4f} +- {error:.4f}: covers {share(~(above | below).astype(bool))} % "
            f"({share(above)} above, {share(below)} below); positive {share(sign > 0)} %, negative {share(sign < 0)} %",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", type=int, nargs="?", default=sized(400, 4))
    parser.add_argument("--kinds", nargs="*", default=sized(list(KINDS), ["similar"]))
    options = parser.parse_args()
    for kind in options.kinds:
        cover(kind, options.datasets)


if __name__ == "__main__":
    main()
