"""The search for holes: cells that a statement accepts, whose margins are positive, and where it is false all the same.

Random instances over all that may be bound (`mtlsim.verification.variations`), kept where every assumption holds, must agree within
the statement's trust, by the rule of its kind (`mtlsim.verification.rules`). A cell that disagrees is drawn again with other keys
and `AGAIN` times as many draws; it is a hole if it disagrees then too. What is found becomes an assumption of the statement.

Random cells seldom lie where several assumptions end at once, and there a statement is least true. So the search goes on from the
cells that strain it most, to their neighbours and the neighbours of these, ever nearer (`STEPS`), and looks at where that ends.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mtlsim.core.checks import require, require_float64
from mtlsim.core.extremes import largest_of, smallest_of
from mtlsim.core.words import counted
from mtlsim.sweeps.instances import shape_of
from mtlsim.sweeps.one_shape import for_shape
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory import find_statement, statement_names
from mtlsim.theory.statement import Statement
from mtlsim.verification.rules import CONFIRMED, REFUTED, Evidence, judge
from mtlsim.verification.variations import nearby, vary

AGAIN = 8
SUSPECT = 3.0  # standard errors of a mean from which a cell is drawn again
PER_SHAPE = 12  # cells of one shape, at most
TRIED = 8  # instances drawn for each that may be kept
MOST_AGAIN = 6  # cells of one shape that are drawn again: one is enough to find the missing assumption
SHAPES = 3  # tried for each that is needed
N_MARGINS = 2  # draws on which the margins are looked at before a cell is kept
STEPS = (0.6, 0.4, 0.25, 0.15)  # decades, of each generation of neighbours
KEPT = 4  # cells that strain a statement most, whose neighbours are looked at next
FLOOR = 1e-10  # of the labels' energy: differences below it are rounding
MEANS = ("equality", "limit", "sign")  # kinds that are judged by a mean

Run = Callable[[Sequence[Any], Any, int], list[dict[str, np.ndarray]]]


@dataclass(frozen=True)
class Hole:
    """A cell inside the assumptions where the statement is wrong, or names a number where there is none."""

    instance: Any = field(repr=False)
    quantity: str
    score: float
    measured: float
    predicted: float
    margin: float
    strain: float = 0.0

    def __str__(self) -> str:
        return f"{self.quantity}: {self.predicted:.4g} predicted, {self.measured:.4g} measured (score {self.score:.3g})"


@dataclass(frozen=True)
class Search:
    """What a search found: n_drawn cells, n_inside of them inside the assumptions and compared, over n_shapes shapes."""

    statement: Statement
    n_drawn: int
    n_inside: int
    n_shapes: int
    n_seeds: int
    holes: list[Hole]
    seconds: float

    @property
    def n_holes(self) -> int:
        """Cells that are holes, in one quantity or more."""
        return len({id(hole.instance) for hole in self.holes})

    @property
    def seen(self) -> str:
        return f"{counted(self.n_holes, 'hole')} in {counted(self.n_inside, 'cell')} inside the assumptions"

    def __str__(self) -> str:
        return (
            f"{self.statement.name}: {self.seen} (of {self.n_drawn} drawn, {counted(self.n_shapes, 'shape')}), "
            f"{counted(self.n_seeds, 'draw')} each, {self.seconds:.0f} s"
        )

    def told(self) -> str:
        """A line a hole, and its cell."""
        return "".join(f"   {hole}, margin {hole.margin:.3g}\n      {hole.instance}\n" for hole in self.holes)


def search_holes(statement: Statement, n_cells: int = 200, n_seeds: int = 100, seed: int = 0) -> Search:
    """Compare prediction and measurement on `n_cells` random cells inside the assumptions, or as many as are found."""
    require_float64("search_holes")
    require(n_cells >= 1, "n_cells", "at least 1", n_cells, "use 200")
    require(n_seeds >= 10, "n_seeds", "at least 10", n_seeds, "use 100")
    start = time.perf_counter()
    rng = np.random.default_rng([seed, 1, *statement.name.encode()])
    n_drawn, n_inside, n_shapes, n_tried, holes = 0, 0, 0, 0, []
    most = SHAPES * max(4, -(-n_cells // PER_SHAPE))
    while n_inside < n_cells and n_shapes < most and n_tried < 10 * most:
        n_tried += 1
        make = vary(statement, rng)
        wanted = min(PER_SHAPE, n_cells - n_inside)
        drawn = _draw(make, 1, rng)
        if not drawn or _never_inside(statement, drawn[0]):
            continue
        drawn = _draw(make, TRIED * PER_SHAPE, rng)
        run = for_shape(lambda one, key: _values(statement, one, key), drawn[0])
        kept = _inside(run, drawn, seed)[:wanted]
        n_drawn, n_inside, n_shapes = n_drawn + len(drawn), n_inside + len(kept), n_shapes + 1
        found = _twice_wrong(statement, run, kept, n_seeds, seed) if kept else []
        if kept and not found and (worst := _towards_the_worst(statement, run, kept, n_seeds, seed, rng)):
            found = _twice_wrong(statement, run, worst, n_seeds, seed)
        holes += found
    return Search(statement, n_drawn, n_inside, n_shapes, n_seeds, holes, time.perf_counter() - start)


def search_all(
    names: Sequence[str] = (), n_cells: int = 200, n_seeds: int = 100, seed: int = 0, show: bool = False
) -> list[Search]:
    """`search_holes` of every statement that is expected to hold (all names if none are given), each printed when it is there.

    show: print the cells that were found, too.
    """
    found = []
    for statement in map(find_statement, names or statement_names()):
        if statement.expected != CONFIRMED:
            continue
        found.append(search_holes(statement, n_cells, n_seeds, seed))
        print(found[-1], flush=True)
        if show and found[-1].holes:
            print(found[-1].told(), end="", flush=True)
    holes, inside = sum(one.n_holes for one in found), sum(one.n_inside for one in found)
    print(f"in all: {counted(holes, 'hole')} in {counted(inside, 'cell')} inside the assumptions")
    return found


def holes_among(statement: Statement, instances: Sequence[Any], n_seeds: int = 100, seed: int = 0) -> list[Hole]:
    """Those of the instances, all of one shape, that are inside the assumptions and disagree, twice."""
    run = for_shape(lambda one, key: _values(statement, one, key), instances[0])
    return _twice_wrong(statement, run, instances, n_seeds, seed)


def _inside(run: Run, instances: Sequence[Any], seed: int) -> list[Any]:
    """Those whose assumptions hold on the draws that are looked at first."""
    margins = [values["margin"] for values in run(instances, jax.random.key(seed), N_MARGINS)] if instances else []
    return [one for one, margin in zip(instances, margins, strict=True) if np.min(margin) > 0]


def _towards_the_worst(
    statement: Statement, run: Run, instances: Sequence[Any], n_seeds: int, seed: int, rng: np.random.Generator
) -> list[Any]:
    """The cells that strain the statement most, of these, their neighbours, and the neighbours of the worst of them."""
    worst: list[tuple[float, Any]] = []
    for number, step in enumerate((*STEPS, None)):
        seen = _compare(statement, run, instances, n_seeds, seed + 3 + number) if instances else []
        strained = sorted([*worst, *((hole.strain, hole.instance) for _, hole, _ in seen)], key=lambda pair: pair[0])
        own = {id(one): (strain, one) for strain, one in strained}  # of several quantities the one that strains it most
        worst = sorted(own.values(), key=lambda pair: -pair[0])[:KEPT]
        if step is not None:
            near = [near for _, one in worst for near in _neighbours(one, step, rng)]
            instances = _inside(run, near, seed)
    return [one for _, one in worst]


def _neighbours(instance: Any, step: float, rng: np.random.Generator) -> list[Any]:
    """Cells of the same shape, of the many that cannot be made a few that can."""
    drawn = _draw(lambda rng: nearby(instance, rng, step), TRIED * PER_SHAPE // KEPT, rng)
    return [near for near in drawn if shape_of(near) == shape_of(instance)][: 2 * PER_SHAPE // KEPT]


def _twice_wrong(statement: Statement, run: Run, instances: Sequence[Any], n_seeds: int, seed: int) -> list[Hole]:
    suspects = sorted({i for i, _, wrong in _compare(statement, run, instances, n_seeds, seed + 1, True) if wrong})
    again = [instances[i] for i in suspects[:MOST_AGAIN]]
    found = _compare(statement, run, again, AGAIN * n_seeds, seed + 2) if again else []
    return [hole for _, hole, wrong in found if wrong]


def _draw(make, count: int, rng: np.random.Generator) -> list:
    drawn = []
    for _ in range(count):
        try:
            drawn.append(make(rng))
        except ValueError:  # outside the domain of a field
            continue
    return drawn


def _never_inside(statement: Statement, instance: Any) -> bool:
    """Whether an assumption fails for what is static in an instance, which is told without compiling anything."""
    margins: list = []
    jax.eval_shape(lambda key: margins.extend(statement.assume(instance, key).values()), jax.random.key(0))
    return any(isinstance(margin, (int, float)) and margin <= 0 for margin in margins)


def _margin(statement: Statement, instance: Any, key):
    margins = [jnp.asarray(margin, float) for margin in statement.assume(instance, key).values()]
    return smallest_of(jnp.stack(margins)) if margins else jnp.asarray(jnp.inf)


def _values(statement: Statement, instance: Any, key) -> dict:
    values = {"margin": _margin(statement, instance, key), "floor": jnp.zeros(())}
    if isinstance(getattr(instance, "tasks", None), LinearTasks):
        tasks = instance.tasks.draw(key=key)
        squares = [covariance.quadratic(theta) for covariance, theta in zip(tasks.covariances, tasks.parameters, strict=True)]
        values["floor"] = FLOOR * largest_of(jnp.stack(squares) + tasks.noise**2)
    values |= {f"measured {name}": value for name, value in statement.measure(instance, key).items()}
    return values | {f"predicted {name}": value for name, value in statement.predict(instance, key).items()}


def _compare(
    statement: Statement, run: Run, instances: Sequence[Any], n_seeds: int, seed: int, suspect: bool = False
) -> list[tuple[int, Hole, bool]]:
    """(instance, what was seen, whether it disagrees, or may) for every quantity, on draws inside the assumptions."""
    drawn = run(instances, jax.random.key(seed), n_seeds)
    seen = []
    for i, (instance, values) in enumerate(zip(instances, drawn, strict=True)):
        inside = values["margin"] > 0
        if inside.sum() < max(2, n_seeds // 4):
            continue
        trust = 0.0 if statement.trust is None else float(statement.trust(instance))
        for name in (name.removeprefix("measured ") for name in values if name.startswith("measured ")):
            if f"predicted {name}" not in values:
                continue
            measured, predicted = values[f"measured {name}"][inside], values[f"predicted {name}"][inside]
            floor, margin = values["floor"][inside], values["margin"][inside]
            nothing = np.zeros_like(measured) if statement.kind == "sign" else predicted
            off = measured - nothing
            if statement.kind in MEANS:  # draw by draw, only the large ones would be left in their mean
                off = np.mean(off * np.sign(predicted) if statement.kind == "sign" else off)
                floor = floor.max()
            measured = np.where(np.abs(off) <= floor, nothing, measured)
            one = Evidence("inside", name, i, measured, predicted, margin, trust)
            if not np.isfinite(predicted).any():  # silent: nothing false is said
                continue
            unknown = not (np.isfinite(measured).all() and np.isfinite(predicted).all())
            wrong = unknown or judge(statement.kind, [one])[0] == REFUTED
            wrong |= suspect and statement.kind in MEANS and one.against(statement.kind) >= SUSPECT
            means = float(measured.mean()), float(predicted.mean())
            numbers = float(one.against(statement.kind)), *means, float(margin.min()), one.strain(statement.kind)
            seen.append((i, Hole(instance, name, *numbers), wrong))
    return seen
