"""What a page holds of a sweep: its cells in one order, and for each its numbers, colours and words."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mtlsim.core.checks import require
from mtlsim.core.status import Status
from mtlsim.core.verdict import WORDS, half_width
from mtlsim.core.words import with_article
from mtlsim.plots.style import HELPS, HURTS, SERIES, UNDECIDED, are_words
from mtlsim.results.dataset import counts, has_heavy_tails
from mtlsim.results.grid import at_point, parameters
from mtlsim.results.selection import axis_of, in_order, words_of
from mtlsim.sweeps.predict import predict

if TYPE_CHECKING:
    import xarray as xr

MOST_CELLS = 200_000  # of a page that a browser still moves at once
COLOURS = {1: HELPS, 0: UNDECIDED, -1: HURTS}
DECIDED, OPEN, NO_INTERVAL = " ", "/", "x"  # patterns of hatching


@dataclass(frozen=True)
class Shown:
    """A sweep as a page shows it: cells in the order (others..., y, x), flat, and the names of its axes."""

    data: "xr.Dataset"
    quantity: str
    x: str
    y: str | None
    others: tuple[str, ...]

    @property
    def n_x(self) -> int:
        return self.data.sizes[self.x]

    @property
    def n_y(self) -> int:
        return 1 if self.y is None else self.data.sizes[self.y]

    def values(self, name: str) -> np.ndarray:
        """A variable of the data over (blocks, y, x)."""
        order = [*self.others, *([] if self.y is None else [self.y]), self.x]
        return self.data[name].transpose(*order).values.reshape(-1, self.n_y, self.n_x)


def choose(data: "xr.Dataset", x: str | None, y: str | None, quantity: str) -> Shown:
    """The data in the order in which the page wants them."""
    right = "settings" in getattr(data, "attrs", {})
    require(
        right,
        "data",
        "a result of mtlsim.sweep",
        with_article(type(data).__name__),
        "pass what sweep returned, or mtlsim.results.dataset.load",
    )
    known = sorted(name for name in data.data_vars if "seed" in data[name].dims and data[name].dtype.kind == "f")
    known += [name.removesuffix("_mean") for name in data.data_vars if str(name).endswith("_mean")]
    found = ", ".join(dict.fromkeys(map(str, known))) or "nothing that has a mean"
    cure = "choose one of them" if known else "this result is a table: look at it with `mtlsim plot` or xarray"
    require(quantity in known, "quantity", f"one of {found}", repr(quantity), cure)
    of = data[f"{quantity}_mean"] if f"{quantity}_mean" in data else data[quantity]
    axes = [axis["name"] for axis in json.loads(data.attrs["settings"]).get("axes", [])]
    rest = [str(name) for name in of.dims if name not in (*axes, "seed")]
    require(
        not rest,
        "quantity",
        "one number a draw",
        f"{quantity}, which has axes {', '.join(rest)}",
        "select of them, as by data.isel",
    )
    data = in_order(data, of.name)
    data = data.squeeze([name for name in of.dims if name in axes and data.sizes[name] == 1])
    swept = [name for name in of.dims if name in axes and data.sizes.get(name, 1) > 1]
    require(len(swept) > 0, "data", "a sweep over one parameter or more", "one cell", "read it with `mtlsim explain`")
    n_cells = int(np.prod([data.sizes[name] for name in swept]))
    cure = "select some of its values first, as by data.isel"
    require(n_cells <= MOST_CELLS, "data", f"a sweep of at most {MOST_CELLS} cells", f"one of {n_cells}", cure)
    x, y = (name if name is None else axis_of(name, swept, argument, words_of(data)) for name, argument in ((x, "x"), (y, "y")))
    require(x is None or x != y, "y", "another parameter than x", repr(y), "leave one of them out")
    numbers_first = sorted((name for name in swept if name not in (x, y)), key=lambda name: are_words(data[name].values))
    x = x or numbers_first.pop(0)
    y = y or (numbers_first.pop(0) if numbers_first else None)
    others = tuple(name for name in swept if name not in (x, y))
    return Shown(data.transpose(*others, *([y] if y else []), x, ...), quantity, x, y, others)


def columns_of(shown: Shown) -> dict[str, np.ndarray]:
    """{name: one entry a cell}, in the order (others, y, x)."""
    data, quantity = shown.data, shown.quantity
    if f"{quantity}_low" in data:
        mean, low, high = (shown.values(f"{quantity}_{part}").ravel() for part in ("mean", "low", "high"))
        n_seeds = shown.values(f"{quantity}_n_seeds").ravel()
    elif f"{quantity}_mean" in data:  # sums alone were kept
        mean, error = (shown.values(f"{quantity}_{part}").ravel() for part in ("mean", "standard_error"))
        asked = json.loads(data.attrs["settings"])["n_seeds"]  # where no gain says how many there were
        n_seeds = shown.values("gain_n_seeds").ravel() if "gain_n_seeds" in data else np.full(mean.shape, asked)
        width = np.where(n_seeds > 1, half_width(error, n_seeds, float(data.attrs["level"])), np.inf)
        low, high = mean - width, mean + width
    else:
        mean, low, high, n_seeds = _mean_over_seeds(shown)
    heavy = np.zeros(mean.shape, bool)
    if "gain_sign" in data:
        heavy = has_heavy_tails(data).transpose(*data["gain_sign"].dims).values.ravel()
    if quantity == "gain" and "gain_sign" in data:
        sign = shown.values("gain_sign").ravel()
        words = np.array([WORDS[int(one)] for one in sign], object)
    else:
        sign, words = np.ones(mean.shape, int), np.array([""] * mean.size, object)
    colours = (
        np.array([COLOURS[int(one)] for one in sign], object) if quantity == "gain" else np.full(mean.shape, SERIES[0], object)
    )
    columns = {
        "mean": np.where(heavy, np.nan, mean),
        "low": low,
        "high": high,
        "n_seeds": n_seeds,
        "verdict": words,
        "colour": colours,
        "hatch": np.array([NO_INTERVAL if h else DECIDED if one else OPEN for h, one in zip(heavy, sign, strict=True)], object),
        "status": _statuses(shown),
    }
    columns |= _in_view(columns["mean"], low, high)
    columns["shade"] = _shade(columns["mean"], quantity == "gain")
    return columns


def _in_view(mean: np.ndarray, low: np.ndarray, high: np.ndarray) -> dict[str, np.ndarray]:
    """Ends of the intervals as far as they choose what a curve shows: none that is infinite, or far beyond all means."""
    least, most = np.nanmin(mean, initial=np.inf), np.nanmax(mean, initial=-np.inf)
    room = (most - least) or abs(most) or 1.0
    known = np.isfinite(low) & np.isfinite(high)
    return {
        "seen_low": np.where(known, np.maximum(low, least - room), mean),
        "seen_high": np.where(known, np.minimum(high, most + room), mean),
    }


def _mean_over_seeds(shown: Shown) -> tuple[np.ndarray, ...]:
    """Mean and Student's interval over the seeds of an output that has no summary of its own."""
    draws = shown.data[shown.quantity]
    order = [name for name in draws.dims if name != "seed"]
    values = draws.transpose(*order, "seed").values.reshape(-1, draws.sizes["seed"])
    count = np.isfinite(values).sum(-1)
    safe = np.maximum(count, 1)
    mean = np.where(count > 0, np.nansum(values, -1) / safe, np.nan)
    spread = np.sqrt(np.nansum((values - mean[:, None]) ** 2, -1) / np.maximum(count - 1, 1) / safe)
    width = np.where(count > 1, half_width(spread, count, float(shown.data.attrs["level"])), np.inf)
    return mean, mean - width, mean + width, count


def _statuses(shown: Shown) -> np.ndarray:
    """What went wrong in each cell, in words."""
    found = counts(shown.data, "status")
    if not len(found):
        axes = [*shown.others, *([shown.y] if shown.y else []), shown.x]
        return np.array(["not said"] * int(np.prod([shown.data.sizes[name] for name in axes])), object)
    total = np.maximum(found.sum(1), 1)
    return np.array(
        [
            ", ".join(f"{kind.name.replace('_', ' ')} {100 * row[kind] / n:.3g} %" for kind in Status if row[kind]) or "not run"
            for row, n in zip(found, total, strict=True)
        ],
        object,
    )


def _shade(mean: np.ndarray, symmetric: bool) -> np.ndarray:
    """-1 to 1 for the colours: of a gain linear up to a hundredth of the largest and logarithmic beyond, else linear."""
    if not symmetric:
        low, high = np.nanmin(mean, initial=np.inf), np.nanmax(mean, initial=-np.inf)
        return (mean - low) / (high - low) * 2 - 1 if high > low else 0 * mean
    return to_shade(mean, largest_of(mean))


def largest_of(mean: np.ndarray) -> float:
    return float(np.nanmax(np.abs(mean), initial=0.0)) or 1.0


def to_shade(gain: Any, largest: float) -> Any:
    """The place of a gain on the colour scale, asinh of it over a hundredth of the largest."""
    return np.arcsinh(100 * np.asarray(gain) / largest) / np.arcsinh(100.0)


def predicted(shown: Shown, prediction: Any) -> np.ndarray:
    """What a statement predicts on every cell; NaN outside of its assumptions, and where it does not speak of such a cell."""
    axes = [*shown.others, *([shown.y] if shown.y else []), shown.x]
    grid = {name: shown.data[name].values.tolist() for name in axes}
    held = {str(name): one.values.item() for name, one in shown.data.coords.items() if one.ndim == 0 and name in _swept(shown)}
    kinds = dict(parameters(prediction.cell))
    static = [name for name in axes if kinds.get(name)]
    gains = np.full([len(grid[name]) for name in axes], np.nan)
    for place in np.ndindex(*(len(grid[name]) for name in static)):
        point = {name: grid[name][i] for name, i in zip(static, place, strict=True)}
        fixed = {name: value for name, value in held.items() if kinds.get(name)} | point
        try:
            bound = prediction.statement(at_point(prediction.cell, fixed))
        except ValueError:  # of another rank, say
            continue
        moved = {name: [value] for name, value in held.items() if not kinds.get(name)}
        data = predict(bound, moved | {name: grid[name] for name in axes if name not in static}, check=False, inside=True)
        name, found = shown.quantity, ", ".join(map(str, data.data_vars))
        require(name in data, "predictions", f"statements about the {name}", f"one about {found}", "draw its own quantity")
        data = data.squeeze(list(moved), drop=True).transpose(*(axis for axis in axes if axis not in static))
        where = tuple(place[static.index(axis)] if axis in static else slice(None) for axis in axes)
        gains[where] = data[name].values
    return gains.ravel()


def texts_of_theory(gains: np.ndarray) -> list[str]:
    return [f"{gain:.5g}" if np.isfinite(gain) else "outside of its assumptions" for gain in gains]


def _swept(shown: Shown) -> list[str]:
    return [axis["name"] for axis in json.loads(shown.data.attrs["settings"]).get("axes", [])]
