"""One page with the verdict on every mechanism, clause by clause, and where each of them hurts."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax

from mtlsim.core.registry import file_of
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.mechanisms import Trial, find_mechanism, mechanism_names, try_mechanism
from mtlsim.mechanisms._clauses import CLAUSES, LEVEL, RULES
from mtlsim.plots.verdicts import verdict_page, verdicts_in_words
from mtlsim.results.dataset import load, save, table
from mtlsim.results.settings import facts
from mtlsim.results.store import check_same, on_source

if TYPE_CHECKING:
    import xarray as xr

SHARE = {True: 4, False: 1}  # of a mechanism's draws, for a fast page


class Page(Experiment):
    """An experiment whose data are trials, of many cells, in place of one sweep."""

    def run(self, options: Options, path: Path | None = None, **sweep_options: Any) -> "xr.Dataset":
        names = self.setting(options).grid["mechanism"]
        settings = {"page": self.name, "mechanisms": _described(names), "options": asdict(options), **facts(jax.local_devices())}
        if path is not None and path.exists():
            found = load(path)
            check_same(there := json.loads(found.attrs["settings"]), settings, path, False)
            for sentence in on_source(there, settings["source"], f"{path} is taken as it is", "move it away to have it made anew"):
                print(sentence, file=sys.stderr)
            return found

        def tried(name: str) -> Trial:
            mechanism = find_mechanism(name)
            n_seeds = options.n_seeds or mechanism.n_seeds // SHARE[options.fast]
            return try_mechanism(mechanism, max(n_seeds, 16), options.seed)

        with ThreadPoolExecutor(jax.local_device_count()) as pool:  # each is a program of its own, which one core compiles and runs
            trials = list(pool.map(tried, names))
        data = as_table(trials, settings).assign_attrs(experiment=self.name, claim=self.claim, level=LEVEL)
        if path is not None:
            save(data, path)
        return data


def _described(names: list[str]) -> dict[str, Any]:
    """Of each mechanism what its verdict depends on: its points, and the file of a user's own."""
    found = {}
    for name in names:
        mechanism, own = find_mechanism(name), file_of(find_mechanism(name))
        points = [{key: str(value) for key, value in point.items()} for point in mechanism.points()]
        found[name] = {"points": points, "n_seeds": mechanism.n_seeds} | ({} if own is None else {"sha256": own.sha256})
    return found


def as_table(trials: list[Trial], settings: dict[str, Any]) -> "xr.Dataset":
    """Clauses and verdicts of trials, as `mtlsim.plots.verdicts.verdict_page` draws them."""
    by_clause = {
        name: [[getattr(clause, name) for clause in trial.clauses] for trial in trials] for name in ("number", "low", "high")
    }
    words = {
        "state": [[clause.state for clause in trial.clauses] for trial in trials],
        "about": [[clause.about for clause in trial.clauses] for trial in trials],
        "rule": [[RULES[clause.name] for clause in trial.clauses] for trial in trials],
        "verdict": [trial.verdict for trial in trials],
        "harm": [trial.harm for trial in trials],
        **{part: [getattr(trial.mechanism, part) for trial in trials] for part in ("claim", "says", "inferred")},
        "known": [trial.mechanism.known_words for trial in trials],
        "dose": [trial.mechanism.dose.name for trial in trials],
        "effects": [json.dumps([asdict(effect) for effect in trial.effects]) for trial in trials],
    }
    rows = {"mechanism": [trial.name for trial in trials], "clause": list(CLAUSES)}
    return table(by_clause | words, rows, settings)


def setting(options: Options) -> Setting:
    """Every mechanism at the points that it states."""
    return Setting(None, {"mechanism": mechanism_names()}, 1)


EXPERIMENT = Page(
    "mechanisms",
    "The classic explanations of why sharing helps are confirmed or refuted, each by five clauses.",
    setting,
    verdict_page,
    title=verdicts_in_words,
)
