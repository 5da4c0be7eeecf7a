"""Legends that say what every line, band, dot and hatch is, laid out anew where they are wider than the figure."""

from weakref import WeakKeyDictionary

from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.transforms import ScaledTranslation

from mtlsim.plots.words import wrap

FURNITURE = "furniture"  # group of what belongs to the axes: the line of no gain, the halves that help and hurt
BELOW = 32.0  # points under a panel, where the label of its axis ends
LINE = 11.5  # points, of a further line of that label
BAND = "interval (95 %)"

_ENTRIES: WeakKeyDictionary[Axes, list] = WeakKeyDictionary()
_ASKED: WeakKeyDictionary[Legend, dict] = WeakKeyDictionary()


def entry(ax: Axes, handle: Line2D | Patch) -> None:
    """One more entry of the legend, once for each label, for what has no series of its own."""
    known = _ENTRIES.setdefault(ax, [])
    if handle.get_label() not in [old.get_label() for old in known]:
        known.append(handle)


def line_entry(ax: Axes, label: str, **look) -> None:
    """A line or a marker of this look."""
    entry(ax, Line2D([], [], **{"color": "0.4", "label": label, **look}))


def band_entry(ax: Axes, label: str = BAND) -> None:
    """What the bands around curves are, whatever their colour."""
    entry(ax, Patch(facecolor=to_rgba("0.5", 0.3), edgecolor="none", label=label))


def bar_entry(ax: Axes, label: str = "bars: interval (95 %)") -> None:
    """What the bars on points are, whatever their colour."""
    entry(ax, Line2D([], [], color="0.4", marker="|", markersize=9, markeredgewidth=1.2, linestyle="none", label=label))


def open_entry(ax: Axes, label: str) -> None:
    """What open markers are, whatever their colour and form."""
    entry(ax, Line2D([], [], color="0.4", marker="o", markerfacecolor="white", linestyle="none", label=label))


def hatch_entry(ax: Axes, hatch: str, label: str) -> None:
    entry(ax, Patch(facecolor="white", edgecolor="0.4", hatch=hatch, linewidth=0.6, label=label))


def entries(*axes: Axes) -> tuple[list, list[str]]:
    """Handles and labels of all that is labelled on these panels, series first, each label once."""
    found: dict[str, object] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    for ax in axes:
        for handle in _ENTRIES.get(ax, []):
            found.setdefault(str(handle.get_label()), handle)
    return list(found.values()), list(found)


def legend(where: Axes | Figure, place: str = "outside lower center", n_columns: int = 3, **options) -> Legend | None:
    """The legend of a panel, or of a figure from all its panels; where it is too wide, `fit_legends` takes fewer columns.

    place: as matplotlib's `loc`, or for a panel "above" or "below", out of the way of what it shows. Nothing without an entry.
    """
    handles, labels = entries(*([where] if isinstance(where, Axes) else where.axes))
    if not labels:
        return None
    anchor: dict = {}
    if place == "above":
        anchor = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "bbox_transform": where.transAxes}
    elif place == "below":
        down = BELOW + LINE * where.get_xlabel().count("\n")
        shift = ScaledTranslation(0, -down / 72, where.figure.dpi_scale_trans)
        anchor = {"loc": "upper center", "bbox_to_anchor": (0.5, 0.0), "bbox_transform": where.transAxes + shift}
    found = where.legend(handles, labels, ncols=min(n_columns, len(labels)), **{"loc": place, **anchor, **options})
    _ASKED[found] = {"place": place, "n_columns": min(n_columns, len(labels)), **options}
    return found


def again(where: Axes | Figure, old: Legend, **changes) -> Legend | None:
    """The same legend with what has been drawn since, or asked for otherwise."""
    asked = {**_ASKED[old], **changes}
    old.remove()
    return legend(where, **asked)


def stands_below(ax: Axes) -> bool:
    """Whether a legend made here stands below the panel."""
    return any(where is ax and _ASKED[one]["place"] == "below" for where, one in legends_of(ax.figure))


def legends_of(fig: Figure) -> list[tuple[Axes | Figure, Legend]]:
    """Every legend made here, and the panel or figure that it belongs to."""
    found: list = [(fig, one) for one in fig.legends]
    found += [(ax, ax.get_legend()) for ax in fig.axes if ax.get_legend() is not None]
    return [(where, one) for where, one in found if one in _ASKED]


def renew(where: Axes | Figure) -> None:
    """Bring the legend of a figure up to date after something was drawn on a panel of it."""
    fig = where if isinstance(where, Figure) else where.figure
    for owner, old in legends_of(fig):
        if owner in (where, fig):
            again(owner, old)
    fit_legends(fig)


def fit_legends(fig: Figure, of_panels: bool = True) -> bool:
    """Fewer columns for a legend that is too wide, and a place below for one that leaves no room beside it; whether any was."""
    changed = False
    for where, one in legends_of(fig):
        if not (of_panels or isinstance(where, Figure)):
            continue
        asked = _ASKED[one]
        if "right" in asked["place"] and "outside" in asked["place"] and 2 * _width(one) > fig.bbox.width:
            one = again(where, one, place="outside lower center", n_columns=6)
            changed = True
        if asked["place"] == "below" and "\n" in where.get_xlabel():
            one = again(where, one)
            changed = True
        room = fig.bbox.width if isinstance(where, Figure) else _room(fig, where)
        while one is not None and _ASKED[one]["n_columns"] > 1 and _width(one) > 0.99 * room:
            one = again(where, one, n_columns=_ASKED[one]["n_columns"] - 1)
            changed = True
        if one is not None and _width(one) > 0.99 * room:
            handle = _width(one) - max(text.get_window_extent().width for text in one.get_texts())
            for text in (*one.get_texts(), one.get_title()):
                changed |= wrap(text, 0.99 * room - handle)
    return changed


def _width(one: Legend) -> float:
    return one.get_window_extent(one.figure.canvas.get_renderer()).width


def _room(fig: Figure, ax: Axes) -> float:
    """Pixels that a legend centred on a panel has: to the edge of the figure, or half of the way to the next panels."""
    box = ax.get_window_extent()
    others = [other.get_window_extent() for other in fig.axes if other is not ax and other.axison]
    level = [other for other in others if other.y0 < box.y1 and other.y1 > box.y0]
    left = max([0.0, *(other.x1 for other in level if other.x1 <= box.x0)])
    right = min([fig.bbox.width, *(other.x0 for other in level if other.x0 >= box.x1)])
    middle = (box.x0 + box.x1) / 2
    return 2 * min(middle - left, right - middle)
