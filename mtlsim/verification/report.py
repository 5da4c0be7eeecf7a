"""The report of a verification: one readable HTML file with its pictures inside, and the same numbers as JSON."""

import html
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mtlsim.core.registry import file_of
from mtlsim.mechanisms import Trial
from mtlsim.mechanisms._clauses import RULES as CLAUSES
from mtlsim.mechanisms._clauses import Clause
from mtlsim.plots.sheet import as_data_uri
from mtlsim.plots.verification import agreement
from mtlsim.results.store import check_writable, write_whole
from mtlsim.theory.statement import PLACES
from mtlsim.verification.evidence import Evidence
from mtlsim.verification.finding import Finding, family_wise
from mtlsim.verification.rules import FAMILY, RULES

SOURCES = {"says": "The text says", "proves": "It proves", "inferred": "Inferred here"}

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: 1rem 0 }
td, th { padding: .25rem .8rem; text-align: left; border-bottom: 1px solid #ddd }
.confirmed { color: #2166ac } .refuted { color: #b2182b } .vacuous { color: #8a5a00 } .not-applicable { color: #5e3c99 }
.undecided { color: #666 }
section { border-top: 2px solid #ddd; margin-top: 2rem } img { max-width: 30rem } .rule { color: #555; font-size: 90% }
"""


def write_report(findings: list[Finding], out: Path, trials: Sequence[Trial] = ()) -> list[Path]:
    """report.html and report.json in `out`, statements first, then mechanisms; each is written whole or not at all."""
    check_writable(out, "out")
    page, data = out / "report.html", out / "report.json"
    text = json.dumps([*map(as_json, findings), *map(trial_as_json, trials)], indent=1) + "\n"
    write_whole(data, lambda path: path.write_text(text, encoding="utf-8"))
    write_whole(page, lambda path: path.write_text(_page(findings, trials), encoding="utf-8"))
    return [page, data]


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
        "evidence": [_row(one, statement.kind) for one in finding.evidence],
    }


def trial_as_json(trial: Trial) -> dict:
    mechanism, own = trial.mechanism, file_of(trial.mechanism)
    return ({} if own is None else {"file": {"name": own.path.name, "sha256": own.sha256, "text": own.text}}) | {
        "name": mechanism.name,
        "claim": mechanism.claim,
        "says": mechanism.says,
        "inferred": mechanism.inferred,
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
        "share_held": _number(_mean(one.held())) if kind == "bound" else None,
    }


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else np.nan


def _number(value) -> float | None:
    return float(value) if np.isfinite(value) else None


def _page(findings: list[Finding], trials: Sequence[Trial]) -> str:
    rows = "".join(
        f'<tr><td><a href="#{f.statement.name}">{f.statement.name}</a></td><td class="{_css(f)}">{f.verdict}</td>'
        f"<td>{f.statement.expected}</td><td>{f.worst:.3g}</td><td>{html.escape(f.statement.claim)}</td></tr>"
        for f in findings
    )
    head = "<tr><th>statement</th><th>verdict</th><th>expected</th><th>worst score</th><th>claim</th></tr>"
    body = "".join(_section(finding) for finding in findings) + "".join(_trial(trial) for trial in trials)
    title = "Statements about transfer, against simulation"
    table = f"<p>{html.escape(family_wise(findings))}.</p><table>{head}{rows}</table>" if findings else ""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        f"<h1>{title}</h1>{table}{body}</html>"
    )


def _css(finding: Finding) -> str:
    return finding.verdict.replace(" ", "-")


def _section(finding: Finding) -> str:
    statement, kind = finding.statement, finding.statement.kind
    pictures = "".join(
        f'<img alt="predicted against measured {name}" src="{_picture(finding, name)}">' for name in _quantities(finding)
    )
    own = [one for one in finding.evidence if not one.partner]
    scores_at = {place: [one.against(kind) for one in own if one.place == place] for place in PLACES}
    lines = "".join(
        f"<tr><td>{place}</td><td>{len(scores)}</td><td>{np.nanmax(scores):.3g}</td><td>{np.nanmedian(scores):.3g}</td></tr>"
        for place, scores in scores_at.items()
        if np.isfinite(scores).any()
    )
    held, shares = "", [_mean(one.held()) for one in own if one.counts and len(one.held())]
    if kind == "bound" and shares:
        held = f"<p>The bound held on {100 * np.mean(shares):.4g} % of the draws.</p>"
    texts = [(title, getattr(statement, name)) for name, title in SOURCES.items()]
    sources = "".join(f"<p><b>{title}:</b> {html.escape(text)}</p>" for title, text in texts if text)
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in finding.judgement.notes)
    lacks = "".join(f"<li>Lacking: {html.escape(lack)}.</li>" for lack in finding.judgement.lacks)
    return (
        f'<section id="{statement.name}"><h2>{statement.name}: <span class="{_css(finding)}">{finding.verdict}</span></h2>'
        f"<p><b>Tested here:</b> {html.escape(statement.claim)} <i>({html.escape(', '.join(statement.source))})</i></p>{sources}"
        f"<p>{finding.n_instances} instances, {finding.n_seeds} draws each after {finding.looks} looks, {finding.seconds:.1f} s; "
        f"adjusted p-value of the evidence against it {finding.adjusted:.2g}.</p>{held}<ul>{notes}{lacks}</ul>"
        f"<table><tr><th>place</th><th>rows</th><th>worst score</th><th>median score</th></tr>{lines}</table>"
        f'{pictures}<p class="rule">{html.escape(RULES[kind])}</p></section>'
    )


def _trial(trial: Trial) -> str:
    """A mechanism: the claim, the text's words, what must hold and whether it does, and where it hurts."""
    mechanism = trial.mechanism
    texts = {"Tried here": mechanism.claim, "The text says": mechanism.says, "Inferred here": mechanism.inferred}
    words = "".join(f"<p><b>{title}:</b> {html.escape(text)}</p>" for title, text in texts.items() if text)
    lines = "".join(
        f"<tr><td>{clause.name}</td><td>{clause.state}</td><td>{html.escape(clause.about)}</td>"
        f"<td class='rule'>{html.escape(CLAUSES[clause.name])}</td></tr>"
        for clause in trial.clauses
    )
    return (
        f'<section id="{mechanism.name}"><h2>{mechanism.name}: <span class="{trial.verdict}">{trial.verdict}</span></h2>{words}'
        f"<p><i>{html.escape(', '.join(mechanism.source))}</i>; {trial.n_seeds} draws of every point.</p>"
        f"<table><tr><th>clause</th><th>state</th><th>numbers</th><th>rule</th></tr>{lines}</table>"
        f"<p>{html.escape(trial.harm)}.</p></section>"
    )


def _quantities(finding: Finding) -> list[str]:
    return list(dict.fromkeys(one.quantity for one in finding.evidence))


def _picture(finding: Finding, quantity: str) -> str:
    """The figure as a data URI, so that the page is one file."""
    points: dict[str, list[tuple[float, float, float]]] = {}
    for one in finding.evidence:
        if one.quantity == quantity and not one.partner:
            points.setdefault(one.place, []).append((one.predicted.mean(), one.measured.mean(), one.standard_error))
    return as_data_uri(agreement(points, quantity, finding.statement.kind))
