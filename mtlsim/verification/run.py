"""`verify`: statements over random instances, to verdicts."""

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mtlsim.core.checks import require
from mtlsim.sweeps.instances import over_instances, shape_of
from mtlsim.sweeps.store import check_writable
from mtlsim.theory import find_statement, statement_names
from mtlsim.theory.statement import Statement
from mtlsim.verification.rules import Evidence, judge

MAX_THREADS = 4
MAX_TRIES = 20


@dataclass(frozen=True)
class Finding:
    """What verification found about one statement."""

    statement: Statement
    verdict: str
    worst: float
    evidence: list[Evidence] = field(repr=False)
    n_instances: int
    n_seeds: int
    seconds: float

    @property
    def as_expected(self) -> bool:
        return self.verdict == self.statement.expected

    def __str__(self) -> str:
        note = "" if self.as_expected else f" (expected: {self.statement.expected})"
        size = f"{self.n_instances} instances x {self.n_seeds} draws"
        return f"{self.statement.name}: {self.verdict}{note}; worst score {self.worst:.3g}, {size}"


def verify(
    names: Sequence[str] = (),
    out: str | Path | None = None,
    *,
    n_instances: int = 50,
    n_seeds: int = 2000,
    seed: int = 0,
    fast: bool = False,
    progress: bool = False,
) -> list[Finding]:
    """Test statements against simulation.

    names: as in `mtlsim list` (all if empty). out: folder for report.html, report.json and the pictures. n_instances: inside the
    assumptions; a fifth as many on their edge and outside. n_seeds: draws per instance. fast: fewer of both. progress: print each
    finding when it is there.
    Raises ValueError for an unknown name, with the nearest.
    """
    require(n_instances >= 1, "n_instances", "at least 1", n_instances, "use 50")
    require(n_seeds >= 2, "n_seeds", "at least 2", n_seeds, "use 2000")
    statements = [find_statement(name) for name in (names or statement_names())]
    if fast:
        n_instances, n_seeds = min(n_instances, 8), min(n_seeds, 400)
    if out is not None:
        check_writable(Path(out), "out")
    findings = []
    # compiling is most of the work and runs beside the interpreter, so that threads share the cores
    with ThreadPoolExecutor(min(os.cpu_count() or 1, MAX_THREADS)) as pool:
        for finding in pool.map(lambda statement: examine(statement, n_instances, n_seeds, seed, one_shape=fast), statements):
            findings.append(finding)
            if progress:
                print(finding, flush=True)
    if out is not None:
        from mtlsim.verification.report import write_report

        write_report(findings, Path(out))
    return findings


def examine(statement: Statement, n_instances: int = 50, n_seeds: int = 2000, seed: int = 0, one_shape: bool = False) -> Finding:
    """One statement: draw instances in all places, measure and predict on the same keys, and judge by the rule of its kind.

    one_shape: keep to instances of the shape of the first, which compile once.
    """
    start = time.perf_counter()
    rng = np.random.default_rng([seed, *statement.name.encode()])
    counts = {place: n_instances if place == statement.places[0] else max(2, n_instances // 5) for place in statement.places}
    places = [place for place, count in counts.items() for _ in range(count)]
    instances = [statement.instance(place, rng) for place in places]
    if one_shape:
        instances = [
            _of_shape(shape_of(instances[0]), statement, place, rng, i) for place, i in zip(places, instances, strict=True)
        ]
    drawn = over_instances(lambda instance, key: _both(statement, instance, key), instances, jax.random.key(seed), n_seeds)
    evidence = [
        Evidence(
            place,
            quantity,
            i,
            values[f"measured {quantity}"],
            values[f"predicted {quantity}"],
            values["margin"],
            0.0 if statement.trust is None else float(statement.trust(instances[i])),
            values.get("trivial"),
        )
        for i, (place, values) in enumerate(zip(places, drawn, strict=True))
        for quantity in _quantities(values)
    ]
    verdict, worst = judge(statement.kind, evidence)
    return Finding(statement, verdict, worst, evidence, len(instances), n_seeds, time.perf_counter() - start)


def _of_shape(shape: Any, statement: Statement, place: str, rng: np.random.Generator, instance: Any) -> Any:
    """An instance of this shape, drawn anew until there is one; that which is there if none comes."""
    for _ in range(MAX_TRIES):
        if shape_of(instance) == shape:
            return instance
        instance = statement.instance(place, rng)
    return instance


def _both(statement: Statement, instance, key) -> dict:
    margins = [jnp.asarray(margin, float) for margin in statement.assume(instance, key).values()]
    values = {"margin": jnp.min(jnp.stack(margins)) if margins else jnp.asarray(jnp.inf)}
    values |= {f"measured {name}": value for name, value in statement.measure(instance, key).items()}
    values |= {f"predicted {name}": value for name, value in statement.predict(instance, key).items()}
    if statement.trivial is not None:
        values["trivial"] = statement.trivial(instance, key)
    return values


def _quantities(values: dict) -> list[str]:
    measured = {name.removeprefix("measured ") for name in values if name.startswith("measured ")}
    return sorted(name for name in measured if f"predicted {name}" in values)
