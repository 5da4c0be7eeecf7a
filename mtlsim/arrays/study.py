"""What several tasks gain from each other, as data, in words, and as functions of new rows."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from mtlsim.arrays.curve import LEARNERS, Crossing, crossing
from mtlsim.arrays.gather import dense
from mtlsim.arrays.learners import ALONE, METHODS, SHARE_NAMED
from mtlsim.arrays.networks import agreement
from mtlsim.arrays.reasons import WORDS_USED, reasons
from mtlsim.core.checks import require, require_choice, require_finite
from mtlsim.core.containers import numbers_of
from mtlsim.core.verdict import WORDS, Verdict

FORMAT = "mtlsim study 1"
LEAVE_ALONE = 0.5  # weight of learning alone from which a task is left alone


class Study:
    """What several tasks gain from each other: `compare_tasks` makes it.

    data: an xarray.Dataset over `task` (as target), `source`, `way` and `feature`. gain (task) = risk_alone - risk_together,
    held-out squared errors, with low, high and sign at `level`, and sign_joint, decided so that over all tasks no sign is wrong
    but with probability 1 - level; positive helps. pair_gain, pair_low, pair_high, pair_sign, pair_sign_joint (source, task): the
    same with one source, NaN where it was not looked at. weight (way, task), weight_of_source (source, task): what the mixture
    that learns from all rows gives to each. measure_alone, measure_together, measure_gain, measure_low, measure_high,
    measure_sign (measure, task), where labels have two values: accuracy, balanced accuracy, AUC and log loss (nats, of a logistic
    curve of the scores on training rows left out), gains such that positive helps; base_rate, base_low, base_high (task): how
    often the more frequent label comes. coefficients (task, feature), intercept (task). group (task): numbers of the groups
    of the best grouping, group_gain what it gains, without an interval and a little too large, as all rows have chosen it.
    Of `compare_tasks(curve=...)`: curve_rows, curve_alone (task, step), curve_gain, curve_low, curve_high, curve_sign and
    curve_sign_joint (learner, task, step), by the rows that train, of the mixture and of all rows pooled as one task's; joint over
    the steps of a target. Of `compare_tasks(affinities=True)`: affinity_value (affinity, source, task), affinity_gain (learner,
    source, task), the share of the error alone that is gained on the rows held out, affinity_rank and affinity_area (affinity,
    learner), how well the one tells the other. Of `compare_tasks(network=True)`: network_alone,
    network_together, network_gain, network_low, network_high, network_sign (task). notes: what else a reader must know.

    >>> rng = np.random.default_rng(0)
    >>> tasks = {}
    >>> for name in ("first", "second"):
    ...     X = rng.normal(size=(30, 4))
    ...     tasks[name] = X, X.sum(1) + rng.normal(size=30)
    >>> study = mtl.compare_tasks(tasks, n_splits=3)
    >>> study.predict("first", np.ones((2, 4))).shape
    (2,)
    """

    def __init__(self, data: xr.Dataset):
        self.data = data

    @property
    def notes(self) -> list[str]:
        return json.loads(self.data.attrs["notes"])

    @property
    def level(self) -> float:
        return float(self.data.attrs["level"])

    @property
    def tasks(self) -> list[str]:
        return [str(name) for name in self.data["task"].values]

    @property
    def matrix(self) -> xr.Dataset:
        """Gains of every ordered pair, (source, task)."""
        return self.data[["pair_gain", "pair_low", "pair_high", "pair_sign", "pair_sign_joint"]]

    def best(self, task: str) -> "Advice":
        """The advice for one target: to be left alone where nothing was gained, or learning alone has half of the weight and no
        gain is decided.
        """
        require_choice(task, self.tasks, "task")
        own = self.data.sel(task=task)
        weights = {str(name): float(own["weight"].sel(way=name)) for name in own["way"].values}
        shares = {str(name): float(own["weight_of_source"].sel(source=name)) for name in own["source"].values if name != task}
        total = sum(shares.values())
        named = sorted((name for name in shares if shares[name] >= SHARE_NAMED * total > 0), key=lambda name: -shares[name])
        gain = self._verdict(own, "")
        alone = gain.mean <= 0 or (weights[ALONE] >= LEAVE_ALONE and gain.sign <= 0) or not named
        method = ALONE if alone else max((name for name in weights if name != ALONE), key=lambda name: weights[name])
        return Advice(task, () if alone else tuple(named), method, weights, gain, float(own["risk_alone"]))

    def grouping(self) -> list[tuple[str, ...]]:
        """The groups that learn together, of one task where it is left alone; all alone where there were too many to search."""
        numbers = self.data["group"].values
        return [tuple(name for name, g in zip(self.tasks, numbers, strict=True) if g == number) for number in np.unique(numbers)]

    @property
    def affinities(self) -> xr.Dataset:
        """Affinities of pairs, from half of every target's rows, beside the gain on the other half, and how well they tell it."""
        require(
            "affinity_rank" in self.data, "study", "one with affinities", "one without", "pass affinities=True to compare_tasks"
        )
        return self.data[["affinity_value", "affinity_gain", "affinity_rank", "affinity_area"]]

    @property
    def advice(self) -> dict[str, str]:
        """For every target whom it learns with, and by which way most, or to leave it alone."""
        return {task: one.what for task, one in self._advice()}

    @property
    def reasons(self) -> list[str]:
        """Why things that it says may differ: one sentence for each that looks like a contradiction."""
        return [sentence for found in reasons(self).values() for sentence in found]

    def crossing(self, task: str, learner: str = "mixture") -> Crossing:
        """Up to how many rows of its own a task gains from the others: where the sign of the gain turns, or that it does not.

        learner: "mixture", the study's, or "pooled", all rows as one task's. Raises ValueError where there is no curve.
        """
        require("curve_gain" in self.data, "study", "one with a curve", "one without", "pass curve=True to compare_tasks")
        require_choice(task, self.tasks, "task")
        require_choice(learner, LEARNERS, "learner")
        own = self.data.sel(task=task, learner=learner)
        return crossing(*(own[f"curve_{name}"].values for name in ("rows", "gain", "sign_joint")))

    def _verdict(self, own: xr.Dataset, prefix: str) -> Verdict:
        numbers = [float(own[f"{prefix}{name}"]) for name in ("gain", "error", "low", "high")]
        return Verdict(*numbers, int(own[f"{prefix}sign"]), int(self.data.attrs["n_splits"]), self.level)

    def predict(self, task: str, X: Any) -> np.ndarray:
        """Labels of rows X (m, d) by what the task learned from all rows; columns of a data frame are matched by name.

        Raises ValueError for an unknown task, and for other columns.
        """
        require_choice(task, self.tasks, "task")
        names = [str(name) for name in self.data["feature"].values]
        X = dense(X, "X")
        if hasattr(X, "columns") and json.loads(self.data.attrs["named"]):
            X = _in_order(X, names)
        rows = np.asarray(numbers_of(X, "X"), float)
        right = rows.ndim == 2 and rows.shape[1] == len(names)
        require(right, "X", f"of shape (m, {len(names)})", f"of shape {rows.shape}", "pass one row per sample")
        require_finite(rows, "X")
        own = self.data.sel(task=task)
        return rows @ own["coefficients"].values + float(own["intercept"])

    def to_frame(self):
        """One row per task, as a pandas data frame: numbers of the mixture, and of pooling and a network where they were asked."""
        names = ["risk_alone", "risk_together", "gain", "low", "high", "sign", "sign_joint", "group", "group_gain"]
        names += [f"network_{part}" for part in ("alone", "together", "gain", "low", "high", "sign")]
        frame = self.data[[name for name in names if name in self.data]].to_dataframe()
        advice = [one for _, one in self._advice()]
        told = {"sources": [", ".join(one.sources) or "leave alone" for one in advice], "method": [one.method for one in advice]}
        if "curve_gain" in self.data:
            told["pooled"] = [self.crossing(task, "pooled").sentence for task in self.tasks]
        why = reasons(self)
        return frame.assign(**told, reasons=["; ".join(why[task]) for task in self.tasks])

    def to_dict(self) -> dict[str, Any]:
        """Everything that is said, as plain JSON types; what is not finite becomes None."""
        plain = lambda value: value if not isinstance(value, float) or np.isfinite(value) else None
        listed = lambda array: [listed(part) for part in array] if isinstance(array, list) else plain(array)
        data = {name: listed(self.data[name].values.tolist()) for name in self.data.data_vars}
        advice: dict[str, Any] = {
            task: {"sources": list(one.sources), "method": one.method, "sentence": str(one)} for task, one in self._advice()
        }
        groups = [list(group) for group in self.grouping()]
        if "network_gain" in self.data:
            advice = {task: one | {"network": self.agreement(task)} for task, one in advice.items()}
        said = {"notes": self.notes, "reasons": self.reasons, "words": WORDS_USED, "level": self.level}
        return {"tasks": self.tasks, "advice": advice, "groups": groups} | said | data

    def save(self, path: Path | str) -> None:
        """Write a .nc file that `Study.load` reads; an existing file is not touched."""
        path = Path(path)
        require(path.suffix == ".nc", "path", "a name that ends in .nc", path, "add that ending")
        require(not path.exists(), "path", "a new file", f"{path}, which is there", "remove it, or choose another name")
        self.data.to_netcdf(path, engine="h5netcdf")

    @classmethod
    def load(cls, path: Path | str) -> "Study":
        """What `save` wrote. Raises ValueError in one sentence for anything else."""
        cure = "pass a file that Study.save or mtlsim compare --out has written"
        require(Path(path).is_file(), "path", "an existing file", f"{path}, which is not there", cure)
        try:
            data = xr.load_dataset(path, engine="h5netcdf")
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f"path must be a whole file of one study, but {path} is not ({error}); {cure}.") from None
        require(data.attrs.get("format") == FORMAT, "path", "a file of one study", f"{path}, which is something else", cure)
        return cls(data)

    def _advice(self):
        return [(task, self.best(task)) for task in self.tasks]

    def __str__(self) -> str:
        width = max(len(task) for task in self.tasks)
        level = f"{100 * self.level:.3g} % interval"
        lines = [f"{'':<{width}}  {'alone':>9}{'together':>10}{'gain':>10}  {level:<24}  learn with"]
        for task, one in self._advice():
            own, gain = self.data.sel(task=task), one.gain
            interval = f"{gain.low:+.3g} to {gain.high:+.3g} ({gain.word})"
            errors = f"{float(own['risk_alone']):>9.4g}{float(own['risk_together']):>10.4g}{gain.mean:>+10.3g}"
            lines.append(f"{task:<{width}}  {errors}  {interval:<24}  {one.what}")
        parts = (
            self._on_all(),
            self._on_network(),
            self._on_decisions(),
            self._on_curves(),
            self._on_affinities(),
            self._on_words(),
            self.notes,
        )
        return "\n".join([*lines, *(line for part in parts for line in part)])

    def _on_words(self) -> list[str]:
        """What the words mean that it has used, and why things that it says may differ."""
        used = [name for name in WORDS_USED if name not in METHODS or name in self.data["way"].values]
        used = [name for name in used if name != "pooled" or {"curve_gain", "affinity_rank"} & set(self.data)]
        why = self.reasons
        return [
            "words: errors are squared, on held-out rows, of linear learners",
            *(f"  {name + ':':<18}{WORDS_USED[name]}" for name in used),
            *(["why what is said above may differ:"] if why else []),
            *(f"  {sentence}" for sentence in why),
        ]

    def _on_network(self) -> list[str]:
        """What a network gains with the same sources, whether it agrees, and what asking it has cost."""
        if "network_gain" not in self.data:
            return []
        told = {name: int(self.data.attrs[f"network_{name}"]) for name in ("units", "splits", "fits", "steps")}
        cost = f"{told['fits']} fits of {told['steps']} steps, {float(self.data.attrs['network_operations']):.1e} operations"
        lines = [f"a network of {told['units']} ReLU units, {told['splits']} splits ({cost}): alone, together, gain"]
        for task in self.tasks:
            own = self.data.sel(task=task)
            alone, together, gain, low, high = (float(own[f"network_{x}"]) for x in ("alone", "together", "gain", "low", "high"))
            word = WORDS[int(own["network_sign"])]
            shown = f"{alone:.4g}, {together:.4g}, {gain:+.3g} ({low:+.3g} to {high:+.3g}, {word})"
            lines.append(f"  {task}: {shown}: {self.agreement(task)}")
        same = int(np.sum(np.sign(self.data["gain"].values) == np.sign(self.data["network_gain"].values)))
        return [*lines, f"  the mean gains of both learners have the same sign in {same} of {len(self.tasks)} tasks"]

    def agreement(self, task: str) -> str:
        """Whether the network says the same of a task as the ridge regressions. Raises ValueError where it was not asked."""
        require("network_gain" in self.data, "study", "one with a network", "one without", "pass network=True to compare_tasks")
        require_choice(task, self.tasks, "task")
        own = self.data.sel(task=task)
        return agreement(*((float(own[f"{prefix}gain"]), int(own[f"{prefix}sign"])) for prefix in ("", "network_")))

    def _on_curves(self) -> list[str]:
        """Gains by target rows in % of the error alone; decided jointly over the rows where a star stands."""
        if "curve_gain" not in self.data:
            return []
        lines = [
            "gain by target rows, % of the error alone there (* decided jointly over the rows, which asks for more); sign turns"
        ]
        for task in self.tasks:
            for learner in LEARNERS:
                own = self.data.sel(task=task, learner=learner)
                known = own.isel(step=np.flatnonzero(np.isfinite(own["curve_rows"])))
                share = 100 * known["curve_gain"].values / known["curve_alone"].values
                signs = known["curve_sign_joint"].values
                shown = ", ".join(
                    f"{rows:.0f}: {gain:+.3g}{'*' if sign else ''}"
                    for rows, gain, sign in zip(known["curve_rows"].values, share, signs, strict=True)
                )
                lines.append(f"  {task}, {learner}: {shown}: {self.crossing(task, learner).sentence}")
        return lines

    def _on_affinities(self) -> list[str]:
        """The affinities in the order of their rank correlation with what the mixture gains."""
        if "affinity_rank" not in self.data:
            return []
        ranks, areas = (self.data[f"affinity_{name}"].transpose("affinity", "learner").values for name in ("rank", "area"))
        gains = self.data["affinity_gain"].transpose("learner", ...).values
        n = int(np.isfinite(gains[0]).sum())
        share = [f"{np.mean(one[np.isfinite(one)] > 0):.0%}" for one in gains]
        lines = [
            f"affinities of {n} ordered pairs, from half of the target's rows, against the gain on the other half: rank",
            f"  correlation, and area under the curve for its sign (chance: 0, up to about {1.96 / np.sqrt(n - 1):.2f}, and 0.5)",
            f"  {'':<24}" + "".join(f"{f'{name} ({part} help)':>26}" for name, part in zip(LEARNERS, share, strict=True)),
        ]
        for i in np.argsort(-np.nan_to_num(ranks[:, 0], nan=-2), kind="stable"):
            told = "".join(f"{rank:>+18.2f}{area:>8.2f}" for rank, area in zip(ranks[i], areas[i], strict=True))
            lines.append(f"  {self.data['affinity'].values[i]!s:<24}{told}")
        return lines

    def _on_decisions(self) -> list[str]:
        """For every target whose labels have two values, all measures of its decisions."""
        if "base_rate" not in self.data:
            return []
        lines = []
        for task in self.tasks:
            own = self.data.sel(task=task)
            if not np.isfinite(float(own["base_rate"])):
                continue
            base, low, high = (float(own[f"base_{name}"]) for name in ("rate", "low", "high"))
            lines.append(f"{task}: the more frequent label comes in {base:.3g} of its rows ({low:.3g} to {high:.3g}); held out,")
            for name in own["measure"].values:
                one = own.sel(measure=name)
                alone, together, gain, low, high = (
                    float(one[f"measure_{part}"]) for part in ("alone", "together", "gain", "low", "high")
                )
                word = WORDS[int(one["measure_sign"])]
                lines.append(f"  {name:<18}{alone:>9.4g}{together:>10.4g}{gain:>+10.3g}  {low:+.3g} to {high:+.3g} ({word})")
            others = [str(name) for name in own["measure"].values if int(own["sign"] * own["measure_sign"].sel(measure=name)) < 0]
            if others:
                lines.append(f"  the gain in squared error is {WORDS[int(own['sign'])]}, but not that in {', '.join(others)}")
        return lines

    def _on_all(self) -> list[str]:
        signs = self.data["sign_joint"].values
        decided = f"{int(np.sum(signs > 0))} helped and {int(np.sum(signs < 0))} hurt of {len(signs)}, decided jointly"
        low, high, mean = (100 * float(self.data.attrs[name]) for name in ("total_low", "total_high", "total"))
        about = (
            f"all tasks: mean gain {mean:+.3g} % of the error alone ({100 * self.level:.3g} % interval {low:+.3g} to {high:+.3g})"
        )
        lines = [f"{about}; {decided}."]
        groups = [group for group in self.grouping() if len(group) > 1]
        if "group_gain" in self.data:
            shown = "; ".join("{" + ", ".join(group) + "}" for group in groups) if groups else "none: leave every task alone"
            lines.append(f"best groups: {shown}.")
        return lines


def _in_order(frame: Any, names: Sequence[str]) -> Any:
    """The columns of a data frame in the order of the names; those that are not needed stay out."""
    places = {str(label): i for i, label in enumerate(frame.columns)}
    missing = [name for name in names if name not in places]
    found = f"without {', '.join(map(repr, missing[:3]))}"
    require(not missing, "X", "a frame with the columns that were learned from", found, "add them, or pass X.to_numpy()")
    return frame.iloc[:, [places[name] for name in names]] if hasattr(frame, "iloc") else frame[[*names]]


class Advice(NamedTuple):
    """For one target: sources in the order of their weight (none: leave it alone), the method with most weight, the weights of
    all methods, what learning together is predicted to gain, and the risk alone.
    """

    task: str
    sources: tuple[str, ...]
    method: str
    weights: dict[str, float]
    gain: Verdict
    risk_alone: float

    @property
    def what(self) -> str:
        if not self.sources:
            return "leave alone"
        shown = ", ".join(self.sources[:4]) + (f" and {len(self.sources) - 4} more" if len(self.sources) > 4 else "")
        return f"{shown} ({self.method})"

    def __str__(self) -> str:
        share = 100 * self.gain.mean / self.risk_alone if self.risk_alone > 0 else float("nan")
        interval = f"{100 * self.gain.level:.3g} % interval {self.gain.low:+.3g} to {self.gain.high:+.3g}"
        return f"{self.task}: {self.what}; predicted gain {self.gain.mean:+.3g} ({share:+.3g} % of the error alone, {interval})"
