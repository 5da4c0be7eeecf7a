"""Rank 2 on three tasks with different rows: the solver against brute force, from many random starts in plain NumPy and SciPy.

    python tests/benchmarks/rank_two.py [problems] [starts]

prints how often the solver's loss is above the best that any start finds, by how much, how often it then calls itself exact, and
whether its bound (loss - gap) is ever above a loss that was reached. Half of the problems are made to have several local minima:
spectra that run in opposite order.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("JAX_ENABLE_X64", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import oracles
from instances import moments_of, random_tasks
from smoke import sized

import mtlsim as mtl
from mtlsim.core.status import Certificate

D, N_TASKS = 4, 3


def problem(rng):
    """Rows and labels of three tasks."""
    if rng.random() < 0.5:
        return random_tasks(rng, D, rng.integers(D, 4 * D, N_TASKS).tolist(), 10 ** rng.uniform(0, 3), None, rng.choice([0.1, 1]))
    tasks = []
    for i in range(N_TASKS):
        spectrum = np.roll(np.arange(1, D + 1.0) ** -rng.uniform(1, 3), i * D // N_TASKS)
        X = rng.normal(size=(int(rng.integers(D + 2, 6 * D)), D)) * np.sqrt(spectrum)
        tasks.append((X, X @ rng.normal(size=D) + rng.uniform(0.05, 0.3) * rng.normal(size=len(X))))
    return tasks


def compare(n_problems: int = sized(200, 2), n_starts: int = sized(40, 2), seed: int = 0) -> dict[str, float]:
    """Shares of problems, and the largest excess of the solver's loss over the best one, relative to all energy."""
    rng, above, false, broken, worst, several = np.random.default_rng(seed), 0, 0, 0, 0.0, 0
    for _ in range(n_problems):
        tasks = problem(rng)
        solution = mtl.solve(moments_of(tasks), 2)
        runs = [oracles.descend(tasks, 2, 1, rng) for _ in range(n_starts)]
        best, energy = min(runs), sum(float(y @ y) for _, y in tasks)
        loss, gap = float(solution.loss), float(solution.gap)
        worst = max(worst, (loss - best) / energy)
        above += loss > best + 1e-7 * energy
        false += loss > best + 1e-7 * energy and int(solution.certificate) == Certificate.exact
        broken += loss - gap > best + 1e-9 * energy
        several += max(runs) > best + 1e-4 * energy
    counts = {"problems": n_problems, "with several minima": several, "solver above": above, "and called exact": false}
    return {**counts, "bound broken": broken, "largest excess, of all energy": worst}


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    for name, value in compare(*numbers).items():
        print(f"{name}: {value:.3g}")
