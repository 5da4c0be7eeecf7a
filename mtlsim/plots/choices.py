"""Maps of which of several ways is best, hatched where no one is beyond chance."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch

from mtlsim.plots.style import SERIES, places, series_of, set_scale
from mtlsim.results.zero_line import edges_of

GREYS = "0.88", "0.6"


def colours_of(names: Sequence[str], n_grey: int = 0) -> list[str]:
    """A colour for each way, greys for the first few."""
    return [*GREYS[:n_grey], *(SERIES[place] for place in series_of(list(names)[n_grey:]).values())]


def choice_panel(ax, xs: np.ndarray, ys: np.ndarray, best: np.ndarray, decided: np.ndarray, colours: Sequence[str]) -> None:
    """best, decided (len(ys), len(xs)): the index of the best way, and whether it is better than every other."""
    edges = edges_of(places(xs)), edges_of(places(ys))
    ax.pcolormesh(*edges, best, cmap=ListedColormap(colours), vmin=-0.5, vmax=len(colours) - 0.5, rasterized=True)
    hatching = ax.pcolor(*edges, np.ma.masked_where(decided, decided), hatch="/////", edgecolor="0.2", linewidth=0)
    hatching.set_facecolor("none")
    set_scale(ax.xaxis, xs)
    set_scale(ax.yaxis, ys)
    ax.set_xlim(edges[0][[0, -1]])
    ax.set_ylim(edges[1][[0, -1]])


def choice_legend(names: Sequence[str], colours: Sequence[str]) -> list[Patch]:
    """Entries for every way, and for the hatching."""
    every = [Patch(facecolor=colour, label=name) for colour, name in zip(colours, names, strict=True)]
    return [*every, Patch(facecolor="none", edgecolor="0.2", hatch="/////", label="undecided")]
