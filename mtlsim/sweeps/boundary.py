"""`find_boundary`: the curve on which the gain is zero, from a prediction by continuation or from samples by root finding."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from mtlsim.core.checks import is_whole, require
from mtlsim.core.compiler import compile_with_nan
from mtlsim.core.extremes import smallest_of
from mtlsim.core.mean_gain import BESIDE
from mtlsim.core.verdict import summarise
from mtlsim.core.words import counted
from mtlsim.results.grid import as_leaves, at_point, make_grid
from mtlsim.results.outputs import describe_outputs
from mtlsim.sweeps.execute import compile_batch, is_solved, run_points

N_SCAN = 13  # of a prediction, per axis: a branch that no edge of this mesh meets is not seen
STEP = 0.02  # of the continuation, in units of the box
MAX_STEPS = 2000
N_NEWTON = 8
ON_CURVE = 1e-10  # of the gain's size in the box
N_ROUNDS = 8  # of root finding in samples, at most
CLOSE = 0.1  # of the half interval of the gain: how near to zero its mean is brought
BATCH_POINTS, BATCH_SEEDS = 16, 32


@dataclass(frozen=True)
class Boundary:
    """Where the gain is zero in the plane of two parameters.

    branches: curves of points (n, 2), columns x and y. From samples a branch is one root per line on which the other parameter is
    constant: `along` is the parameter in which roots were sought, `low` and `high` the ends of their confidence intervals (NaN
    where an interval leaves the box), n_runs the simulated draws, and grid_runs how many a full grid of this number of lines
    would need to be as fine as the median interval.
    """

    x: str
    y: str
    branches: tuple[np.ndarray, ...]
    low: tuple[np.ndarray, ...] = ()
    high: tuple[np.ndarray, ...] = ()
    along: str = ""
    level: float = 0.95
    n_runs: int = 0
    grid_runs: int = 0

    def to_dataframe(self) -> "pandas.DataFrame":
        """A row a point: its branch, its two parameters by their names, and low and high where roots came from samples."""
        import pandas

        frames = []
        for i, branch in enumerate(self.branches):
            ends = {"low": self.low[i], "high": self.high[i]} if self.low else {}
            frames.append(pandas.DataFrame({"branch": i, self.x: branch[:, 0], self.y: branch[:, 1], **ends}))
        names = ["branch", self.x, self.y, *(["low", "high"] if self.low else [])]
        return pandas.concat(frames, ignore_index=True) if frames else pandas.DataFrame(columns=names)

    def __repr__(self) -> str:
        sizes = ", ".join(str(len(branch)) for branch in self.branches)
        found = f"{counted(len(self.branches), 'branch')} of {sizes} points" if self.branches else "no points"
        runs = f"; {counted(self.n_runs, 'draw')}, a grid as fine would need {self.grid_runs}" if self.n_runs else ""
        return f"Boundary in ({self.x}, {self.y}): {found}{runs}"


class Box:
    """The two parameters in units of their ranges: each from 0 to 1, logarithmic where the range spans a factor of 30."""

    def __init__(self, x: str, x_range: Sequence[float | Real], y: str, y_range: Sequence[float | Real]):
        for name, ends in ((x, x_range), (y, y_range)):
            good = len(ends) == 2 and np.isfinite(ends).all() and ends[0] < ends[1]
            require(good, f"range of {name}", "two rising numbers", ends, "give the ends of the part to search")
        self.names = (x, y)
        self.ends = np.array([x_range, y_range], float)
        self.log = (self.ends[:, 0] > 0) & (self.ends[:, 1] > 30 * self.ends[:, 0])

    def out(self, unit):
        """Parameters of points given in units of the box (..., 2)."""
        low, high = self.ends.T
        safe_low, safe_high = np.where(self.log, low, 1.0), np.where(self.log, high, 2.0)
        return jnp.where(self.log, safe_low * (safe_high / safe_low) ** unit, low + (high - low) * unit)


def find_boundary(
    source: Any,
    x: str,
    x_range: Sequence[float | Real],
    y: str,
    y_range: Sequence[float | Real],
    *,
    key: Key[Array, ""] | None = None,
    n_draws: int = 16,
    n_seeds: int = 200,
    n_lines: int = 9,
    level: float = 0.95,
) -> Boundary:
    """The curve on which the gain is zero, in the box of two traced parameters given by dotted names.

    source: a statement bound to a cell (`theory.free_heads(cell)`): the predicted gain, a mean over n_draws draws of the tasks, is
    followed through folds by continuation along its gradient, every branch that crosses the mesh of a first scan. Or a cell: its
    sampled gain, over n_seeds common seeds, is followed on n_lines lines by root finding, along the parameter in which it changes
    sign more often; the interval of a root holds the places at which the interval of the mean gain holds zero. Points outside a
    statement's assumptions are left out.
    Raises ValueError for unknown names and empty ranges.

    >>> from mtlsim.theory import pooled_least_squares
    >>> tasks = mtl.LinearTasks(n_features=5, n_samples=(50, 20), relation="same", design=mtl.Isotropic())
    >>> exact = pooled_least_squares(mtl.Transfer(tasks, sharing="pooled"))
    >>> found = mtl.find_boundary(exact, "tasks.noise", (0.3, 3.0), "tasks.cosine", (0.0, 1.0), n_draws=1)
    >>> len(found.branches)
    1
    """
    cell = getattr(source, "cell", source)
    require(x != y, "y", "another parameter than x", repr(y), "choose two")
    axes = make_grid(cell, {x: list(x_range), y: list(y_range)}, check=not hasattr(source, "statement"))
    require(not axes.static, "x and y", "traced parameters", [axis.name for axis in axes.static], "sweep those in a loop")
    box = Box(x, x_range, y, y_range)
    key = jax.random.key(0) if key is None else key
    if hasattr(source, "statement"):
        return _from_prediction(source, box, key, n_draws)
    return _from_samples(cell, box, key, n_seeds, n_lines, level)


def _from_prediction(prediction, box: Box, key, n_draws: int) -> Boundary:
    cell = as_leaves(prediction.cell)
    known = list(jax.eval_shape(lambda key: prediction(key=key), key))
    require("gain" in known, "source", "a statement that predicts a gain", f"about {known}", "use a cell, or another statement")

    def value(unit):
        moved = at_point(cell, dict(zip(box.names, box.out(unit), strict=True)), check=False)
        draws = jax.vmap(lambda seed: prediction.statement(moved)(key=jax.random.fold_in(key, seed)))(jnp.arange(n_draws))
        return jnp.mean(draws["gain"]), smallest_of(draws["margin"])

    both = compile_with_nan(jax.value_and_grad(value, has_aux=True))
    mesh = np.linspace(0, 1, N_SCAN)
    points = jnp.asarray(np.stack(np.meshgrid(mesh, mesh, indexing="ij"), -1).reshape(-1, 2))
    gains, margins = (np.asarray(v).reshape(N_SCAN, N_SCAN) for v in compile_with_nan(lambda p: jax.lax.map(value, p))(points))
    gains = np.where(margins >= 0, gains, np.nan)
    _check_some(gains, "one whose assumptions hold nowhere in this box")
    size = np.nanmax(np.abs(gains)) or 1.0
    starts = list(_crossings(gains, mesh))
    branches: list[np.ndarray] = []
    while starts:
        start = starts.pop(0)
        if any(np.min(np.linalg.norm(branch - start, axis=1)) < STEP for branch in branches):
            continue
        branch = _follow(both, start, size)
        if len(branch) > 1:
            branches.append(branch)
    curves = tuple(np.asarray(box.out(branch)) for branch in branches)
    return Boundary(*box.names, curves)


def _check_some(gains: np.ndarray, found: str) -> None:
    """That there are gains to look at: where there are none, it is not said that there is no boundary."""
    require(bool(np.isfinite(gains).any()), "source", "one with gains in this box", found, "choose other ranges")


def _crossings(gains: np.ndarray, mesh: np.ndarray):
    """Points between neighbours of the mesh where the gain changes sign, by linear interpolation."""
    for (i, j), (di, dj) in itertools.product(np.ndindex(gains.shape), ((1, 0), (0, 1))):
        k, m = i + di, j + dj
        if k < len(mesh) and m < len(mesh) and gains[i, j] * gains[k, m] < 0:
            share = gains[i, j] / (gains[i, j] - gains[k, m])
            yield np.array([mesh[i] + share * (mesh[k] - mesh[i]), mesh[j] + share * (mesh[m] - mesh[j])])


def _follow(both: Callable, start: np.ndarray, size: float) -> np.ndarray:
    """The curve through a point in both directions, by pseudo-arclength steps, until it leaves the box or closes."""
    first = _correct(both, start, size)
    if first is None:
        return np.zeros((0, 2))
    halves = []
    for direction in (1.0, -1.0):
        point, heading, half = first, None, []
        for _ in range(MAX_STEPS):
            gradient = np.asarray(both(point)[1])
            length = np.linalg.norm(gradient)
            tangent = np.array([-gradient[1], gradient[0]]) / (length or 1.0)
            tangent = direction * tangent if heading is None else tangent * (np.sign(tangent @ heading) or 1.0)
            step, found = STEP, None
            while found is None and step > STEP / 64:
                found = _correct(both, point + step * tangent, size)
                if found is not None and np.linalg.norm(found - point) > 3 * step:
                    found = None
                step /= 2
            if found is None or ((found < -1e-9) | (found > 1 + 1e-9)).any():
                break
            half.append(found)
            heading, point = found - point, found
            if len(half) > 3 and np.linalg.norm(point - first) < 0.6 * STEP:
                return np.stack([first, *half, first])
        halves.append(half)
    return np.stack([*halves[1][::-1], first, *halves[0]])


def _correct(both: Callable, point: np.ndarray, size: float) -> np.ndarray | None:
    """Newton steps along the gradient onto the curve; None where that fails or the assumptions do."""
    for _ in range(N_NEWTON):
        (gain, margin), gradient = both(jnp.asarray(np.clip(point, -0.05, 1.05)))
        gradient = np.asarray(gradient)
        square = gradient @ gradient
        if not np.isfinite(float(gain)) or not np.isfinite(square) or square == 0 or float(margin) < 0:
            return None
        if abs(float(gain)) <= ON_CURVE * size:
            return np.asarray(point)
        point = point - float(gain) * gradient / square
    return None


def _from_samples(cell, box: Box, key, n_seeds: int, n_lines: int, level: float) -> Boundary:
    require(is_whole(n_seeds) and n_seeds >= 2, "n_seeds", "a whole number >= 2", n_seeds, "use 200")
    require(is_whole(n_lines) and n_lines >= 3, "n_lines", "a whole number >= 3", n_lines, "use 9")
    known = describe_outputs(cell)[0]
    require("gain" in known, "source", "a cell that returns a gain", f"one that returns {sorted(known)}", "use another cell")
    batch = compile_batch(box.names, tuple(jax.local_devices()[:1]), quickly=is_solved(cell))
    leaves = as_leaves(cell)
    whole = [i for i, name in enumerate(box.names) if "n_samples" in name]
    runs = 0

    def sample(unit: np.ndarray, count: int) -> dict[str, np.ndarray]:
        nonlocal runs
        runs += len(unit) * count
        values = np.array(box.out(unit))
        values[:, whole] = np.round(values[:, whole])
        draws = run_points(batch, leaves, values, key, range(count), BATCH_POINTS, BATCH_SEEDS)
        return summarise(draws["gain"], level, **{name: draws[name] for name in BESIDE if name in draws})

    # a coarse mesh of few seeds says where, and along which of the parameters, the sign changes
    places = np.linspace(0, 1, n_lines)
    mesh = np.stack(np.meshgrid(places, places, indexing="ij"), -1)
    table = {name: v.reshape(n_lines, n_lines) for name, v in sample(mesh.reshape(-1, 2), max(2, n_seeds // 4)).items()}
    _check_some(table["mean"], "one whose gain is nowhere a number in this box")
    found = [
        [(line, i) for line in range(n_lines) for i in _sign_changes(table["mean"].T[line], table["sign"].T[line])],
        [(line, i) for line in range(n_lines) for i in _sign_changes(table["mean"][line], table["sign"][line])],
    ]
    along = int(len(found[1]) > len(found[0]))
    if not found[along]:
        return Boundary(*box.names, (), level=level, n_runs=runs)
    fixed = places[[line for line, _ in found[along]]]

    def at(unit: np.ndarray) -> np.ndarray:
        return np.stack([unit, fixed] if along == 0 else [fixed, unit], 1)

    ends = np.array([[places[i], places[i + 1]] for _, i in found[along]])
    roots = _find_roots(lambda unit: sample(at(unit), n_seeds), ends)
    order = np.argsort(fixed, kind="stable")
    curve, low, high = (np.asarray(box.out(at(roots[name])))[order] for name in ("mean", "low", "high"))
    interval = np.sort(np.stack([low[:, along], high[:, along]], 1), 1)
    width = np.abs(roots["high"] - roots["low"])
    width = float(np.nanmedian(width)) if np.isfinite(width).any() else 1.0
    grid_runs = int(np.ceil(1 / max(width, 1e-3))) * n_lines * n_seeds
    branches, lows, highs = _split(curve, interval[:, 0], interval[:, 1], along)
    return Boundary(*box.names, branches, lows, highs, box.names[along], level, runs, grid_runs)


def _sign_changes(mean: np.ndarray, sign: np.ndarray) -> list[int]:
    """Intervals of a line in which the mean changes sign between two decided places of opposite sign."""
    decided = np.flatnonzero(sign != 0)
    pairs = [(a, b) for a, b in itertools.pairwise(decided) if sign[a] != sign[b]]
    found = []
    for a, b in pairs:
        inner = [i for i in range(a, b) if mean[i] * mean[i + 1] <= 0]
        found.append(inner[len(inner) // 2])
    return found


def _find_roots(sample: Callable, ends: np.ndarray) -> dict[str, np.ndarray]:
    """Where mean, low and high end of the gain's interval are zero, on all brackets at once; NaN where one is not bracketed.

    Illinois steps (false position that halves the value of an end that stays), until the mean is zero to a tenth of its interval.
    The ends of the interval start from the slope at the root.
    """
    first, last = (sample(ends[:, i]) for i in (0, 1))
    a, b, fa, fb = ends[:, 0], ends[:, 1], first["mean"], last["mean"]
    slope = (fb - fa) / (b - a)
    nearer = np.abs(fa) < np.abs(fb)
    root = np.where(nearer, a, b)
    at_root = {name: np.where(nearer, first[name], last[name]) for name in first}
    for _ in range(N_ROUNDS):
        c = np.where(fb != fa, b - fb * (b - a) / np.where(fb != fa, fb - fa, 1), (a + b) / 2)
        c = np.clip(c, 0, 1)  # the ends are those of fewer seeds, and the root may lie a little outside of them
        values = sample(c)
        fc, half = values["mean"], (values["high"] - values["low"]) / 2
        slope = np.where(np.abs(c - b) > 1e-6, (fc - fb) / np.where(np.abs(c - b) > 1e-6, c - b, 1), slope)
        crosses = fc * fb <= 0
        a, fa = np.where(crosses, b, a), np.where(crosses, fb, fa / 2)
        b, fb = c, fc
        better = np.abs(fc) < np.abs(at_root["mean"])
        root = np.where(better, c, root)
        at_root = {name: np.where(better, values[name], at_root[name]) for name in at_root}
        if (np.abs(at_root["mean"]) <= CLOSE * half).all():
            break
    roots = {"mean": root}
    for name in ("low", "high"):
        place, value, rate = root, at_root[name], slope
        for _ in range(2):
            safe = np.where(rate != 0, rate, np.nan)
            moved = place - value / safe
            inside = np.isfinite(moved) & (moved >= 0) & (moved <= 1)
            again = sample(np.where(inside, moved, root))[name]
            far = np.abs(moved - place) > 1e-6
            rate = np.where(far, (again - value) / np.where(far, moved - place, 1), rate)
            place, value = np.where(inside, moved, np.nan), again
        roots[name] = place
    return roots


def _split(curve: np.ndarray, low: np.ndarray, high: np.ndarray, along: int):
    """Branches: the k-th root of every line belongs to the k-th branch."""
    ranks = np.zeros(len(curve), int)
    for fixed in np.unique(curve[:, 1 - along]):
        on_line = np.flatnonzero(curve[:, 1 - along] == fixed)
        ranks[on_line[np.argsort(curve[on_line, along])]] = np.arange(len(on_line))
    groups = [ranks == k for k in range(ranks.max() + 1)]
    return tuple(tuple(array[group] for group in groups) for array in (curve, low, high))
