"""One look for all figures: legible in print, in grey and to colour-blind eyes; every axis says that positive helps."""

import math
import re
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import rc_params_from_file
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from mtlsim.core.checks import require, require_choice

GAIN_LABEL = "transfer gain: risk alone minus together (positive helps)"
RISK_LABEL = "excess risk on the target (lower is better)"
NO_INTERVAL = "near interpolation: no interval covers the mean"
HELPS, HURTS, UNDECIDED = "#2166ac", "#b2182b", "#888888"
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
MARKERS = ("o", "s", "^", "D", "v", "P")
GAIN_COLOURS, NO_VALUE = "RdBu", "#cccccc"  # of maps of gains, in pictures and on pages
WIDEST = 18  # letters of a name on an axis, beyond which it has several lines
ALWAYS = {  # places in SERIES and MARKERS of what comes in many figures, whatever else one shows
    **{"same": 0, "disjoint": 1, "rotated": 2, "geodesic": 3, "coordinates": 4},
    **{"hard": 0, "pooled": 1, "cross-stitch": 2, "experts": 3, "adapters": 4, "soft": 5},
    "oracle": 2,
}
MODEL_COLOURS = {"linear": SERIES[0], "relu": SERIES[1]}  # of linear and ReLU units, wherever one figure shows both
WIDTHS = {"single": 3.5, "double": 7.2}  # inches, of a column and of the page of a paper
LEAST_WIDTH, LEAST_HEIGHT = 2.3, 1.9  # of a panel in inches, where the width of the figure is given
PAGE = 9.5  # inches, height of a page
DOMAINS = {"alignment": (0.0, 1.0), "cosine": (-1.0, 1.0)}  # of parameters that cannot take every number
STYLE = {
    "figure.dpi": 110,
    "savefig.dpi": 200,
    "savefig.bbox": "standard",
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.6,
    "lines.markersize": 4,
    "hatch.linewidth": 0.6,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
}
SMALL = ("legend.fontsize", "xtick.labelsize", "ytick.labelsize")
IN_PAPERS = {**dict.fromkeys(("font.size", "axes.titlesize", "axes.labelsize"), 8), **dict.fromkeys(SMALL, 7)}
QUANTITIES = {"gain": "gain (positive helps)", "risk_single": "risk alone", "risk_multi": "risk together"}
LABELS = {
    "alignment": "alignment score (1 = same covariance)",
    "cosine": "cosine of the parameters",
    "angle": "angle between the parameters (degrees)",
    "noise": "label noise (standard deviation)",
    "rank": "rank r (columns of the shared layer)",
    "condition_number": "condition number of the covariance",
    "n_features": "number of features",
    "relation": "source covariance",
    "n_samples[0]": "source samples (rows)",
    "n_samples[1]": "target samples (rows)",
    "n_samples": "samples per task (rows)",
}


def label_of(name: str) -> str:
    """Axis label of a swept parameter, from its dotted name."""
    last = name.rsplit(".", 1)[-1]
    return LABELS.get(last) or LABELS.get(last.split("[")[0], last.replace("_", " "))


def label_of_output(name: str) -> str:
    """What a cell returns, in words."""
    return QUANTITIES.get(name, name.replace("_", " "))


def short_label_of(name: str) -> str:
    return label_of(name).split(" (")[0]


@dataclass(frozen=True)
class Look:
    """How a figure is made up for where it goes.

    title: whether its claim stands above it. width: "single" or "double" column of a paper; its own width if None. formats: of the
    files. style: a matplotlib style sheet that changes ours. Raises ValueError for other words, and for a file that is none.
    """

    title: bool = True
    width: str | None = None
    formats: tuple[str, ...] = ("png", "pdf")
    style: Path | None = None

    def __post_init__(self):
        if self.width is not None:
            require_choice(self.width, list(WIDTHS), "width")
        for name in self.formats:
            require_choice(name, ["png", "pdf", "svg"], "format")
        if self.style is not None:
            _check_style(Path(self.style))


def _check_style(path: Path) -> None:
    cure = "write lines such as `font.size: 8` into it"
    require(path.is_file(), "style", "a matplotlib style sheet", f"{path.name}, which is not there", "check its name")
    text = path.read_text(encoding="utf-8", errors="replace")
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    for name in (line.split(":")[0].strip() for line in lines if line):
        require(name in plt.rcParams, "style", "a matplotlib style sheet", f"one with {name[:40]!r}, which is no setting", cure)
    try:
        rc_params_from_file(path, fail_on_error=True, use_default_template=False)
    except ValueError as error:
        require(False, "style", "a matplotlib style sheet", f"one where {str(error).splitlines()[0]}", cure)


PLAIN = Look()
_LOOK: ContextVar[Look] = ContextVar("look", default=PLAIN)
_PANELS: WeakKeyDictionary[Figure, tuple] = WeakKeyDictionary()  # rows and columns as asked for, and as the width lets them be


def look_now() -> Look:
    """That of figures which are made now."""
    return _LOOK.get()


@contextmanager
def wearing(look: Look) -> Iterator[None]:
    """Figures that are made inside have this look; nothing stays of it."""
    token = _LOOK.set(look)
    try:
        with plt.rc_context():
            yield
    finally:
        _LOOK.reset(token)


def figure(n_columns: int = 1, width: float = 3.6, height: float = 3.2, n_rows: int = 1, least: float = LEAST_HEIGHT, **options):
    """A figure of panels of this size in the house style, one row of them unless said, as an array (n_rows, n_columns).

    Where the `Look` gives the width of the figure, panels that would be too narrow go into further rows. least: inches that a
    panel is high even then.
    """
    use_style()
    look, count = _LOOK.get(), n_rows * n_columns
    if look.width is None:
        fig, axes = plt.subplots(n_rows, n_columns, figsize=(width * n_columns, height * n_rows), squeeze=False, **options)
        _PANELS[fig] = (n_rows, n_columns, n_columns, height)
        return fig, axes
    total, fitting = WIDTHS[look.width], 1
    rows_of = lambda columns: math.ceil(count / columns)
    while fitting < n_columns and (total / (fitting + 1) >= LEAST_WIDTH or rows_of(fitting) * least > PAGE):
        fitting += 1
    rows = rows_of(fitting)
    fitting = rows_of(rows)  # four panels in two and two, not in three and one
    each = max(least, min(height, height * total / fitting / width, PAGE / rows))
    if fitting < n_columns:
        options.pop("width_ratios", None)
    fig = plt.figure(figsize=(total, rows * each))
    axes = fig.subplots(rows, fitting, squeeze=False, **options).ravel()
    for ax in axes[count:]:
        ax.remove()
    for ax in axes[max(count - fitting, 0) : count]:  # an axis that is shared has numbers only in the last row, which may end early
        ax.xaxis.set_tick_params(which="both", labelbottom=True)
    _PANELS[fig] = (n_rows, n_columns, fitting, each)
    return fig, axes[:count].reshape(n_rows, n_columns)


def panels_of(fig: Figure) -> tuple[int, int, int, float] | None:
    """Rows and columns of panels that were asked for, columns that there are, and the height of a panel in inches."""
    return _PANELS.get(fig)


def use_style() -> None:
    """The house style, changed as the `Look` says."""
    look = _LOOK.get()
    plt.rcParams.update(STYLE)
    if look.width is not None:
        plt.rcParams.update(IN_PAPERS)
    if look.style is not None:
        plt.style.use(Path(look.style))


def series_of(names: Iterable[str]) -> dict[str, int]:
    """The colour and marker of each name, as a place in SERIES and MARKERS: that which it has in every figure, by its first word
    (`ALWAYS`), else the first that is free."""
    names = [str(name) for name in names]
    found: dict[str, int] = {}
    for name in names:
        known = ALWAYS.get(re.split(r"[, (]", name)[0])
        if known is not None and known not in found.values():
            found[name] = known
    for name in names:
        free = (place for place in range(len(names) + len(SERIES)) if place not in found.values())
        found.setdefault(name, next(free))
    return found


def gain_palette(count: int = 255) -> list[str]:
    """Colours of gains from the most negative to the most positive, as text."""
    return [to_hex(colour) for colour in plt.get_cmap(GAIN_COLOURS)(np.linspace(0, 1, count))]


def are_words(values) -> bool:
    """Whether the values of an axis are names, and no numbers that have an order and a distance."""
    return np.asarray(values).dtype.kind not in "iuf"


def places(values) -> np.ndarray:
    """Where the values of an axis stand on it: numbers where they are, words one after the other."""
    return np.arange(len(values)) if are_words(values) else np.asarray(values)


def set_scale(axis, values) -> None:
    """Logarithmic where `is_logarithmic` says so; words are written at their `places`. axis: ax.xaxis or ax.yaxis."""
    if are_words(values):
        lines = [_broken(str(value)) for value in values]
        upright = {"rotation": 90} if axis.axis_name == "x" and has_long_names(values) else {}
        axis.set_ticks(places(values), lines, **upright)
    elif is_logarithmic(values):
        axis._set_axes_scale("log")


def has_long_names(values) -> bool:
    """Whether some value of an axis takes several lines, such as an architecture with its fields."""
    return are_words(values) and any(len(str(value)) > WIDEST for value in values)


def _broken(words: str) -> str:
    """A long name in lines: its fields below it."""
    name, bracket, fields = words.partition("(")
    return words if len(words) <= WIDEST else "\n".join([name, *textwrap.wrap(bracket + fields, WIDEST)])


def kept_inside(name: str, low: float, high: float) -> tuple[float, float]:
    """Ends of the axis of a parameter, which reach no value that it cannot take."""
    least, most = DOMAINS.get(name.rsplit(".", 1)[-1].split("[")[0], (-math.inf, math.inf))
    return max(low, least), min(high, most)


def symmetric_ticks(largest: float, span: float) -> list[float]:
    """Zero, and on both sides the powers of ten from the largest down to the largest / span: smaller ones stand on the zero."""
    powers = 10.0 ** np.arange(np.ceil(np.log10(largest / span)), np.floor(np.log10(largest)) + 1)
    return [*-powers[::-1], 0.0, *powers]


def is_logarithmic(values) -> bool:
    """Whether values are positive numbers and span more than a factor of 30."""
    if are_words(values):
        return False
    values = [float(value) for value in values]
    return min(values) > 0 and max(values) > 30 * min(values)
