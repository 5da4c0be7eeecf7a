"""One look for all figures: legible in print, in grey and to colour-blind eyes; every axis says that positive helps."""

import base64
import io
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

GAIN_LABEL = "transfer gain: risk alone minus together (positive helps)"
RISK_LABEL = "excess risk on the target (lower is better)"
NO_INTERVAL = "near interpolation: no interval covers the mean"
HELPS, HURTS, UNDECIDED = "#2166ac", "#b2182b", "#888888"
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
MARKERS = ("o", "s", "^", "D", "v", "P")
STYLE = {
    "figure.dpi": 110,
    "savefig.dpi": 200,
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


def short_label_of(name: str) -> str:
    return label_of(name).split(" (")[0]


def figure(n_columns: int = 1, width: float = 3.6, height: float = 3.2, n_rows: int = 1, **options):
    """A figure of panels of this size in the house style, one row of them unless said."""
    use_style()
    return plt.subplots(n_rows, n_columns, figsize=(width * n_columns, height * n_rows), squeeze=False, **options)


def use_style() -> None:
    plt.rcParams.update(STYLE)


def save(fig, path: Path) -> list[Path]:
    """Write the figure as PNG and PDF beside each other and close it."""
    written = [path.with_suffix(suffix) for suffix in (".png", ".pdf")]
    for file in written:
        fig.savefig(file, bbox_inches="tight")
    plt.close(fig)
    return written


def as_data_uri(fig) -> str:
    """The figure as a PNG inside a data URI, for a page that is one file; closes it."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", bbox_inches="tight", dpi=100)
    plt.close(fig)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def are_words(values) -> bool:
    """Whether the values of an axis are names, and no numbers that have an order and a distance."""
    return np.asarray(values).dtype.kind not in "iuf"


def places(values) -> np.ndarray:
    """Where the values of an axis stand on it: numbers where they are, words one after the other."""
    return np.arange(len(values)) if are_words(values) else np.asarray(values)


def set_scale(axis, values) -> None:
    """Logarithmic where `is_logarithmic` says so; words are written at their `places`. axis: ax.xaxis or ax.yaxis."""
    if are_words(values):
        axis.set_ticks(places(values), [str(value) for value in values])
    elif is_logarithmic(values):
        axis._set_axes_scale("log")


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
