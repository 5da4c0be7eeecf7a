"""What is wrong with the layout of a figure: words that overlap or leave the canvas, and artists that no legend explains."""

import re

import numpy as np
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.container import ErrorbarContainer
from matplotlib.contour import ContourSet
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mtlsim.plots.legends import FURNITURE

GAP = 2.0  # pixels by which boxes may overlap: their outlines hold some white
BANDS = "band", "bars", "interval", "middle half", "middle 95", "% of draws", "(95 %)"


def texts_of(fig):
    """Every visible text of a figure with its box in pixels."""
    renderer = fig.canvas.get_renderer()
    found = [*fig.texts, *(one for one in (fig._suptitle, fig._supxlabel, fig._supylabel) if one is not None)]
    for ax in fig.axes:
        if ax.axison:
            found += [ax.title, ax._left_title, ax._right_title, ax.xaxis.label, ax.yaxis.label]
            for axis in (ax.xaxis, ax.yaxis):
                low, high = sorted(axis.get_view_interval())
                wide = 1e-6 * (high - low)
                for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                    if low - wide <= tick.get_loc() <= high + wide:
                        found += [label for label in (tick.label1, tick.label2) if label.get_visible() and tick.get_visible()]
            found += [axis.offsetText for axis in (ax.xaxis, ax.yaxis)]
        found += ax.texts
    for legend in legends_of(fig):
        found += [*legend.texts, legend.get_title()]
    named = {}
    for text in found:
        if text.get_visible() and text.get_text().strip():
            box = text.get_window_extent(renderer)
            if box.width > 0 and box.height > 0:
                named[id(text)] = (text, box)
    return list(named.values())


def legends_of(fig):
    return [*fig.legends, *(ax.get_legend() for ax in fig.axes if ax.get_legend() is not None)]


def overlaps(fig):
    """Pairs of texts whose boxes overlap, and legends that lie on a panel's words."""
    texts, found = texts_of(fig), []
    for i, (first, one) in enumerate(texts):
        for second, other in texts[:i]:
            wide = min(one.x1, other.x1) - max(one.x0, other.x0)
            tall = min(one.y1, other.y1) - max(one.y0, other.y0)
            turned = {round(text.get_rotation()) % 90 for text in (first, second)} != {0}
            if wide > GAP and tall > GAP and not turned:
                found.append(f"{second.get_text()!r} overlaps {first.get_text()!r} by {wide:.0f} x {tall:.0f} pixels")
    return found


def outside(fig):
    """Texts and legends that leave the canvas."""
    found = [repr(text.get_text()) for text, box in texts_of(fig) if _leaves(fig, box)]
    return found + [f"legend {i}" for i, legend in enumerate(legends_of(fig)) if _leaves(fig, legend.get_window_extent())]


def _leaves(fig, box):
    return box.x0 < -GAP or box.y0 < -GAP or box.x1 > fig.bbox.width + GAP or box.y1 > fig.bbox.height + GAP


def words_on_data(fig):
    """Legends that lie on lines or points of their panel."""
    found = []
    for ax in fig.axes:
        legend = ax.get_legend()
        if legend is None:
            continue
        box = legend.get_window_extent()
        for line in ax.lines:
            if line.get_gid() == FURNITURE or not line.get_visible():
                continue
            points = line.get_transform().transform(np.column_stack([np.asarray(part, float) for part in line.get_data()]))
            if any(box.contains(*point) and ax.bbox.contains(*point) for point in points[np.isfinite(points).all(1)]):
                found.append(f"the legend lies on {line.get_label()!r}")
    return found


def nameless(fig):
    """Lowest panels of a column whose x axis has numbers on it, and nowhere a word for them, or a word and no numbers."""
    panels = [ax for ax in fig.axes if ax.axison and ax.get_label() != "<colorbar>" and ax.get_subplotspec() is not None]
    places = {ax: ax.get_subplotspec() for ax in panels}
    found = []
    for ax, place in places.items():
        below = [other for other in places.values() if other.rowspan.start > place.rowspan.start]
        lowest = not any(set(other.colspan) & set(place.colspan) for other in below)
        labels = [one for one in ax.get_xticklabels() if one.get_visible() and one.get_text()]
        words = any(re.search("[a-z]{2}", one.get_text().replace("mathdefault", "")) for one in labels)
        if lowest and not (ax.get_xlabel() or fig._supxlabel or words):
            found.append(f"no word along {ax.get_title()!r}")
        if lowest and ax.get_xlabel() and not labels and ax.xaxis.get_visible():
            found.append(f"no numbers along {ax.get_title()!r}")
    return found


def unexplained(fig):
    """Lines, bands, dots and hatches of panels for which no legend has an entry of their colour or form."""
    lines, patches, labels = [], [], []
    for legend in legends_of(fig):
        lines += legend.findobj(Line2D)
        patches += [*legend.findobj(Patch), *legend.findobj(PolyCollection), *legend.findobj(PathCollection)]
        labels += [text.get_text() for text in legend.texts]
    looks = {_rgb(line.get_color()) for line in lines} | {colour for patch in patches for colour in _faces(patch)}
    looks |= {colour for legend in legends_of(fig) for bars in legend.findobj(LineCollection) for colour in _edges(bars)}
    dashes = {_dashed(line) for line in lines if line.get_linestyle() not in ("None", "none", "")}
    hatches = {char for patch in patches for char in (patch.get_hatch() or "")}
    bands = any(word in label for label in labels for word in BANDS)
    bands |= any(word in text.get_text() for text, _ in texts_of(fig) for word in BANDS)
    hollow = {_rgb(line.get_markerfacecolor()) == _rgb("white") for line in lines if line.get_marker() not in ("None", "", None)}
    found = []
    for ax in fig.axes:
        if ax.get_label() == "<colorbar>" or not ax.axison:
            continue
        for line in ax.lines:
            if line.get_gid() == FURNITURE or not line.get_visible() or not np.isfinite(np.asarray(line.get_ydata(), float)).any():
                continue
            drawn = line.get_linestyle() not in ("None", "none", "")
            if _rgb(line.get_color()) not in looks and not (_is_grey(line.get_color()) and drawn and _dashed(line) in dashes):
                found.append(f"line of colour {line.get_color()}")
            elif drawn and _dashed(line) and _dashed(line) not in dashes:
                found.append(f"dashes {line.get_linestyle()} of {line.get_color()}")
            marked = line.get_marker() not in ("None", "", None)
            if marked and _rgb(line.get_markerfacecolor()) == _rgb("white") and True not in hollow:
                found.append("open markers")
        for artist in [*ax.collections, *ax.patches]:
            if artist.get_gid() == FURNITURE or not artist.get_visible() or isinstance(artist, ContourSet):
                continue
            if artist.get_hatch():
                if not set(artist.get_hatch()) & hatches and _drawn(artist):
                    found.append(f"hatch {artist.get_hatch()}")
            elif isinstance(artist, PolyCollection) and artist.get_array() is None and not bands:
                faces = _faces(artist)
                if _drawn(artist) and faces and not faces <= looks:
                    found.append("band")
            elif (
                isinstance(artist, PathCollection) and artist.get_array() is None and not (_edges(artist) | _faces(artist)) & looks
            ):
                found.append("dots")
        if any(isinstance(one, ErrorbarContainer) for one in ax.containers) and not bands:
            found.append("bars")
    return sorted(set(found))


def _drawn(artist):
    return not hasattr(artist, "get_paths") or any(len(path.vertices) for path in artist.get_paths())


def _rgb(colour):
    return tuple(np.round(to_rgba(colour)[:3], 2)) if not (isinstance(colour, str) and colour in ("none", "None")) else None


def _is_grey(colour):
    return np.ptp(to_rgba(colour)[:3]) < 0.02


def _faces(artist):
    faces = np.atleast_2d(artist.get_facecolor()) if np.size(artist.get_facecolor()) else np.zeros((0, 4))
    return {tuple(np.round(face[:3], 2)) for face in faces}


def _edges(artist):
    edges = np.atleast_2d(artist.get_edgecolor()) if np.size(artist.get_edgecolor()) else np.zeros((0, 4))
    return {tuple(np.round(edge[:3], 2)) for edge in edges}


def _dashed(line):
    """Whether a line is solid (0), dashed (1), dotted (2) or both (3)."""
    pattern = line._unscaled_dash_pattern[1]
    if not pattern:
        return 0
    return 2 if len(pattern) == 2 and pattern[0] <= 1.5 else 1 if len(pattern) == 2 else 3


def problems(fig):
    """All of it, as sentences; the figure is drawn for it."""
    fig.draw_without_rendering()
    canvas = [f"{name} leaves the canvas" for name in outside(fig)]
    legends = [f"no entry for {name}" for name in unexplained(fig)]
    return [*overlaps(fig), *canvas, *words_on_data(fig), *nameless(fig), *legends]
