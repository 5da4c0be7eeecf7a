"""A hard task beside an easy one of the same feature: its overlap over time, and how late it is over the dose of the easy one and
the number of features."""

import numpy as np

from mtlsim.cells.hermite_students import HALF, HermiteStudents, overlap_flow, waiting_time
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.legends import band_entry, legend, open_entry
from mtlsim.plots.style import MARKERS, SERIES, figure

FEATURES, DOSE = "n_features", "easy_weight"
START, RATE, ROWS = 0.1, 0.05, 320_000
RUNS = {"hard alone": (0.0, 1.0), "both, easy weight .1": (0.1, 1.0), "both, easy weight 1": (1.0, 1.0), "easy alone": (1.0, 0.0)}


def setting(options: Options) -> Setting:
    """Online steps on labels without noise; a hard task that has not found its feature after all rows counts as that late."""
    features = [50.0, 200.0, 800.0]
    doses = [0.0, 0.03, 0.3, 1.0] if options.fast else [0.0, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0]
    cell = HermiteStudents(rate=RATE, capacity=ROWS)
    return Setting(cell, {FEATURES: features, DOSE: doses}, 16 if options.fast else 60)


def draw(data):
    fig, (axes,) = figure(3, 3.5, 3.6)
    flows, doses, waits = axes
    for i, (name, (easy, hard)) in enumerate(RUNS.items()):
        path = np.asarray(overlap_flow(START, easy, hard, 3.5, 3))
        times = np.linspace(0, 3.5, len(path) + 1)[1:]
        flows.plot(times, path, color=SERIES[i], label=name)
    stuck = np.asarray(overlap_flow(-START, 0.0, 1.0, 3.5, 3))
    flows.plot(times, stuck, color=SERIES[0], linestyle=":", label="hard alone, from the wrong side")
    known = [(waiting_time(START, HALF, 3), SERIES[0]), (waiting_time(START, HALF, 1), SERIES[3])]
    for time, colour in known:
        flows.plot([float(time)], [HALF], marker="o", color=colour, markersize=7, markerfacecolor="white", linestyle="none")
    flows.plot([], [], marker="o", color="black", markerfacecolor="white", linestyle="none", label="known in closed form")
    flows.set(xlabel="time of the flow", ylabel="overlap of student and feature", title="population flow")
    weights = data[DOSE].values
    places = np.where(weights > 0, weights, weights[weights > 0].min() / 4)
    for i, features in enumerate(data[FEATURES].values):
        low, middle, high = data["rows_multi"].sel({FEATURES: features}).quantile([0.25, 0.5, 0.75], "seed").values
        doses.fill_between(places, low, high, color=SERIES[i], alpha=0.2, linewidth=0)
        doses.plot(places, middle, color=SERIES[i], marker=MARKERS[i], label=f"{features:g} features")
        late = middle >= ROWS / features
        doses.plot(places[late], middle[late], color=SERIES[i], marker=MARKERS[i], markerfacecolor="white", linestyle="none")
        doses.axvline(3 / features, color=SERIES[i], linestyle="--", linewidth=0.8)
    doses.plot([], [], color="black", linestyle="--", linewidth=0.8, label="3 / features: as strong a pull")
    doses.set(xscale="log", xlabel="weight of the easy task (leftmost: none)", title="steps on rows, over the dose")
    band_entry(doses, "middle half of the draws")
    open_entry(doses, "not found after all rows")
    _draw_waits(waits, data)
    doses.set_ylabel("rows until the hard task is found, over features\n(lower is better)")
    for ax in (doses, waits):
        ax.set(yscale="log", ylim=(4, 500))
        ax.set_yticks([10, 30, 100, 300], ["10", "30", "100", "300"])
        ax.minorticks_off()
    for ax in axes:
        legend(ax, "below", 1)
    return fig


def _draw_waits(ax, data) -> None:
    """Medians over the number of features, of starts on the right side, and what the flow from the same starts needs."""
    features = data[FEATURES].values
    starts = data["start"].sel({DOSE: 0.0}).values
    right = lambda values, start: np.median(values[start > 0]) if (start > 0).any() else np.nan
    for i, (dose, name) in enumerate(((0.0, "hard alone"), (1.0, "both, easy weight 1"))):
        rows = data["rows_multi"].sel({DOSE: dose}).values
        waits = np.array([right(drawn, start) for drawn, start in zip(rows, starts, strict=True)])
        seen = waits > 0
        if seen.sum() > 1:
            name += f": as features to the power {np.polyfit(np.log(features[seen]), np.log(waits[seen]), 1)[0]:.2f}"
        ax.plot(features, waits, color=SERIES[2 * i], marker=MARKERS[2 * i], label=name)
    known = [right(np.asarray(waiting_time(np.abs(start), HALF, 3)), start) / RATE for start in starts]
    ax.plot(features, known, color="black", linestyle="--", label="hard alone (theory, the flow)")
    ax.set(xscale="log", xlabel="features", title="steps on rows, starts on the right side")
    ax.set_xticks(features, [f"{d:g}" for d in features])


EXPERIMENT = Experiment(
    "eavesdropping",
    "Beside an easy task of the same feature a hard one does not wait, from a dose on that falls with the number of features; "
    "alone it waits the longer the more there are.",
    setting,
    draw,
    along=(DOSE,),
)
