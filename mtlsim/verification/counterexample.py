"""`search_counterexample`: the instance that violates a statement most, or comes closest, by gradient ascent within ranges."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.optimize import minimize

from mtlsim.core.checks import require
from mtlsim.sweeps.boundary import Box
from mtlsim.sweeps.execute import as_leaves
from mtlsim.sweeps.grid import at_point, make_grid
from mtlsim.sweeps.instances import compile_quickly, over_instances
from mtlsim.sweeps.store import check_writable, require_path, write_whole
from mtlsim.theory import find_statement
from mtlsim.theory.statement import Statement

FINITE = 1e6  # what stands for a violation that is not a number
FLOOR = (
    1e-3  # of a violation's standard error while climbing, so that tiny certain violations do not count for more than large ones
)


@dataclass(frozen=True)
class Counterexample:
    """The worst instance found: parameters by dotted name, and on fresh draws the mean violation with its standard error.

    violation: what the statement says is at most zero: measured - predicted (bound), -measured in the predicted direction (sign),
    |mean of measured - predicted| (the others), each over the size of both. What is climbed is its ratio to its standard error.
    """

    statement: str
    place: str
    seed: int
    parameters: Mapping[str, float]
    violation: float
    standard_error: float
    n_evaluations: int

    @property
    def z(self) -> float:
        return self.violation / self.standard_error if self.standard_error > 0 else np.inf * np.sign(self.violation)

    @property
    def instance(self) -> Any:
        base = find_statement(self.statement).instance(self.place, np.random.default_rng(self.seed))
        return at_point(base, dict(self.parameters), check=False)

    def __str__(self) -> str:
        word = "violates" if self.z >= 5 else "comes closest to violating"
        values = ", ".join(f"{name} = {value:.4g}" for name, value in self.parameters.items())
        size = f"by {self.violation:.3g} +- {self.standard_error:.2g} of its size"
        return f"{word} {self.statement}, {size}, at {values}"

    def save(self, path: str | Path) -> Path:
        """Write all that `load_counterexample` needs to make the instance again."""
        path = require_path(path, ".json")
        check_writable(path.parent, "path")
        text = json.dumps(vars(self) | {"parameters": dict(self.parameters)}, indent=1) + "\n"
        write_whole(path, lambda file: file.write_text(text, encoding="utf-8"))
        return path


def load_counterexample(path: str | Path) -> Counterexample:
    """What `Counterexample.save` wrote; `.instance` is the instance, ready to be measured again."""
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
    n_starts: int = 6,
    n_draws: int = 64,
    n_fresh: int = 2000,
    max_steps: int = 40,
    seed: int = 0,
) -> Counterexample:
    """Climb the violation of a statement over some parameters of its instances, within ranges, from several random starts.

    ranges: dotted names of traced parameters to (low, high); others stay those of a random instance of `place`. n_draws: common
    draws over which the violation is averaged while climbing; n_fresh: other draws on which the best is measured at the end, so
    that chance found by the search does not count. Raises ValueError for unknown names.
    """
    require(len(ranges) > 0, "ranges", "at least one parameter", "empty", "give {'tasks.noise[0]': (0.1, 10)}")
    rng = np.random.default_rng(seed)
    base = statement.instance(place, np.random.default_rng(seed))
    make_grid(base, {name: list(ends) for name, ends in ranges.items()}, check=False)
    boxes = [Box(name, ends, name, ends) for name, ends in ranges.items()]
    keys = jax.random.split(jax.random.key(seed), n_draws)

    def values_at(unit: Float[Array, " n"]):
        return {name: box.out(jnp.stack([u, u]))[0] for name, box, u in zip(ranges, boxes, unit, strict=True)}

    def climbed(unit, leaves):
        instance = at_point(leaves, values_at(unit), check=False)
        # the size is a mean over draws: a ratio per draw would be biased
        draws, sizes = jax.lax.map(lambda key: _violation(statement, instance, key), keys)
        draws = draws / jax.lax.stop_gradient(jnp.mean(sizes, 0))
        error = jnp.sqrt(jnp.var(draws, 0) / n_draws + FLOOR**2)
        return -_size(statement, jnp.mean(draws, 0) / error)

    value_and_slope = compile_quickly(jax.value_and_grad(climbed))
    leaves = as_leaves(base)
    count, best, lowest = 0, None, np.inf

    def objective(unit):
        nonlocal count
        count += 1
        value, slope = value_and_slope(jnp.asarray(unit), leaves)
        finite = bool(jnp.isfinite(value))
        return float(value) if finite else FINITE, np.nan_to_num(np.asarray(slope, float)) if finite else np.zeros(len(unit))

    for _ in range(n_starts):
        start = rng.uniform(0.05, 0.95, len(ranges))
        found = minimize(
            objective, start, jac=True, method="L-BFGS-B", bounds=[(0, 1)] * len(ranges), options={"maxiter": max_steps}
        )
        if best is None or found.fun < lowest:
            best, lowest = found.x, found.fun
    parameters = {name: float(value) for name, value in values_at(jnp.asarray(best)).items()}
    worst = at_point(base, parameters, check=False)
    fresh = over_instances(lambda i, key: _named(_violation(statement, i, key)), [worst], jax.random.key(seed + 1), n_fresh)[0]
    fresh = fresh["violation"] / fresh["size"].mean(0)
    mean, error = fresh.mean(0), fresh.std(0, ddof=1) / np.sqrt(n_fresh)
    signed = mean if statement.kind in ("bound", "sign") else np.abs(mean)
    which = int(np.argmax(signed / np.maximum(error, FLOOR)))
    return Counterexample(statement.name, place, seed, parameters, float(signed[which]), float(error[which]), count)


def _violation(statement: Statement, instance, key) -> tuple[Float[Array, " q"], Float[Array, " q"]]:
    """Per quantity, what should not be positive (bound, sign) or zero on average (the others), and the size of both numbers."""
    measured, predicted = statement.measure(instance, key), statement.predict(instance, key)
    names = sorted(set(measured) & set(predicted))
    measured, predicted = (jnp.stack([values[name] for name in names]) for values in (measured, predicted))
    off = -measured * jnp.sign(predicted) if statement.kind == "sign" else measured - predicted
    return off, jnp.abs(measured) + jnp.abs(predicted) + jnp.finfo(off.dtype).tiny


def _named(both) -> dict[str, Array]:
    return {"violation": both[0], "size": both[1]}


def _size(statement: Statement, off: Float[Array, " q"]) -> Float[Array, ""]:
    return jnp.max(off if statement.kind in ("bound", "sign") else jnp.abs(off))
