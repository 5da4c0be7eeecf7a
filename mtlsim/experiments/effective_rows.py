"""How many rows of the target a source is worth, over the rows that the target has: at the best weight, and pooled."""

import numpy as np

from mtlsim.cells.merged import Merged, effective_rows
from mtlsim.core.verdict import summarise
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import tint_gains
from mtlsim.plots.legends import bar_entry, legend
from mtlsim.plots.predictions import DASHES
from mtlsim.plots.style import MARKERS, SERIES, figure

OWN, SOURCE, RULE = "n_target", "n_source", "rule"
RULES = {"best": "best weight", "rows": "pooled (weights by rows)"}


def setting(options: Options) -> Setting:
    """Twenty features, noise one, parameters half a length apart."""
    own = np.geomspace(10, 300, 5 if options.fast else 11).round().tolist()
    return Setting(Merged(), {SOURCE: [100.0, 5000.0], RULE: list(RULES), OWN: own}, 400 if options.fast else 4000)


def draw(data):
    fig, (axes,) = figure(data.sizes[SOURCE], 3.7, 3.4, sharey=True)
    xs, fine = data[OWN].values, np.geomspace(data[OWN].values[0], data[OWN].values[-1], 100)
    energy = 20.0
    for ax, source in zip(axes, data[SOURCE].values, strict=True):
        for rule in map(str, data[RULE].values):
            i, name = list(RULES).index(rule), RULES[rule]
            found = summarise(data["risk_multi"].sel({SOURCE: source, RULE: rule}).values)
            # rows that alone would have this risk, less those that are there; a high risk is few rows
            middle, most, least = (energy / found[part] - xs for part in ("mean", "low", "high"))
            look = {"color": SERIES[i], "marker": MARKERS[i], "linestyle": "none"}
            bars = np.maximum([middle - least, most - middle], 0)  # a risk's lower end may be none
            ax.errorbar(xs, middle, bars, label=f"{name}, simulated", **look)
            cell = Merged(float(source))
            if rule == "best":
                known = np.full_like(fine, float(effective_rows(cell)))
            else:
                part = source / (source + fine)
                known = energy / (energy / (source + fine) + part**2 * cell.distance**2) - fine
            ax.plot(fine, known, color=SERIES[i], linestyle=DASHES)
        ax.set(xscale="log", xlabel="rows of the target", title=f"{source:g} source rows", ylim=(-230, 110))
        tint_gains(ax)
    axes[0].set_ylabel("target rows that the source is worth\n(positive helps)")
    axes[0].plot([], [], color="black", linestyle=DASHES, label="known exactly")
    bar_entry(axes[0])
    legend(fig, "outside lower center", 2)
    return fig


EXPERIMENT = Experiment(
    "effective-rows",
    "At its best weight a source is worth the same rows however many the target has; pooled, a large one ends as a burden.",
    setting,
    draw,
    along=(OWN,),
)
