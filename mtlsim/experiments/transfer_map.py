"""Where transfer is positive and where it is negative, over any two or three of six parameters."""

import numpy as np

from mtlsim import theory
from mtlsim.cells.transfer import Transfer
from mtlsim.core.checks import require
from mtlsim.core.words import counted
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.maps import transfer_map
from mtlsim.plots.predictions import overlay
from mtlsim.results.selection import axis_of
from mtlsim.tasks.covariance import Spiked
from mtlsim.tasks.linear import LinearTasks
from mtlsim.tasks.relations import lowest_alignment

D = 40
DESIGN = Spiked(condition_number=10.0, fraction=0.2)
PARAMETERS = {
    "alignment": "tasks.alignment",
    "cosine": "tasks.cosine",
    "source-samples": "tasks.n_samples[0]",
    "target-samples": "tasks.n_samples[1]",
    "noise": "tasks.noise",
    "rank": "rank",
}


def values(name: str, fast: bool, as_panels: bool) -> list:
    """Values of one parameter along an axis of the map, or as its panels."""
    if name == "rank":
        return [1, 2]
    if as_panels:
        return {
            "alignment": [0.5, 0.75, 1.0],
            "cosine": [0.5, 0.8, 0.95],
            "source-samples": [50, 500, 5000],
            "target-samples": [60, 200, 1000],
            "noise": [0.5, 1.5, 8.0],
        }[name]
    n = 7 if fast else 17
    least = float(lowest_alignment(DESIGN.draw(D)))
    return {
        "alignment": np.linspace(least + 1e-3, 1, n).round(4).tolist(),
        "cosine": np.linspace(-1, 1, n).round(4).tolist(),
        "source-samples": np.geomspace(10, 1e6, n).round().tolist(),
        "target-samples": np.geomspace(50, 5000, n).round().tolist(),
        "noise": np.geomspace(0.1, 10, n).round(4).tolist(),
    }[name]


def cell() -> Transfer:
    """40 features, a spiked covariance, cosine 0.8, 1000 source and 200 target rows, noise 2."""
    return Transfer(LinearTasks(n_features=D, n_samples=(1000, 200), cosine=0.8, alignment=1.0, noise=2.0, design=DESIGN))


def word_of(name: str) -> str:
    """The word for a parameter that is given by that, by its dotted name, or by the end of it."""
    axis = axis_of(name, list(PARAMETERS.values()), "x, y and panels", PARAMETERS)
    return next(word for word, dotted in PARAMETERS.items() if dotted == axis)


def setting(options: Options) -> Setting:
    x, y = word_of(options.x or "source-samples"), word_of(options.y or "alignment")
    panels = options.panels or ("noise" if {x, y}.isdisjoint({"noise"}) else None)
    chosen = [x, y, *([] if panels in (None, "none") else [word_of(panels)])]
    require(len(set(chosen)) == len(chosen), "x, y and panels", "different parameters", chosen, "choose another")
    require("rank" not in (x, y), "x and y", "parameters with a scale", "rank", "use --panels rank")
    grid = {PARAMETERS[name]: values(name, options.fast, name not in (x, y)) for name in chosen}
    axes = dict(zip(("x", "y", "panels"), (PARAMETERS[name] for name in chosen), strict=False))
    return Setting(cell(), grid, 40 if options.fast else 100, axes)


def draw(data):
    """With the predicted boundary of free heads where it is known: for one shared column, and more rows than features."""
    fig = transfer_map(data, data.attrs["x"], data.attrs["y"], data.attrs.get("panels"))
    if "rank" not in data.dims:
        overlay(fig, theory.free_heads(cell()), "#f0c000", "predicted boundary (free heads)", n_draws=2, hatch=False)
    return fig


def found(data) -> str:
    """The claim where all of its parameters move and both signs are seen; else how many cells help, hurt or are undecided."""
    signs = data["gain_sign"].values
    moved = {PARAMETERS[word] for word in ("alignment", "source-samples", "noise")} <= {
        name for name in data.dims if data.sizes[name] > 1
    }
    if moved and (signs > 0).any() and (signs < 0).any():
        return EXPERIMENT.claim
    counts = ", ".join(f"{(signs == sign).sum()} {word}" for sign, word in ((1, "help"), (-1, "hurt"), (0, "undecided")))
    return f"{counted(signs.size, 'setting')} of two tasks: {counts}."


EXPERIMENT = Experiment(
    "transfer-map",
    "Whether a source helps depends on alignment, sample sizes and noise together: the same pair of tasks helps or hurts.",
    setting,
    draw,
    along=tuple(PARAMETERS.values()),
    words=PARAMETERS,
    title=found,
)
