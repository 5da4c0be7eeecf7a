"""`verify`: statements over random instances, drawn until there is a verdict or the budget is spent."""

import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mtlsim.core.checks import require, require_choice, require_float64
from mtlsim.core.compiler import HASTILY, IN_ONE_PART, QUICKLY
from mtlsim.core.extremes import smallest_of
from mtlsim.core.registry import all_in, file_and_name, file_of, is_own, open_own, own_thing
from mtlsim.core.words import with_article
from mtlsim.mechanisms import Mechanism, Trial, find_mechanism, mechanism_names, try_mechanism
from mtlsim.results.store import check_writable
from mtlsim.sweeps.instances import BATCH_DRAWS, Drawing, shape_of
from mtlsim.theory import find_statement, statement_names
from mtlsim.theory.statement import EDGE, OUTSIDE, TWINS, Statement
from mtlsim.verification.evidence import Evidence
from mtlsim.verification.finding import Finding, family_wise, settle
from mtlsim.verification.holes import search_holes
from mtlsim.verification.report import write_report
from mtlsim.verification.rules import CONFIRMED, FAMILY, REFUTED, UNDECIDED, consider

MAX_THREADS = 4
MAX_TRIES = 20
FEW = 5000  # draws of a first look that takes less time than its program takes to compile
FAST_DRAWS = 50  # of a fast look at what must hold on every draw
BUDGET = 32  # times the draws of the first look


def verify(
    names: Sequence[str | Path | Statement | Mechanism] = (),
    out: str | Path | None = None,
    *,
    n_instances: int = 50,
    n_seeds: int = 2000,
    seed: int = 0,
    fast: bool = False,
    progress: bool = False,
    budget: int = BUDGET,
    latex: bool = False,
    holes: int = 0,
) -> list[Finding | Trial]:
    """Test statements against simulation, and mechanisms by their clauses.

    names: as in `mtlsim list` (all statements if empty), things of your own, or files that hold some ("my_conjecture.py"). out:
    folder for report.html (with the pictures inside), report.json and, if latex, report.tex, its table. n_instances: inside the
    assumptions; a fifth as many on their edge and outside. n_seeds: draws per instance at the first look; while a statement is
    undecided they are doubled, up to `budget` times as many, and each look is paid for (see `verification.rules`). A mechanism
    says its own number of draws, and is tried at the level of one verdict (see `mechanisms`). fast: fewer instances, and fewer
    draws to begin with, which are doubled once more (at most 50 of what must hold on every draw); of mechanisms, half of the draws.
    holes: random cells inside the assumptions, as many for each statement that is expected to hold, are looked at beside
    (`verification.holes`): cells in which it is false are said with its verdict.
    progress: print each finding when it is there, then the error of the whole run. Raises ValueError for an unknown name, with the
    nearest, and in float32. What a statement or a mechanism itself raises is raised when all others are done.

    >>> (finding,) = mtl.verify(["task-arithmetic"], n_instances=2, n_seeds=20)
    >>> finding.verdict
    'confirmed'
    """
    require_float64("verify")
    require(n_instances >= 1, "n_instances", "at least 1", n_instances, "use 50")
    require(n_seeds >= 2, "n_seeds", "at least 2", n_seeds, "use 2000")
    require(budget >= 1, "budget", "at least 1", budget, f"use {BUDGET}")
    require(holes >= 0, "holes", "at least 0", holes, "use 200")
    things = [thing for one in (names or statement_names()) for thing in things_of(one)]
    statements = [thing for thing in things if isinstance(thing, Statement)]
    mechanisms = [thing for thing in things if isinstance(thing, Mechanism)]
    if fast:
        n_instances, n_seeds, budget = min(n_instances, 8), min(n_seeds, 200), 2 * budget
    if out is not None:
        check_writable(Path(out), "out")
    level, findings, trials, failures = FAMILY / max(len(statements), 1), [], [], []
    # compiling is most of the work and runs beside the interpreter, so that threads share the cores
    with ThreadPoolExecutor(min((os.cpu_count() or 1) + 1, MAX_THREADS)) as pool:
        test = lambda statement: _with_holes(examine(statement, n_instances, n_seeds, seed, fast, level, budget), holes, seed)
        tried = [pool.submit(try_mechanism, one, one.n_seeds // 2 if fast else None, seed) for one in mechanisms]
        for finding in _finished([pool.submit(test, statement) for statement in statements], failures):
            findings.append(finding)
            if progress:
                print(finding, flush=True)
            if progress and finding.n_holes:
                print(finding.search.told(), end="", flush=True)
        for trial in _finished(tried, failures):
            trials.append(trial)
            if progress:
                print(trial, flush=True)
    if not findings and not trials:
        raise failures[0]
    before, findings = findings, settle(findings)
    if progress:
        for old, new in zip(before, findings, strict=True):
            if new.verdict != old.verdict:
                print(f"over all statements: {new}", flush=True)
        if findings:
            print(family_wise(findings), flush=True)
    if out is not None:
        write_report(findings, Path(out), trials, latex)
    if failures:
        raise failures[0]
    return [*findings, *trials]


def _finished(jobs: Sequence[Future], failures: list[BaseException]) -> Iterator[Any]:
    """What the jobs return, in their order; what one of them raises is kept in `failures` and loses no other."""
    for job in jobs:
        if (failure := job.exception()) is None:
            yield job.result()
        else:
            failures.append(failure)


def _with_holes(finding: Finding, n_cells: int, seed: int) -> Finding:
    """The finding and, of a statement that is expected to hold, what a search over so many cells found."""
    if n_cells == 0 or finding.statement.expected != CONFIRMED:
        return finding
    return replace(finding, search=search_holes(finding.statement, n_cells, seed=seed))


def things_of(name: str | Path | Statement | Mechanism) -> Sequence[Statement | Mechanism]:
    """The statements and mechanisms that a name, or a user's file, stands for."""
    if isinstance(name, Path):
        name = str(name)
    if isinstance(name, (Statement, Mechanism)):
        return (name,)
    if not is_own(name):
        plain = name.replace("_", "-") if isinstance(name, str) else name
        if plain in mechanism_names():
            return (find_mechanism(plain),)
        require_choice(plain, [*statement_names(), *mechanism_names()], "statement or mechanism")
        return (find_statement(name),)
    if file_and_name(name)[1]:
        found = (own_thing(name, "STATEMENT"),)
    else:
        own = open_own(name)
        found = (*all_in(own, "STATEMENT"), *all_in(own, "MECHANISM"))
        cure = "write STATEMENT = ... in it; `mtlsim new statement NAME` writes one that runs"
        require(bool(found), "statement", "a file with a STATEMENT or a MECHANISM", f"{own.path.name} without", cure)
    for one in found:
        cure = "make a Statement or a Mechanism of it"
        known = isinstance(one, (Statement, Mechanism))
        require(known, "names", "statements or mechanisms", f"{name} with {with_article(type(one).__name__)}", cure)
    return found


def examine(
    statement: Statement,
    n_instances: int = 50,
    n_seeds: int = 2000,
    seed: int = 0,
    one_shape: bool = False,
    level: float = FAMILY,
    budget: int = BUDGET,
) -> Finding:
    """One statement: draw instances in all places, measure and predict on the same keys, and judge by the rule of its kind.

    While the verdict is undecided, the draws of all instances that count are doubled, up to `budget` times n_seeds; once more where
    these refute it, as the new ones must say so alone. one_shape: keep to instances of the shape of the first, or else of the first
    in their place, as each shape compiles anew, and to `FAST_DRAWS` of what must hold on every draw. level: the probability of a
    wrong verdict over all looks.
    """
    start = time.perf_counter()
    places, instances = _instances(statement, n_instances, np.random.default_rng([seed, *statement.name.encode()]), one_shape)
    n_own, sized = len(instances), statement.kind == "limit" and statement.resized is not None
    owners = [*range(n_own), *(i for i in range(n_own) if sized and places[i] != OUTSIDE)]
    instances += [statement.resized(instances[i]) for i in owners[n_own:]]
    one_look = statement.kind == "identity" or (statement.kind == "bound" and statement.trust is None)
    if one_look and one_shape:  # every draw is a test of its own
        n_seeds = min(n_seeds, FAST_DRAWS)
    batch = -(-n_seeds // -(-n_seeds // BATCH_DRAWS))  # of equal size, at most BATCH_DRAWS
    brief = n_seeds * len(instances) <= FEW
    # limits look several times, at costly cells; others once or at cheap ones
    lasting = {shape_of(instances[i]) for i, own in enumerate(owners) if statement.kind == "limit" and places[own] != OUTSIDE}
    level_of = lambda instance: HASTILY if brief and shape_of(instance) not in lasting else QUICKLY
    options = [level_of(instance) | IN_ONE_PART for instance in instances]
    draw = Drawing(lambda instance, key: _both(statement, instance, key), instances, jax.random.key(seed), batch, options)
    values: list[dict[str, np.ndarray]] = [{} for _ in instances]
    looks, n_drawn, p_value, accused = 0, 0, 1.0, None
    while True:
        n_before, n_drawn, looks = n_drawn, max(n_seeds, 2 * n_drawn), looks + 1
        evidence, fresh = [], []
        for i, owner in enumerate(owners):
            about = places[owner], owner, i >= n_own
            if looks == 1 or places[owner] != OUTSIDE:
                new = draw(i, range(n_before, n_drawn))
                values[i] = _append(values[i], new)
                fresh += _evidence(statement, instances[i], new, *about)
            evidence += _evidence(statement, instances[i], values[i], *about)
        spent = 1 / (looks * (looks + 1))
        found = consider(statement.kind, evidence, level * spent)
        certain, repeated = one_look or not all(one.sound for one in evidence if one.counts), one_look
        if accused is not None:  # by all draws before: what the new ones say alone
            again = consider(statement.kind, fresh, level * spent)
            p_value = min(p_value, max(accused, again.p_value / spent))
            repeated = again.verdict == REFUTED
        accused = found.p_value / spent if found.verdict == REFUTED and not repeated else None
        if accused is None:
            p_value = min(p_value, found.p_value / spent)
            if found.verdict != UNDECIDED or certain or 2 * n_drawn > budget * n_seeds:
                break
        elif n_drawn > budget * n_seeds:
            found = replace(found, verdict=UNDECIDED, lacks=("a refutation that other draws repeat",))
            break
    seconds = time.perf_counter() - start
    worst = _worst(statement.kind, evidence)
    against = worst, None if worst is None else instances[worst.instance]
    command = f"mtlsim verify {_called(statement)} --seed {seed} --instances {n_instances} --seeds {n_seeds}{' --fast' * one_shape}"
    numbers = found.verdict, found.worst, evidence, n_own, n_drawn, seconds, looks, p_value, p_value, found
    return Finding(statement, *numbers, *against, command)


def _worst(kind: str, evidence: list[Evidence]) -> Evidence | None:
    """Of what the verdict looks at, that which speaks most against the statement; first what is no number."""
    counting = [one for one in evidence if one.counts]
    against = lambda one: -one.score(kind) if kind == "sign" else one.against(kind)  # of signs all may be right: the least sure
    score = lambda one: against(one) if np.isfinite(against(one)) else np.inf
    return max(counting, key=score, default=None)


def _called(statement: Statement) -> str:
    """How a command names it: ours by its name, a user's own by file and name."""
    own = file_of(statement)
    return statement.name if own is None else f"{own.path.name}"


def _append(old: dict[str, np.ndarray], new: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([old[name], values]) for name, values in new.items()} if old else new


def _instances(statement: Statement, n_instances: int, rng: np.random.Generator, one_shape: bool) -> tuple[list[str], list]:
    """Places and instances; those on the edge of a threshold are at 0.9 and 1.1 of it in turn."""
    makers: list[tuple[str, Callable[[np.random.Generator], Any]]] = []
    for place in statement.places:
        count = n_instances if place == statement.places[0] else max(2, n_instances // 5)
        if place == EDGE and statement.threshold is not None:
            at = lambda factor: lambda rng: statement.threshold(factor, rng)
            makers += [(place, at(factor)) for factor, _ in zip(itertools.cycle(TWINS), range(max(4, count)), strict=False)]
        else:
            makers += [(place, lambda rng, place=place: statement.instance(place, rng))] * count
    instances = [make(rng) for _, make in makers]
    places = [place for place, _ in makers]
    if one_shape:
        for i, (place, make) in enumerate(makers):
            for first in (0, places.index(place)):
                if shape_of(instances[i]) != shape_of(instances[0]):
                    instances[i] = _of_shape(shape_of(instances[first]), make, rng, instances[i])
    return places, instances


def _of_shape(shape: Any, make: Callable[[np.random.Generator], Any], rng: np.random.Generator, instance: Any) -> Any:
    """An instance of this shape, drawn anew until there is one; that which is there if none comes."""
    for _ in range(MAX_TRIES):
        if shape_of(instance) == shape:
            return instance
        instance = make(rng)
    return instance


def _evidence(statement: Statement, instance: Any, values: dict, place: str, number: int, partner: bool) -> list[Evidence]:
    """One piece per quantity."""
    allowed = 0.0 if statement.trust is None else float(statement.trust(instance))
    rest = values["margin"], allowed, values.get("trivial"), partner
    return [Evidence(place, q, number, values[f"measured {q}"], values[f"predicted {q}"], *rest) for q in _quantities(values)]


def _both(statement: Statement, instance, key) -> dict:
    margins = [jnp.asarray(margin, float) for margin in statement.assume(instance, key).values()]
    values = {"margin": smallest_of(jnp.stack(margins)) if margins else jnp.asarray(jnp.inf)}
    values |= {f"measured {name}": value for name, value in statement.measure(instance, key).items()}
    values |= {f"predicted {name}": value for name, value in statement.predict(instance, key).items()}
    if statement.trivial is not None:
        values["trivial"] = statement.trivial(instance, key)
    return values


def _quantities(values: dict) -> list[str]:
    measured = {name.removeprefix("measured ") for name in values if name.startswith("measured ")}
    return sorted(name for name in measured if f"predicted {name}" in values)
