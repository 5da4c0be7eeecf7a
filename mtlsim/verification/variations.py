"""Random instances over everything that a statement may be bound to, not only over what its own instances look like.

Each starts from one of the statement's own instances, so that assumptions of measure zero (one noise, one covariance, rows without
end) are met often, and redraws some of its fields, in log ranges. What is static (numbers of tasks and features, relation, law of
rows, shared rows, sharing, what is left out) is chosen once for many instances, which then share one compile.
"""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mtlsim.cells.transfer import Transfer
from mtlsim.sharing import find_sharing, sharing_names
from mtlsim.sweeps.instances import shape_of
from mtlsim.tasks.covariance import Isotropic, PowerLaw, Spiked
from mtlsim.tasks.linear import LinearTasks
from mtlsim.tasks.recipe import Recipe
from mtlsim.tasks.relations import USE_ALIGNMENT, lowest_alignment
from mtlsim.theory.statement import Cells, Statement

RELATIONS = ("same", "disjoint", "rotated", "geodesic")
ROWS = ("gaussian", "student", "rademacher")
DESIGNS = {"isotropic": Isotropic, "power": PowerLaw, "spiked": Spiked}
MOST_ROWS = 500  # of laws that are drawn row by row
ENDLESS_ROWS = 1e12
MAX_TRIES = 50
OF_THE_MEASURE = ("n_starts", "n_steps")
OF_OTHER_TASKS = ("amplitude", "flip", "capacity", "labels", "activation")

Make = Callable[[np.random.Generator], Any]


def vary(statement: Statement, rng: np.random.Generator) -> Make:
    """A function rng -> instance, of one shape: what is static is drawn here, and every number by the function."""
    base = statement.instance(statement.places[0], rng)
    shape = shape_of(base)

    def near(rng):
        for _ in range(MAX_TRIES):
            found = statement.instance(statement.places[0], rng)
            if shape_of(found) == shape:
                return found
        return base

    if isinstance(base, Transfer):
        return _vary_transfer(base, statement.cells or Cells(), near, rng)
    if isinstance(getattr(base, "tasks", None), Recipe):
        changes = _static_of_tasks(base.tasks, rng, base.tasks.n_tasks)

        def make(rng):
            found = near(rng)
            rest = jitter({name: value for name, value in vars(found).items() if name != "tasks"}, rng)
            return replace(found, tasks=_redraw(found.tasks, changes, rng), **rest)

        return make
    sizes = _sizes(base, rng)
    return lambda rng: _rebuilt(replace(jitter(near(rng), rng), **sizes))


def _sizes(instance: Any, rng: np.random.Generator) -> dict[str, int]:
    """Other numbers of features, tasks and the like, for half of the shapes: a third as many to twice as many."""
    static = [field.name for field in fields(instance) if field.metadata.get("static") and field.name.startswith("n_")]
    sizes = {name: getattr(instance, name) for name in static if name not in OF_THE_MEASURE}
    if rng.random() < 0.5:
        return {}
    return {name: max(1, round(size * 10 ** rng.uniform(-0.5, 0.3))) for name, size in sizes.items() if size > 1}


def nearby(instance: Any, rng: np.random.Generator, decades: float) -> Any:
    """The same with some of its numbers moved by up to so many decades; whole numbers of two or more stay whole.

    Raises ValueError where a class does not take them.
    """
    is_whole = lambda leaf: type(leaf) in (int, float) and float(leaf).is_integer()
    floats = jax.tree.map(lambda leaf: float(leaf) if type(leaf) is int else leaf, instance)

    def back(old, new):
        if type(old) is int and old < 2:
            return old
        return type(old)(round(new)) if is_whole(old) and abs(old) >= 2 else new

    return _rebuilt(jax.tree.map(back, instance, jitter(floats, rng, decades)))


def _rebuilt(instance: Any) -> Any:
    """Made anew from its fields, and these from theirs, so that every class checks its own."""
    own = {field.name: getattr(instance, field.name) for field in fields(instance) if field.init}
    return replace(instance, **{name: _rebuilt(value) for name, value in own.items() if isinstance(value, eqx.Module)})


def jitter(tree: Any, rng: np.random.Generator, decades: float = 3.0) -> Any:
    """Some of the numbers of an instance, multiplied by up to so many decades; matrices as a whole."""

    def move(leaf):
        if not (eqx.is_inexact_array(leaf) or isinstance(leaf, float)) or rng.random() < 0.5:
            return leaf
        entries = np.shape(leaf) if np.ndim(leaf) == 1 and rng.random() < 0.5 else ()
        moved = leaf * 10 ** rng.uniform(-decades, decades, entries)
        return float(moved) if isinstance(leaf, float) else jnp.asarray(moved)

    return jax.tree.map(move, tree)


def _static_of_tasks(tasks: Recipe, rng: np.random.Generator, n_tasks: int) -> dict:
    """Static fields of a recipe; about half of them as they are."""
    chosen = {"n_tasks": n_tasks, "n_features": tasks.n_features, "design": None}
    linear = type(tasks) is LinearTasks
    if linear and tasks.parameters is None and rng.random() < 0.4:
        chosen["n_features"] = int(rng.choice([3, 6, 12, 30]))
    own = isinstance(tasks.design, tuple)  # a covariance for each task: nothing relates them
    chosen["relation"] = str(rng.choice(RELATIONS)) if rng.random() < 0.5 and not own else tasks.relation
    chosen["rows"] = str(rng.choice(ROWS)) if linear and rng.random() < 0.2 else tasks.rows
    chosen["shared_covariates"] = not tasks.shared_covariates if rng.random() < 0.25 else tasks.shared_covariates
    if rng.random() < 0.5 and not own:
        chosen["design"] = str(rng.choice(list(DESIGNS)))
    return chosen


def _vary_transfer(base: Transfer, cells: Cells, near: Make, rng: np.random.Generator) -> Make:
    n_tasks = base.tasks.n_tasks
    if cells.n_tasks is None and base.tasks.parameters is None and rng.random() < 0.4:
        n_tasks = int(rng.integers(2, 5))
    changes = _static_of_tasks(base.tasks, rng, n_tasks)
    if cells.same_rows is not None:
        changes["shared_covariates"] = cells.same_rows
    name = cells.sharing or str(rng.choice([name for name in sharing_names() if find_sharing(name)().solved]))
    kind = find_sharing(name)
    rank = base.rank
    if cells.rank == "sources":
        rank = n_tasks - 1
    elif cells.rank is None and rng.random() < 0.4:
        rank = int(rng.integers(1, n_tasks + 1))
    rank = min(rank, changes["n_features"])
    target = int(rng.integers(-n_tasks, 0)) if cells.target and not kind.needs_source and rng.random() < 0.3 else -1
    weighted = cells.weights and rng.random() < (0.5 if base.weights is None else 0.8)
    ridged = cells.ridge and rng.random() < (0.4 if base.ridge is None else 0.8)

    def make(rng):
        found = near(rng)
        weights = _some(found.weights, n_tasks, rng, 6.0) if weighted else None
        ridge = _some(found.ridge, n_tasks, rng, 5.0) if ridged else None
        sharing = found.sharing if found.sharing.name == name else kind()
        sharing = sharing if rng.random() < 0.5 else jitter(sharing, rng, 6.0)
        tasks = _redraw(found.tasks, changes, rng)
        return Transfer(tasks, rank, target, weights, ridge, sharing)

    return make


def _some(given: Any, count: int, rng: np.random.Generator, decades: float, zeros: bool = False) -> tuple:
    """One number per task: those that are given, one for all, or each its own."""
    if given is not None and rng.random() < 0.5 and len(np.atleast_1d(np.asarray(given, float))) == count:
        return tuple(float(one) for one in given)
    numbers = 10 ** rng.uniform(-decades, decades, count)
    if zeros and rng.random() < 0.15:
        numbers[rng.integers(count)] = 0.0
    return tuple((numbers if rng.random() < 0.6 else np.full(count, numbers[-1])).tolist())


def _redraw(tasks: Recipe, changes: dict, rng: np.random.Generator) -> Recipe:
    """A recipe with these static fields, some of whose numbers are redrawn."""
    n_tasks, d, rows = changes["n_tasks"], changes["n_features"], changes["rows"]
    fields = {name: getattr(tasks, name) for name in OF_OTHER_TASKS if hasattr(tasks, name)}
    design = tasks.design if changes["design"] is None else _design(changes["design"], rng)
    fields |= {name: changes[name] for name in ("n_features", "relation", "rows", "shared_covariates")}
    fields |= {"order": tasks.order, "design": design}
    fields["n_samples"] = _rows(tasks, n_tasks, d, rows, changes["shared_covariates"], rng)
    fields["noise"] = _some(tasks.noise, n_tasks, rng, 3.0, zeros=True)
    fields["parameter_norm"] = _some(tasks.parameter_norm, n_tasks, rng, 3.0)
    fields["cosine"] = _cosines(tasks.cosine, n_tasks - 1, rng)
    if changes["relation"] in USE_ALIGNMENT:
        least = 0.0 if changes["shared_covariates"] else float(lowest_alignment(design.draw(d)))
        fields["alignment"] = rng.uniform(min(least + 1e-5, 1), 1, n_tasks - 1).tolist()
    if tasks.parameters is not None:
        scales = 10 ** rng.uniform(-3, 3, (n_tasks, 1)) if rng.random() < 0.3 else 10 ** rng.uniform(-3, 3)
        fresh = rng.standard_normal((n_tasks, d)) if rng.random() < 0.3 else np.asarray(tasks.parameters)
        fields["parameters"] = fresh * (scales if rng.random() < 0.5 else 1)
    return type(tasks)(**fields)


def _design(kind: str, rng: np.random.Generator):
    if kind == "isotropic":
        return Isotropic(float(10 ** rng.uniform(-3, 3)))
    # some so steep that the precision sees nothing of their last directions
    steep = rng.random() < 0.25
    if kind == "power":
        return PowerLaw(float(rng.uniform(6, 30) if steep else rng.uniform(0, 6)))
    return Spiked(float(10 ** (rng.uniform(8, 18) if steep else rng.uniform(0, 8))), fraction=0.1)


def _rows(tasks: Recipe, n_tasks: int, d: int, rows: str, shared: bool, rng: np.random.Generator) -> tuple:
    capacity = getattr(tasks, "capacity", None)
    most = capacity or (MOST_ROWS if rows != "gaussian" else ENDLESS_ROWS)
    if n_tasks == tasks.n_tasks and rng.random() < 0.5:
        numbers = np.asarray([float(n) for n in tasks.n_samples])
    elif rng.random() < 0.5:
        numbers = d + np.rint(10 ** rng.uniform(0, 2.5, n_tasks))  # near enough to the number of features
    else:
        numbers = np.rint(10 ** rng.uniform(0, 4, n_tasks))
    if rng.random() < 0.3:
        numbers[:-1] = most
    numbers = np.minimum(numbers, most)
    return tuple((np.full(n_tasks, numbers[-1]) if shared else numbers).tolist())


def _cosines(given: tuple, count: int, rng: np.random.Generator) -> tuple:
    kind = rng.random()
    if kind < 0.4 and len(given) == count:
        return given
    if kind < 0.6:
        return (1.0,) * count
    if kind < 0.7:
        return tuple((1 - 10 ** rng.uniform(-9, -1, count)).tolist())
    return tuple(rng.uniform(-1, 1, count).tolist())
