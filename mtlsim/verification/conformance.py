"""Whether what a user brings does what its protocol asks: sentences on what it does not."""

import dataclasses
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mtlsim.core.checks import require
from mtlsim.core.registry import KINDS, OwnFile, all_in, lines_through, open_own
from mtlsim.core.words import with_article
from mtlsim.mechanisms import Mechanism, try_mechanism
from mtlsim.samples.moments import Moments
from mtlsim.sharing import Sharing
from mtlsim.sweeps.run import sweep
from mtlsim.theory.statement import INSIDE, OUTSIDE, Statement
from mtlsim.training.fit import fit
from mtlsim.weighting import Scheme, Signals

TRACED = "; numbers are traced there: write jnp.where in place of if, and jnp.f in place of np.f and float"
PARTS = {"instance": ("place", "rng")} | dict.fromkeys(("assume", "predict", "measure"), ("cell", "key"))
N_TRIED = 3  # instances of every place, and keys


def check_file(path: Path | str) -> list[str]:
    """Sentences on all that is wrong with the things of a file, or of every .py file in a folder; none: nothing.

    Statements are made in every place and traced, their margins looked at and their numbers compared by name; architectures fit
    three small tasks in two orders; schemes weigh a step; cells are swept, alone and in a batch.
    """
    path = Path(path)
    files = sorted(path.glob("*.py")) if path.is_dir() else [path]
    require(len(files) > 0, "files", ".py files, or folders of them", f"{path}, a folder without any", "name another")
    return [sentence for file in files for sentence in _check_own(open_own(file))]


def _check_own(own: OwnFile) -> Iterator[str]:
    things = [(kind, thing) for kind in KINDS for thing in all_in(own, kind)]
    checks = {"STATEMENT": _statement, "SHARING": _sharing, "SCHEME": _scheme, "MECHANISM": _mechanism}
    for kind, thing in things:
        yield from _guarded(kind, checks.get(kind, lambda thing: ()), thing, own)
    cells = [one for one in vars(own.module).values() if _is_cell(one, own)]
    for kind in cells:
        yield from _guarded(kind.__name__, _cell, kind, own)
    if not things and not cells:
        yield f"there is nothing to check: no {', '.join(KINDS)}, and no cell, an equinox module with __call__(self, *, key)"


def _guarded(name: str, check: Any, thing: Any, own: OwnFile) -> Iterator[str]:
    """What a check says, and what a user's code raises on the way, with its line."""
    try:
        yield from (f"{name}: {sentence}" for sentence in check(thing))
    except Exception as error:  # whatever a user's code may raise
        line = next((f" in line {line}" for line in lines_through(error, own.path)), "")
        message = str(error).splitlines()[0].rstrip(".") if str(error) else "no message"
        cure = TRACED if isinstance(error, jax.errors.JAXTypeError) else ""
        yield f"{name}: it raises {type(error).__name__}{line}: {message}{cure}"


def _is_cell(one: Any, own: OwnFile) -> bool:
    mine = isinstance(one, type) and one.__module__ == own.module.__name__ and issubclass(one, eqx.Module)
    return mine and "__call__" in vars(one) and not issubclass(one, (Sharing, Scheme))


def _statement(statement: Any) -> Iterator[str]:
    if not isinstance(statement, Statement):
        yield f"it must be a Statement, but is {with_article(type(statement).__name__)}"
        return
    hints = getattr(statement.instance, "__annotations__", {})
    if "return" not in hints:
        yield "instance must say what it returns: def instance(place, rng) -> Transfer:"
    for name, arguments in PARTS.items():
        try:
            inspect.signature(getattr(statement, name)).bind(*arguments)
        except TypeError:
            yield f"{name} must take {' and '.join(arguments)}: def {name}({', '.join(arguments)}):"
            return
    first = statement.instance(statement.places[0], np.random.default_rng(0))
    for name in ("assume", "predict", "measure"):
        given = jax.eval_shape(getattr(statement, name), first, jax.random.key(0))
        if not isinstance(given, Mapping):
            found = "nothing" if given is None else with_article(type(given).__name__)
            yield f"{name} must return a dict, from names to numbers, but returns {found}"
            return
    for place in statement.places:
        for seed in range(N_TRIED):
            instance, key = statement.instance(place, np.random.default_rng(seed)), jax.random.key(seed)
            found = jax.jit(lambda instance, key: _numbers(statement, instance, key))(instance, key)
            margins, predicted, measured = ({name: np.asarray(value) for name, value in part.items()} for part in found)
            if set(predicted) != set(measured):
                yield f"predict and measure must give the same names, but give {sorted(predicted)} and {sorted(measured)}"
                return
            lowest = min((float(value) for value in margins.values()), default=1.0)
            if place == INSIDE and lowest <= 0:
                worst = min(margins, key=lambda name: float(margins[name]))
                yield f"an instance inside must satisfy every assumption, but {worst!r} has the margin {lowest:.3g}"
                return
            if place == OUTSIDE and lowest > 0:
                yield f"an instance outside must violate an assumption, but the lowest margin is {lowest:.3g}"
                return
            if place == INSIDE and not all(np.isfinite(value).all() for value in predicted.values()):
                yield "a prediction inside must be finite, but is not"
                return


def _numbers(statement: Statement, instance: Any, key: Any) -> tuple:
    return tuple(dict(part(instance, key)) for part in (statement.assume, statement.predict, statement.measure))


def _sharing(kind: Any) -> Iterator[str]:
    if not (isinstance(kind, type) and issubclass(kind, Sharing)):
        yield f"it must be a class made of mtlsim.sharing.Sharing, but is {kind!r}"
        return
    sharing, rng = kind(), np.random.default_rng(0)
    pairs = [(rng.normal(size=(n, 3)), rng.normal(size=n)) for n in (9, 8, 7)]
    if not sharing.solved:
        if not sharing.trains:
            yield "it must have exact(problem), or init, outputs and owned, by which it is trained"
        else:
            fit(pairs, sharing)
        return
    found = fit([Moments.from_data(*pair) for pair in pairs], sharing)
    if found.parameters.shape != (3, 3):
        yield f"parameters must be of shape (K, d) = (3, 3), but are of shape {found.parameters.shape}"
        return
    if not np.isfinite(found.parameters).all():
        yield "parameters of ordinary tasks must be finite, but are not"
    if not np.allclose(sharing.linear(found.params), found.parameters, atol=1e-8):
        yield "linear(params) must be the parameters of the answer, but differs"
    if not sharing.needs_source and not np.allclose(fit(pairs[::-1], sharing).parameters[::-1], found.parameters, atol=1e-6):
        yield "tasks in another order must have the same parameters, but have others"


def _scheme(kind: Any) -> Iterator[str]:
    if not (isinstance(kind, type) and issubclass(kind, Scheme)):
        yield f"it must be a class made of mtlsim.weighting.Scheme, but is {kind!r}"
        return
    from mtlsim.weighting import Facts

    scheme = kind()
    facts = Facts(jnp.array([1.0, 2.0]), jnp.array([1.0, 2.0]), None, 1, jax.random.key(0))
    signals = Signals(jnp.array([0.5, 1.5]), jnp.eye(2), 0)
    weights, *_ = scheme.weights(signals, scheme.init(facts))
    weights = np.asarray(weights)
    if weights.shape != (2,) or not np.isfinite(weights).all() or (weights < 0).any():
        yield f"weights of two tasks must be two numbers >= 0, but are {weights}"


def _mechanism(mechanism: Any) -> Iterator[str]:
    if not isinstance(mechanism, Mechanism):
        yield f"it must be a Mechanism, but is {with_article(type(mechanism).__name__)}"
        return
    trial = try_mechanism(mechanism, 16)
    for clause in trial.clauses:
        if not np.isfinite(clause.number):
            yield f"every draw must be a number, but that of the clause {clause.name!r} is not"
    if not trial.n_harmful:
        yield "say in harm where it may hurt"


def _cell(kind: Any) -> Iterator[str]:
    missing = [f.name for f in dataclasses.fields(kind) if f.default is f.default_factory is dataclasses.MISSING]
    if missing:
        yield f"every field must have a default, so that it can be checked, but {', '.join(missing)} has none"
        return
    cell = kind()
    data = sweep(cell, {}, 4, jax.random.key(0), progress=False)
    alone = sweep(cell, {}, 4, jax.random.key(0), progress=False, chunk_draws=1)
    for name in data.data_vars:
        if data[name].dtype.kind == "f" and not np.allclose(data[name], alone[name], equal_nan=True, rtol=1e-6):
            yield f"{name} of a batch must be that of one draw at a time, but is not"
