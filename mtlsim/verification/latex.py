"""The table of a verification for a paper: statement, claim, source and verdict, a row each, in plain LaTeX."""

from collections.abc import Sequence

from mtlsim.mechanisms import Trial
from mtlsim.verification.finding import Finding, family_wise

SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {c: f"\\{c}" for c in "&%$#_{}"}
HEAD = r"""% needs \usepackage{longtable}; keys of mtlsim's references.bib, which `mtlsim cite` prints
\begin{longtable}{p{.22\textwidth}p{.46\textwidth}p{.16\textwidth}r}
Statement & Claim & Verdict & Draws \\ \hline \endhead
"""


def as_latex(findings: Sequence[Finding], trials: Sequence[Trial] = ()) -> str:
    """A longtable of all findings; the sentence on the error of all verdicts together stands below it as a comment."""
    rows = [_row(f.statement, f.says, f"${f.n_instances} \\times {f.n_seeds}$") for f in findings]
    rows += [_row(trial.mechanism, trial.verdict, f"${trial.n_seeds}$") for trial in trials]
    below = f"% {family_wise(findings)}\n" if findings else ""
    return HEAD + "".join(rows) + "\\end{longtable}\n" + below


def _row(thing, verdict: str, draws: str) -> str:
    keys = [key for key in thing.source if key != "derived"]
    cited = f" \\cite{{{','.join(keys)}}}" if keys else ""
    return f"{escaped(thing.name)} & {escaped(thing.claim)}{cited} & {escaped(verdict)} & {draws} \\\\\n"


def escaped(text: str) -> str:
    return "".join(SPECIAL.get(letter, letter) for letter in text)
