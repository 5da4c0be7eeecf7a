"""`search_counterexample`: the instance that violates a statement most, or comes closest, by a scan of ranges and climbs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from scipy.optimize import minimize

from mtlsim.core.checks import require, require_float64
from mtlsim.core.compiler import QUICKLY, compile_with_nan
from mtlsim.core.extremes import largest_of
from mtlsim.core.registry import file_of
from mtlsim.core.words import counted, verb
from mtlsim.results.grid import as_leaves, at_point, make_grid
from mtlsim.results.grid import parameters as parameters_of
from mtlsim.results.store import check_writable, require_path, write_whole
from mtlsim.sweeps.boundary import Box
from mtlsim.sweeps.instances import over_instances
from mtlsim.theory import find_statement, statement_names
from mtlsim.theory.statement import Statement

FINITE = 1e6  # what stands for a violation that is not a number
VIOLATES = 5.0  # standard errors on fresh draws from which a violation is one
APART = 0.15  # in units of the box: how far the starts of climbs lie from each other
TOGETHER = 0.05  # in the same units, or of the height reached: climbs that agree
FLOOR = (
    1e-3  # of a violation's standard error while climbing, so that tiny certain violations do not count for more than large ones
)


@dataclass(frozen=True)
class Counterexample:
    """The worst instance found: parameters by dotted name, and on fresh draws the mean violation with its standard error.

    violation: what the statement says is at most zero: measured - predicted (bound) or |mean of measured - predicted| over the size
    of both; for a sign, -measured in the predicted direction over the size of measured alone, as the prediction has none. It counts
    the draws on which the assumptions hold, share_inside of all. What is climbed is its ratio to its standard error.
    quantity, measured, predicted: what it is about, and the means of both over the same draws; None where there are none.
    n_agree of n_starts climbs end at this place or as high. A search that finds nothing is no evidence: see n_evaluations.
    lacks: where it holds on no draw, the assumptions that fail.
    file: of a user's own statement, which must be named (`mtlsim.use`) before the instance can be asked for.
    """

    statement: str
    place: str
    seed: int
    parameters: Mapping[str, float]
    violation: float
    standard_error: float
    n_evaluations: int
    share_inside: float = 1.0
    n_starts: int = 1
    n_agree: int = 1
    file: str | None = None
    lacks: str = ""
    quantity: str = ""
    measured: float | None = None
    predicted: float | None = None

    @property
    def z(self) -> float:
        if self.violation == 0:
            return 0.0
        return self.violation / self.standard_error if self.standard_error > 0 else np.inf * np.sign(self.violation)

    @property
    def instance(self) -> Any:
        known = self.file is None or self.statement in statement_names()
        cure = f"mtlsim.use({self.file!r}) if you trust it"
        require(known, "statement", "known", f"{self.statement}, of a file that a result alone does not run", cure)
        base = find_statement(self.statement).instance(self.place, np.random.default_rng(self.seed))
        return at_point(base, dict(self.parameters), check=False)

    def __str__(self) -> str:
        values = ", ".join(f"{name} = {value:.4g}" for name, value in self.parameters.items())
        agreeing = f"{self.n_agree} of {counted(self.n_starts, 'climb')} {verb(self.n_agree, 'agrees')}"
        seen = f"{counted(self.n_evaluations, 'point')}, {agreeing}"
        if self.share_inside == 0:
            which = f"; at the last it is short of: {self.lacks}" if self.lacks else ""
            return f"cannot search {self.statement}: its assumptions hold at none of {counted(self.n_evaluations, 'point')}{which}"
        size = f"{self.violation:.3g} +- {self.standard_error:.2g} of its size"
        if self.measured is not None and self.predicted is not None:
            size += f" (mean {self.quantity} {self.measured:.5g} measured, {self.predicted:.5g} predicted)"
        if self.z >= VIOLATES:
            return f"violates {self.statement}, by {size}, at {values} ({seen})"
        return (
            f"no violation of {self.statement} was found, which is no evidence that there is none: the largest difference was "
            f"{size}, at {values} ({seen})"
        )

    def save(self, path: str | Path) -> Path:
        """Write all that `load_counterexample` needs to make the instance again."""
        path = require_path(path, ".json")
        check_writable(path.parent, "path")
        text = json.dumps(vars(self) | {"parameters": dict(self.parameters)}, indent=1) + "\n"
        write_whole(path, lambda file: file.write_text(text, encoding="utf-8"))
        return path


def load_counterexample(path: str | Path) -> Counterexample:
    """What `Counterexample.save` wrote; `.instance` is the instance, ready to be measured again.

    >>> from mtlsim.verification.counterexample import Counterexample
    >>> found = Counterexample("plateau", "inside", 0, {"tasks.cosine": 0.5}, violation=0.1, standard_error=0.01, n_evaluations=64)
    >>> found.save("worst.json").name
    'worst.json'
    >>> print(mtl.load_counterexample("worst.json"))
    violates plateau, by 0.1 +- 0.01 of its size, at tasks.cosine = 0.5 (64 points, 1 of 1 climb agrees)
    """
    try:
        return Counterexample(**json.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(
            f"path must be a file that Counterexample.save wrote, but {path} is not ({error}); search again."
        ) from None


def search_counterexample(
    statement: Statement,
    ranges: Mapping[str, tuple[float, float]],
    *,
    place: str = "inside",
    n_scan: int = 64,
    n_starts: int = 6,
    n_draws: int = 64,
    n_fresh: int = 2000,
    max_steps: int = 40,
    seed: int = 0,
) -> Counterexample:
    """Scan the violation of a statement over some parameters of its instances, within ranges, then climb from the best places.

    ranges: dotted names of traced parameters to (low, high); others stay those of a random instance of `place`. n_scan: points that
    fill the box evenly; the n_starts highest that lie apart are climbed, and a scanned point that no climb exceeds is kept, as a
    sign has no slope. n_draws: common draws over which the violation is averaged; n_fresh: other draws on which the best is
    measured at the end, so that chance found by the search does not count. Raises ValueError for unknown names.

    >>> from mtlsim.theory import find_statement
    >>> statement, ranges = find_statement("effective-rows"), {"distance": (0.01, 1.0), "noise": (0.1, 2.0)}
    >>> found = mtl.search_counterexample(statement, ranges, n_scan=4, n_starts=1, n_fresh=200)
    >>> bool(found.z < 5)  # standard errors; that none was found is no proof
    True
    """
    require_float64("search_counterexample")
    require(len(ranges) > 0, "ranges", "at least one parameter", "empty", "give {'tasks.noise[0]': (0.1, 10)}")
    require(n_starts >= 1, "n_starts", "at least 1", n_starts, "use 6")
    base = statement.instance(place, np.random.default_rng(seed))
    make_grid(base, {name: list(ends) for name, ends in ranges.items()}, check=False)
    static = [name for name, is_static in parameters_of(base) if is_static and name in ranges]
    cure = "search over others; `mtlsim verify --holes` draws these too"
    require(not static, "ranges", "of parameters that move without a step", ", ".join(static), cure)
    boxes = [Box(name, ends, name, ends) for name, ends in ranges.items()]
    keys = jax.random.split(jax.random.key(seed), n_draws)

    def values_at(unit: Float[Array, " n"]):
        return {name: box.out(jnp.stack([u, u]))[0] for name, box, u in zip(ranges, boxes, unit, strict=True)}

    def climbed(unit, leaves):
        instance = at_point(leaves, values_at(unit), check=False)
        off, sizes, inside = jax.lax.map(lambda key: _violation(statement, instance, key), keys)
        kept = inside[:, None] / jnp.maximum(jnp.sum(inside), 1)
        # the size is a mean over draws: a ratio per draw would be biased
        size = jax.lax.stop_gradient(jnp.sum(jnp.where(inside[:, None], sizes, 0) * kept, 0))
        off = jnp.where(inside[:, None], off, 0) / jnp.where(size > 0, size, 1)
        mean = jnp.sum(off * kept, 0)
        error = jnp.sqrt(jnp.sum((off - mean) ** 2 * kept, 0) / jnp.maximum(jnp.sum(inside), 1) + FLOOR**2)
        return jnp.where(jnp.any(inside), -_size(statement, mean / error), jnp.nan)

    value_and_slope = compile_with_nan(jax.value_and_grad(climbed), QUICKLY)
    leaves, count = as_leaves(base), 0

    method: dict[str, Any] = {"method": "L-BFGS-B", "jac": True, "options": {"maxiter": max_steps}}
    try:
        value_and_slope(jnp.full(len(ranges), 0.5, float), leaves)
    except ValueError as error:  # of jax, where a draw loops as long as it needs, as by the number of rows
        if "everse-mode" not in str(error):
            raise
        plain = compile_with_nan(climbed, QUICKLY)
        value_and_slope = lambda unit, leaves: (plain(unit, leaves), jnp.zeros(len(ranges)))
        method = {"method": "Nelder-Mead", "options": {"maxfev": 2 * max_steps}}

    def objective(unit):
        nonlocal count
        count += 1
        value, slope = value_and_slope(jnp.asarray(unit), leaves)
        finite = bool(jnp.isfinite(value))
        return float(value) if finite else FINITE, np.nan_to_num(np.asarray(slope, float)) if finite else np.zeros(len(unit))

    found = [(objective(point)[0], point) for point in _even(max(n_scan, n_starts), len(ranges), seed)]
    ends = []
    for start in _apart(found, n_starts):
        bounds = [(0, 1)] * len(ranges)
        climb = objective if "jac" in method else lambda unit: objective(unit)[0]
        end = minimize(climb, start[1], bounds=bounds, **method)
        ends.append(min((float(end.fun), end.x), start, key=lambda one: one[0]))
    lowest, best = min(ends, key=lambda one: one[0])
    close = [np.abs(x - best).max() < TOGETHER or value < lowest + TOGETHER * abs(lowest) for value, x in ends]
    parameters = {name: float(value) for name, value in values_at(jnp.asarray(best)).items()}
    worst = at_point(base, parameters, check=False)
    fresh = over_instances(lambda i, key: _named(statement, i, key), [worst], jax.random.key(seed + 1), n_fresh)[0]
    inside, own = fresh["inside"], file_of(statement)
    file = None if own is None else str(own.path)
    if inside.sum() < 2:
        lacks, agree = short_of(statement, worst, keys[0]), (len(ends), int(sum(close)))
        return Counterexample(statement.name, place, seed, parameters, 0.0, 0.0, count, 0.0, *agree, file, lacks)
    off = fresh["violation"][inside] / fresh["size"][inside].mean(0)
    mean, error = off.mean(0), off.std(0, ddof=1) / np.sqrt(inside.sum())
    signed = mean if statement.kind in ("bound", "sign") else np.abs(mean)
    which = int(np.argmax(signed / np.maximum(error, FLOOR)))
    numbers = float(signed[which]), float(error[which]), count, float(inside.mean()), len(ends), int(sum(close))
    shapes = jax.eval_shape(lambda key: (statement.measure(worst, key), statement.predict(worst, key)), keys[0])
    quantity = _quantities(*shapes)[which]
    means = (float(fresh[name][inside].mean(0)[which]) for name in ("measured", "predicted"))
    return Counterexample(statement.name, place, seed, parameters, *numbers, file, "", quantity, *means)


def short_of(statement: Statement, instance: Any, key: Any) -> str:
    """The assumptions that fail on one draw of an instance."""
    margins = statement.assume(instance, key)
    return "; ".join(name for name, margin in margins.items() if not bool(jnp.all(jnp.asarray(margin) >= 0)))


def _even(count: int, n_axes: int, seed: int) -> np.ndarray:
    """Points (count, n_axes) that fill the unit box evenly, for any count: steps by powers of a generalised golden ratio."""
    ratio = 2.0
    for _ in range(64):  # the root of x^(n + 1) = x + 1
        ratio = (1 + ratio) ** (1 / (n_axes + 1))
    steps = np.arange(count)[:, None] / ratio ** np.arange(1, n_axes + 1)
    return (np.random.default_rng(seed).random(n_axes) + steps) % 1


def _apart(found: list[tuple[float, np.ndarray]], count: int) -> list[tuple[float, np.ndarray]]:
    """The lowest points that lie apart, at most `count`."""
    chosen: list[tuple[float, np.ndarray]] = []
    for one in sorted(found, key=lambda one: one[0]):
        if len(chosen) < count and all(np.abs(one[1] - other).max() >= APART for _, other in chosen):
            chosen.append(one)
    return chosen


def _violation(statement: Statement, instance, key) -> tuple[Float[Array, " q"], Float[Array, " q"], Bool[Array, ""]]:
    """Per quantity, what should not be positive (bound, sign) or zero on average (the others), and its size; whether it applies."""
    measured, predicted = _both(statement, instance, key)
    margins = [jnp.asarray(margin, float) for margin in statement.assume(instance, key).values()]
    signed = statement.kind == "sign"
    off = -measured * jnp.sign(predicted) if signed else measured - predicted
    size = jnp.abs(measured) + (0 if signed else jnp.abs(predicted)) + jnp.finfo(off.dtype).tiny
    return off, size, jnp.all(jnp.stack(margins) >= 0) if margins else jnp.asarray(True)


def _both(statement: Statement, instance, key) -> tuple[Float[Array, " q"], Float[Array, " q"]]:
    """What is measured and what is predicted of every quantity."""
    found = statement.measure(instance, key), statement.predict(instance, key)
    measured, predicted = (jnp.stack([values[name] for name in _quantities(*found)]) for values in found)
    return measured, predicted


def _quantities(measured: Mapping[str, Any], predicted: Mapping[str, Any]) -> list[str]:
    return sorted(set(measured) & set(predicted))


def _named(statement: Statement, instance, key) -> dict[str, Array]:
    found = (*_violation(statement, instance, key), *_both(statement, instance, key))
    return dict(zip(("violation", "size", "inside", "measured", "predicted"), found, strict=True))


def _size(statement: Statement, off: Float[Array, " q"]) -> Float[Array, ""]:
    return largest_of(off if statement.kind in ("bound", "sign") else jnp.abs(off))
