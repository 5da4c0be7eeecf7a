"""The report of a verification as a page: one readable HTML file with its pictures inside, which asks no other address."""

import html
import json
import re
from collections.abc import Sequence

import numpy as np

from mtlsim.citations import bibliography
from mtlsim.core.words import counted
from mtlsim.mechanisms import Trial
from mtlsim.mechanisms._clauses import RULES as CLAUSES
from mtlsim.plots.sheet import as_data_uri
from mtlsim.plots.verification import agreement
from mtlsim.results.settings import describe_value
from mtlsim.theory.statement import PLACES
from mtlsim.verification.finding import Finding, family_wise
from mtlsim.verification.rules import RULES

SOURCES = {"says": "The text says", "proves": "It proves", "inferred": "Inferred here"}

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
body { overflow-wrap: anywhere }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto; overflow-wrap: normal }
td, th { padding: .25rem .8rem; text-align: left; border-bottom: 1px solid #ddd }
.confirmed { color: #2166ac } .refuted { color: #b2182b } .vacuous { color: #8a5a00 } .not-applicable { color: #5e3c99 }
.undecided { color: #666 }
.claims td:last-child { min-width: 16rem }
table.sorted th { cursor: pointer } pre { background: #f4f4f4; padding: .6rem; overflow-x: auto; font-size: 85% }
section { border-top: 2px solid #ddd; margin-top: 2rem } img { max-width: min(30rem, 100%) } .rule { color: #555; font-size: 90% }
"""


TITLE = re.compile(r"^\s*title\s*=\s*\{(.*?)\},?\s*$", re.MULTILINE)
SORT = """
for (const table of document.querySelectorAll("table.sorted")) {
  table.querySelectorAll("th").forEach((head, i) => head.addEventListener("click", () => {
    const down = head.dataset.down !== "yes";
    head.dataset.down = down ? "yes" : "no";
    const text = (row) => row.cells[i].textContent;
    const number = (row) => Number.isNaN(parseFloat(text(row))) ? Infinity : parseFloat(text(row));
    const order = head.dataset.kind === "number" ? (a, b) => number(a) - number(b) : (a, b) => text(a).localeCompare(text(b));
    const rows = [...table.tBodies[0].rows].sort(order);
    table.tBodies[0].append(...(down ? rows : rows.reverse()));
  }));
}
"""


def as_page(findings: Sequence[Finding], trials: Sequence[Trial] = ()) -> str:
    """The claims of every text with their verdicts, a table that a click on its head sorts, and a section for each statement."""
    title = "Statements about transfer, against simulation"
    body = "".join(_section(finding) for finding in findings) + "".join(_trial(trial) for trial in trials)
    top = f"<p>{html.escape(family_wise(findings))}.</p>{_by_source(findings, trials)}{_table(findings)}" if findings else ""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title><style>{STYLE}</style>'
        f"<h1>{title}</h1>{top}{body}<script>{SORT}</script></html>"
    )


def _table(findings: Sequence[Finding]) -> str:
    columns = {"statement": "", "verdict": "", "expected": "", "worst score": "number", "adjusted p": "number", "claim": ""}
    head = "".join(f'<th data-kind="{kind}">{name}</th>' for name, kind in columns.items())
    rows = "".join(
        f'<tr><td><a href="#{f.name}">{f.name}</a></td><td class="{_css(f)}">{f.says}</td><td>{f.statement.expected}</td>'
        f"<td>{f.worst:.3g}</td><td>{f.adjusted:.2g}</td><td>{html.escape(f.statement.claim)}</td></tr>"
        for f in findings
    )
    return f'<table class="sorted claims"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _by_source(findings: Sequence[Finding], trials: Sequence[Trial]) -> str:
    """What became of each text's claims: a line a source, most claims first."""
    of: dict[str, list[tuple[str, str]]] = {}
    things = [(f.statement, f"{f.verdict} with holes" if f.n_holes else f.verdict) for f in findings] + [
        (trial.mechanism, trial.verdict) for trial in trials
    ]
    for thing, verdict in things:
        for key in thing.source:
            of.setdefault(key, []).append((thing.name, verdict))
    lines = "".join(
        f"<tr><td>{html.escape(_title(key))}</td><td>{_counted([verdict for _, verdict in named])}</td><td>"
        + ", ".join(
            f'<a class="{verdict.removesuffix(" with holes").replace(" ", "-")}" href="#{name}">{name}</a>'
            for name, verdict in named
        )
        + "</td></tr>"
        for key, named in sorted(of.items(), key=lambda item: -len(item[1]))
    )
    head = "<tr><th>text</th><th>verdicts</th><th>claims</th></tr>"
    return f"<h2>What became of each text's claims</h2><table class='claims'>{head}{lines}</table>"


def _counted(verdicts: list[str]) -> str:
    return ", ".join(f"{verdicts.count(one)} {one}" for one in dict.fromkeys(sorted(verdicts)))


def _title(key: str) -> str:
    """A reference's title and key; what is ours says so."""
    if key == "derived":
        return "derived here"
    found = TITLE.search(bibliography().get(key, ""))
    return f"{re.sub(r'[{}]', '', found[1])} [{key}]" if found else key


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
    seen = [] if finding.search is None else [f"A search found {finding.search.seen}.", *map(str, finding.search.holes)]
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in (*finding.judgement.notes, *seen))
    lacks = "".join(f"<li>Lacking: {html.escape(lack)}.</li>" for lack in finding.judgement.lacks)
    return (
        f'<section id="{statement.name}"><h2>{statement.name}: <span class="{_css(finding)}">{finding.says}</span></h2>'
        f"<p><b>Tested here:</b> {html.escape(statement.claim)} <i>({html.escape(', '.join(statement.source))})</i></p>{sources}"
        f"<p>{counted(finding.n_instances, 'instance')}, {counted(finding.n_seeds, 'draw')} each after "
        f"{counted(finding.looks, 'look')}, {finding.seconds:.1f} s; "
        f"adjusted p-value of the evidence against it {finding.adjusted:.2g}.</p>{held}<ul>{notes}{lacks}</ul>"
        f"<table><tr><th>place</th><th>rows</th><th>worst score</th><th>median score</th></tr>{lines}</table>"
        f'{pictures}{_speaks_most(finding)}<p class="rule">{html.escape(RULES[kind])}</p></section>'
    )


def _speaks_most(finding: Finding) -> str:
    """The instance that speaks most against it, and the command that draws it again."""
    worst = finding.worst_evidence
    again = f"<p>These instances and draws again:</p><pre>{html.escape(finding.command)}</pre>" if finding.command else ""
    if worst is None:
        return again
    inside = worst.inside
    numbers = (
        f"{worst.quantity} measured {_mean(inside.measured):.4g}, predicted {_mean(inside.predicted):.4g}, "
        f"score {worst.score(finding.statement.kind):.3g}"
    )
    told = html.escape(json.dumps(describe_value(finding.worst_instance), indent=1))
    where = f"{worst.place}, number {worst.instance}"
    summary = f"<summary>The instance that speaks most against it, or least for it ({where}): {numbers}</summary>"
    return f"<details>{summary}<pre>{told}</pre></details>{again}"


def _trial(trial: Trial) -> str:
    """A mechanism: the claim, the text's words, what must hold and whether it does, and where it hurts."""
    mechanism = trial.mechanism
    texts = {"Tried here": mechanism.claim, "The text says": mechanism.says, "Inferred here": mechanism.inferred}
    texts |= {"Known of it": mechanism.known_words}
    words = "".join(f"<p><b>{title}:</b> {html.escape(text)}</p>" for title, text in texts.items() if text)
    lines = "".join(
        f"<tr><td>{clause.name}</td><td>{clause.state}</td><td>{html.escape(clause.about)}</td>"
        f"<td class='rule'>{html.escape(CLAUSES[clause.name])}</td></tr>"
        for clause in trial.clauses
    )
    return (
        f'<section id="{mechanism.name}"><h2>{mechanism.name}: <span class="{trial.verdict}">{trial.verdict}</span></h2>{words}'
        f"<p><i>{html.escape(', '.join(mechanism.source))}</i>; {counted(trial.n_seeds, 'draw')} of every point.</p>"
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


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else np.nan
