"""How often the interval of a mean gain covers it, and on which side it misses: the table in README.md beside this file.

    python tests/benchmarks/intervals.py [REPETITIONS] [--others] [--pulled] [--looks]

Pooled least squares on its proven boundary (d = 8, 40 source rows): the gain is exactly zero, so that an interval below zero is
a false "negative" and one above a false "positive". Of the other cells the truth is that of all draws. --pulled: what learns
together by a pull. --looks: how often
a sign is declared where the gain is zero, and how many draws a map costs, by the level of each look.
"""

import argparse
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import jax
import numpy as np
from smoke import sized

import mtlsim as mtl
from mtlsim.core.mean_gain import BESIDE
from mtlsim.core.status import Status
from mtlsim.core.verdict import level_of_looks, summarise
from mtlsim.theory import find_statement

PULLED_AWAY = (2, 3, 5, 9, 15, 16, 24)
AWAY, SEEDS, N_SOURCE, D = (2, 3, 4, 6, 10, 30), (20, 50, 200), 40, 8
BLOCK = 20_000
jax.config.update("jax_enable_x64", True)


def on_the_boundary(n_target: int, n_source: int = N_SOURCE) -> mtl.Transfer:
    """Pooling two tasks whose distance makes its exact gain zero."""

    def cell(distance: float) -> mtl.Transfer:
        parameters = np.zeros((2, D))
        parameters[0, 0] = distance
        return mtl.Transfer(mtl.LinearTasks(D, (n_source, n_target), parameters=parameters), sharing="pooled")

    key, statement = jax.random.key(0), find_statement("pooled-least-squares")
    near, far = (float(statement(cell(distance))(key=key)["gain"]) for distance in (0.0, 1.0))
    return cell(float(np.sqrt(near / (near - far))))  # the gain falls linearly with the squared distance


def draws_of(cell, n: int, seed: int = 0) -> dict[str, np.ndarray]:
    blocks = [
        mtl.sweep(cell, {}, min(BLOCK, n - start), jax.random.key(seed + start), progress=False) for start in range(0, n, BLOCK)
    ]
    return {name: np.concatenate([block[name].values for block in blocks]) for name in ("gain", *BESIDE)}


def sides(draws: dict[str, np.ndarray], n_seeds: int, truth: float, repetitions: int, level: float = 0.95) -> tuple[float, float]:
    """Shares of intervals above and below the truth; of as many repetitions as there are draws for."""
    repetitions = min(repetitions, len(draws["gain"]) // n_seeds)
    parts = {name: values[: repetitions * n_seeds].reshape(repetitions, n_seeds) for name, values in draws.items()}
    found = summarise(parts.pop("gain"), level, **parts)
    return float(np.mean(found["low"] > truth)), float(np.mean(found["high"] < truth))


def show(label: str, draws: dict[str, np.ndarray], truth: float, repetitions: int) -> None:
    numbers = []
    for n_seeds in SEEDS:
        above, below = sides(draws, n_seeds, truth, repetitions)
        numbers.append(f"{100 * (1 - above - below):5.1f} ({100 * above:.1f} above, {100 * below:.1f} below)")
    heavy = np.mean(draws["status"] == Status.heavy_tailed)
    print(f"{label:46s} " + "  ".join(numbers) + (f"  {Status.heavy_tailed.name}" if heavy else ""), flush=True)


def others() -> dict[str, mtl.Transfer]:
    """Cells whose sides are correlated, skewed or near interpolation."""
    tasks = lambda d, n, **options: mtl.LinearTasks(d, n, **options)
    return {
        "hard, 40 source rows, n_2 = d + 2": mtl.Transfer(tasks(8, (40, 10))),
        "hard, 40 source rows, n_2 = d + 30": mtl.Transfer(tasks(8, (40, 38))),
        "hard, 10^4 source rows, n_2 = d - 1": mtl.Transfer(tasks(8, (10_000, 7))),
        "hard, 10^4 source rows, n_2 = d + 1": mtl.Transfer(tasks(8, (10_000, 9))),
        "hard, 6 source rows, n_2 = d + 2": mtl.Transfer(tasks(8, (6, 10))),
        "hard, 6 source rows, n_2 = d + 12": mtl.Transfer(tasks(8, (6, 20))),
        "hard, 40 source rows, n_2 = d - 2": mtl.Transfer(tasks(8, (40, 6))),
        "hard, noise 5, n_2 = d + 6": mtl.Transfer(tasks(8, (60, 14), noise=5.0, cosine=0.9)),
        "hard, n_2 = 3": mtl.Transfer(tasks(8, (200, 3))),
        "pooled, 3 source rows, n_2 = d + 6": mtl.Transfer(tasks(8, (3, 14)), sharing="pooled"),
        "pooled, n_1 + n_2 = d + 2": mtl.Transfer(tasks(8, (6, 4)), sharing="pooled"),
        "rank 2 of two tasks, n_2 = d + 2": mtl.Transfer(tasks(8, (40, 10)), rank=2),
        "a ridge of 1 on the target, n_2 = d + 2": mtl.Transfer(tasks(8, (40, 10)), ridge=(0.0, 1.0)),
        "Student rows, n_2 = d + 3": mtl.Transfer(tasks(8, (40, 11), rows="student")),
        "Student rows, n_2 = d + 6": mtl.Transfer(tasks(8, (40, 14), rows="student")),
    }


def pulled() -> dict[str, mtl.Transfer]:
    """Cells of a pull, weak and strong, near the peak of d = 4 features: the gain bends in the risk alone."""
    three = lambda n: mtl.LinearTasks(4, (12, 10, n), cosine=(0.6, -0.2), relation="same")
    two = lambda n: mtl.LinearTasks(4, (12, n), cosine=0.6, relation="same")
    found = {}
    for away in PULLED_AWAY:
        for strength in (0.01, 1.0, 10.0):
            sharing = mtl.sharing.find_sharing("mean-regularised")(strength)
            found[f"mean-regularised, strength {strength:g}, n_3 = d + {away}"] = mtl.Transfer(three(4 + away), sharing=sharing)
        for name in ("soft", "from-source"):
            found[f"{name}, n_2 = d + {away}"] = mtl.Transfer(two(4 + away), sharing=name)
    return found


def truth_of(draws: dict[str, np.ndarray]) -> float:
    """The mean of all draws, by their steepness too."""
    rest = {name: draws[name] for name in ("control", "steep")}
    return float(summarise(draws["gain"], **rest)["mean"])


def looks() -> None:
    """False signs of sequential looks, and what a map of the sample-size question costs."""
    n_looks, step, repetitions = 10, 20, sized(20_000, 200)
    noise = np.random.default_rng(0).standard_normal((repetitions, n_looks * step))
    levels = {"Bonferroni": 1 - 0.05 / n_looks, "all looks together": level_of_looks(0.95, n_looks)}
    for name, level in levels.items():
        wrong = np.zeros(repetitions, bool)
        for look in range(step, n_looks * step + 1, step):
            wrong |= summarise(noise[:, :look], level)["sign"] != 0
        print(f"{name}: level {level:.5f} a look, {100 * wrong.mean():.2f} % false signs in {n_looks} looks at {step} draws each")
    grid = {"tasks.cosine": np.linspace(0, 1, sized(21, 3)), "tasks.n_samples[0]": np.geomspace(25, 1000, sized(16, 3)).round()}
    draws = mtl.sweep(mtl.Transfer(mtl.LinearTasks(20, (100, 60))), grid, n_looks * step, jax.random.key(0), progress=False)
    parts = [draws[name].transpose(..., "seed").values.reshape(-1, n_looks * step) for name in ("gain", "control")]
    for name, level in levels.items():
        spent, still = 0, np.ones(len(parts[0]), bool)
        for look in range(step, n_looks * step + 1, step):
            spent += step * still.sum()
            still &= summarise(parts[0][:, :look], level, parts[1][:, :look])["sign"] == 0
        print(f"{name}: {spent} draws for a map of {len(still)} cells, {still.sum()} of them undecided")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("repetitions", type=int, nargs="?", default=sized(4000, 40))
    parser.add_argument("--others", action="store_true")
    parser.add_argument("--pulled", action="store_true")
    parser.add_argument("--looks", action="store_true")
    options = parser.parse_args()
    if options.looks:
        return looks()
    print(f"{'share of 95 % intervals that cover, in %':46s} " + "  ".join(f"{n} seeds".ljust(32) for n in SEEDS))
    n = options.repetitions * SEEDS[-1]
    if options.others or options.pulled:
        for label, cell in (pulled() if options.pulled else others()).items():
            draws = draws_of(cell, n)
            truth = truth_of(draws)
            show(label, draws, truth, options.repetitions)
            if draws["steep"].any():
                fitted = {name: values for name, values in draws.items() if name != "steep"}
                show("  the fitted slope alone", fitted, truth, options.repetitions)
        return None
    for away in AWAY:
        show(f"pooled on its boundary, n_2 = d + {away}", draws_of(on_the_boundary(D + away), n), 0.0, options.repetitions)
    return None


if __name__ == "__main__":
    main()
