"""What a penalty that protects outliers costs, and whom: gain of the tasks that are alike and of an outlier, by pull and drift."""

import numpy as np

from mtlsim.cells.safe_sharing import PENALTIES, SafeSharing
from mtlsim.core.verdict import summarise
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import tint_gains
from mtlsim.plots.legends import bar_entry, legend
from mtlsim.plots.predictions import DASHES
from mtlsim.plots.style import MARKERS, SERIES, figure
from mtlsim.theory.statements.price_of_safety import risks

STRENGTH, DRIFT, PENALTY, OUTLIERS = "strength", "drift", "penalty", "n_outliers"
GROUPS = {"gain": "tasks alike", "gain_outlier": "an outlier"}
HELD = 0.5  # pull where the drift varies
LEAST = -3.0  # of what is shown


def setting(options: Options) -> Setting:
    """Ten tasks of fifty features, one or three of them off."""
    pulls = [0.1, 0.5, 1.0, 1.5] if options.fast else [0.1, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5]
    drifts = [0.5, 2.0, 5.0, 20.0] if options.fast else [0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0]
    grid = {PENALTY: list(PENALTIES), OUTLIERS: [1, 3], DRIFT: drifts, STRENGTH: pulls}
    return Setting(SafeSharing(), grid, 100 if options.fast else 400)


def draw(data):
    fig, ((left, right),) = figure(2, 3.9, 3.4, sharey=True)
    far, pulls, drifts = float(data[DRIFT].max()), data[STRENGTH].values, data[DRIFT].values
    fine = np.linspace(pulls.min(), pulls.max(), 100)
    for i, off in enumerate(data[OUTLIERS].values):
        if "norm" not in data[PENALTY].values:
            break
        several = data.sel({PENALTY: "norm", OUTLIERS: off, DRIFT: far})
        known = np.array([risks(SafeSharing(pull, far, n_outliers=int(off))) for pull in fine.tolist()]).T
        for j, (name, group) in enumerate(GROUPS.items()):
            look = {"color": SERIES[2 * i + j], "marker": MARKERS[2 * i + j]}
            _points(left, pulls, several[name], f"{group}, {off} of 10 off", look)
            left.plot(fine, 1 - known[j], color=look["color"], linestyle=DASHES)
    off = data[OUTLIERS].values[0]
    for penalty in map(str, data[PENALTY].values):
        own = data.sel({PENALTY: penalty, OUTLIERS: off}).sel({STRENGTH: HELD}, method="nearest")
        first = 0 if penalty == "norm" else 4
        for j, (name, group) in enumerate(GROUPS.items()):
            label = None if penalty == "norm" else f"{group}, {off} of 10 off, penalty on the square"
            _points(right, drifts, own[name], label, {"color": SERIES[first + j], "marker": MARKERS[first + j]})
    left.set(xlabel="pull, over the length of an error alone", title=f"penalty on the norm, drift {far:g}")
    right.set(xscale="log", xlabel="drift of the outliers, over the length of an error", title=f"pull {HELD:g}", ylim=(LEAST, 1.1))
    left.set_ylabel("gain over the risk alone\n(positive helps)")
    for ax in (left, right):
        tint_gains(ax)
    left.plot([], [], color="black", linestyle=DASHES, label="known for many features")
    bar_entry(left)
    legend(fig, "outside lower center", 2)
    return fig


def _points(ax, xs: np.ndarray, values, label: str | None, look: dict) -> None:
    found = summarise(values.transpose(..., "seed").values)
    bars = np.stack([found["mean"] - found["low"], found["high"] - found["mean"]])
    shown = found["mean"] >= LEAST
    if label and not shown.all():
        label += f" (down to {found['mean'].min():.2g})"
    ax.errorbar(xs[shown], found["mean"][shown], bars[:, shown], linestyle="none", label=label, **look)


EXPERIMENT = Experiment(
    "price-of-safety",
    "A penalty on the norm bounds what an outlier pays; for all the others could share, it pays its risk once more.",
    setting,
    draw,
    along=(STRENGTH, DRIFT),
)
