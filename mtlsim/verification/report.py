"""The report of a verification in three files: a page, its numbers as JSON, and its table for LaTeX."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mtlsim.core.registry import file_of
from mtlsim.mechanisms import Trial
from mtlsim.mechanisms._clauses import RULES as CLAUSES
from mtlsim.mechanisms._clauses import Clause
from mtlsim.results.settings import describe_value
from mtlsim.results.store import check_writable, write_whole
from mtlsim.verification.evidence import Evidence
from mtlsim.verification.finding import Finding
from mtlsim.verification.latex import as_latex
from mtlsim.verification.page import SOURCES, as_page
from mtlsim.verification.rules import FAMILY, RULES


def write_report(findings: list[Finding], out: Path, trials: Sequence[Trial] = (), latex: bool = False) -> list[Path]:
    """report.html, report.json and (if latex) report.tex in `out`, statements first, then mechanisms; each whole or not at all."""
    check_writable(out, "out")
    page, data, table = (out / f"report.{suffix}" for suffix in ("html", "json", "tex"))
    text = json.dumps([*map(as_json, findings), *map(trial_as_json, trials)], indent=1) + "\n"
    write_whole(data, lambda path: path.write_text(text, encoding="utf-8"))
    write_whole(page, lambda path: path.write_text(as_page(findings, trials), encoding="utf-8"))
    if latex:
        write_whole(table, lambda path: path.write_text(as_latex(findings, trials), encoding="utf-8"))
    return [page, data, *([table] if latex else [])]


def as_json(finding: Finding) -> dict:
    statement = finding.statement
    own = file_of(statement)
    return ({} if own is None else {"file": {"name": own.path.name, "sha256": own.sha256, "text": own.text}}) | {
        "name": statement.name,
        "claim": statement.claim,
        **{name: getattr(statement, name) for name in SOURCES},
        "source": list(statement.source),
        "kind": statement.kind,
        "rule": RULES[statement.kind],
        "verdict": finding.verdict,
        "expected": statement.expected,
        "holes": _holes(finding),
        "worst_score": _number(finding.worst),
        "instances": finding.n_instances,
        "draws": finding.n_seeds,
        "looks": finding.looks,
        "p_value": finding.p_value,
        "adjusted_p_value": finding.adjusted,
        "family_wise_level": FAMILY,
        "lacks": list(finding.judgement.lacks),
        "notes": list(finding.judgement.notes),
        "seconds": round(finding.seconds, 2),
        "command": finding.command,
        "speaks_most": _speaks_most(finding),
        "evidence": [_row(one, statement.kind) for one in finding.evidence],
    }


def _speaks_most(finding: Finding) -> dict | None:
    """The evidence and the instance that speak most against it."""
    worst = finding.worst_evidence
    return None if worst is None else _row(worst, finding.statement.kind) | {"parameters": describe_value(finding.worst_instance)}


def _holes(finding: Finding) -> dict | None:
    """What a search for cells in which the statement is false found; none where there was no search."""
    search = finding.search
    if search is None:
        return None
    numbers = ("quantity", "measured", "predicted", "score", "margin")
    cells = [
        {name: value if isinstance(value := getattr(hole, name), str) else _number(value) for name in numbers}
        | {"parameters": describe_value(hole.instance)}
        for hole in search.holes
    ]
    return {"found": search.n_holes, "cells_inside": search.n_inside, "draws": search.n_seeds, "cells": cells}


def trial_as_json(trial: Trial) -> dict:
    mechanism, own = trial.mechanism, file_of(trial.mechanism)
    return ({} if own is None else {"file": {"name": own.path.name, "sha256": own.sha256, "text": own.text}}) | {
        "name": mechanism.name,
        "claim": mechanism.claim,
        "says": mechanism.says,
        "inferred": mechanism.inferred,
        "known": list(mechanism.known),
        "source": list(mechanism.source),
        "kind": "mechanism",
        "verdict": trial.verdict,
        "expected": mechanism.expected,
        "effect": dict(mechanism.effect),
        "draws": trial.n_seeds,
        "clauses": [_clause(clause) for clause in trial.clauses],
        "hurts": [{"at": dict(point), "effect": effect} for point, effect in trial.hurts],
        "points_looked_at_for_harm": trial.n_harmful,
        "of_these_without_numbers": trial.n_lost,
        "seconds": round(trial.seconds, 2),
    }


def _clause(clause: Clause) -> dict:
    numbers = {name: _number(getattr(clause, name)) for name in ("number", "low", "high")}
    return {"clause": clause.name, "state": clause.state, **numbers, "about": clause.about, "rule": CLAUSES[clause.name]}


def _row(one: Evidence, kind: str) -> dict:
    return {
        "place": one.place,
        "size": "other" if one.partner else "own",
        "instance": one.instance,
        "quantity": one.quantity,
        "predicted": _number(one.predicted.mean()),
        "measured": _number(one.measured.mean()),
        "standard_error": _number(one.standard_error),
        "score": _number(one.score(kind)),
        "share_inside": one.share_inside,
        "share_held": _number(np.mean(one.held()) if len(one.held()) else np.nan) if kind == "bound" else None,
    }


def _number(value) -> float | None:
    return float(value) if np.isfinite(value) else None
