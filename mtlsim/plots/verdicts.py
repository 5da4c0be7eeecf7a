"""A page of verdicts: a row for everything that was tried, a field for every clause with its number, and what came of it."""

from typing import TYPE_CHECKING

import numpy as np

from mtlsim.core.words import counted
from mtlsim.plots.style import HELPS, HURTS, UNDECIDED, use_style

if TYPE_CHECKING:
    import xarray as xr

COLOURS = {"holds": HELPS, "open": UNDECIDED, "fails": HURTS, "confirmed": HELPS, "undecided": UNDECIDED, "refuted": HURTS}
SHARES = ("control",)
HEADS = {
    "effect": "effect",
    "dose": "rank correlation\nwith the dose",
    "control": "share left\nunder controls",
    "opponent": "effect over the\nbest single task",
    "mediator": "mediator\nmoves by",
}


def verdicts_in_words(data: "xr.Dataset") -> str:
    """How many of what was tried are confirmed, refuted and undecided: one sentence, which says no more than these verdicts."""
    found = [str(verdict) for verdict in np.atleast_1d(data["verdict"].values)]
    counts = [f"{found.count(verdict) or 'none'} {verdict}" for verdict in ("confirmed", "refuted", "undecided")]
    return f"{counted(len(found), 'mechanism')}, each by {counted(data.sizes['clause'], 'clause')}: {', '.join(counts)}."


def number_in_words(value: float, clause: str) -> str:
    """A number of a clause, a share in per cent, where a zero has no minus before it."""
    return f"{0.0 if abs(value) < 5e-4 else value:.1%}" if clause in SHARES else f"{value:.3g}"


def verdict_page(data: "xr.Dataset"):
    """Figure of a table with `state`, `number`, `low`, `high` over (mechanism, clause) and `verdict`, `harm` over mechanism."""
    import matplotlib.pyplot as plt

    use_style()
    names, clauses = list(data["mechanism"].values), list(data["clause"].values)
    fig, ax = plt.subplots(figsize=(10.5, 0.6 + 0.85 * len(names)))
    ax.set(xlim=(-2.35, len(clauses) + 0.95), ylim=(len(names), -0.75))
    ax.axis("off")
    for j, clause in enumerate(clauses):
        ax.text(j + 0.5, -0.35, HEADS.get(clause, clause), ha="center", va="center", fontsize=8)
    ax.text(len(clauses) + 0.5, -0.35, "verdict", ha="center", va="center", fontsize=8, weight="bold")
    for i, name in enumerate(names):
        row = data.sel(mechanism=name)
        verdict = str(row["verdict"].item())
        ax.text(-2.3, i + 0.33, name.replace("-", " "), va="center", fontsize=9, weight="bold")
        ax.text(-2.3, i + 0.78, str(row["harm"].item()), va="center", fontsize=6.5, color="0.3")
        for j, clause in enumerate(clauses):
            cell = row.sel(clause=clause)
            state = str(cell["state"].item())
            number, low, high = (number_in_words(cell[part].item(), clause) for part in ("number", "low", "high"))
            numbers = f"{number}\n({low} to {high})"
            box = {"facecolor": COLOURS[state], "alpha": 0.15, "edgecolor": "white"}
            ax.add_patch(plt.Rectangle((j + 0.03, i + 0.04), 0.94, 0.6, **box))
            ax.text(j + 0.5, i + 0.17, state, ha="center", va="center", fontsize=7, color=COLOURS[state], weight="bold")
            ax.text(j + 0.5, i + 0.44, numbers, ha="center", va="center", fontsize=6.5)
        ax.text(len(clauses) + 0.5, i + 0.33, verdict, ha="center", va="center", fontsize=9, color=COLOURS[verdict], weight="bold")
        ax.axhline(i + 0.95, color="0.85", linewidth=0.6)
    return fig
