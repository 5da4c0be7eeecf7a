"""Drawings of architectures."""

from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from mtlsim.plots.style import SERIES, figure


def hard_sharing(n_tasks: int, n_features: int, rank: int):
    """The model of hard sharing: every task's rows go through one shared layer B (d x r) and a head A_i of its own."""
    height = 1.0 * n_tasks + 0.7
    fig, axes = figure(1, 6.6, max(2.4, 0.62 * height))
    ax = axes[0, 0]
    middle, size = (n_tasks - 1) / 2, max(5.0, 8.0 * min(1.0, fig.get_size_inches()[0] / 6.6))  # of letters, as boxes shrink
    shared = (3.2, middle)
    _box(ax, *shared, 1.3, 1.5, f"shared module\n$B$  ({n_features} x {rank})", "0.9", size, True)
    for i in range(n_tasks):
        y = float(n_tasks - 1 - i)
        colour = SERIES[i % len(SERIES)]
        role = "target" if i == n_tasks - 1 else f"source {i + 1}" if n_tasks > 2 else "source"
        index = i + 1
        _box(ax, 0.9, y, 1.25, 0.62, f"{role}\n$X_{index}$  ($m_{index}$ x {n_features})", colour, size)
        _box(ax, 5.3, y, 0.95, 0.62, f"head\n$A_{index}$  ({rank})", colour, size)
        _box(ax, 7.2, y, 1.25, 0.62, f"prediction\n$X_{index} B A_{index}$", colour, size)
        _arrow(ax, (1.57, y), (2.5, _towards(y, middle)), colour)
        _arrow(ax, (3.9, _towards(y, middle)), (4.78, y), colour)
        _arrow(ax, (5.82, y), (6.52, y), colour)
    ax.set_xlim(0.1, 8.0)
    ax.set_ylim(-0.75, n_tasks - 0.15)
    ax.text(4.05, -0.68, r"minimise  $\sum_i w_i\, |X_i B A_i - y_i|^2$  over $B$ and all $A_i$", ha="center", fontsize=1.1 * size)
    ax.axis("off")
    return fig


def _towards(y: float, middle: float) -> float:
    """Where a task's arrow meets the shared box: its own height, drawn in towards the middle."""
    return middle + 0.45 * max(-1.0, min(1.0, y - middle))


def _box(ax, x: float, y: float, width: float, height: float, text: str, colour: str, size: float, grey: bool = False) -> None:
    corner = (x - width / 2, y - height / 2)
    face = colour if grey else "white"
    edge = "black" if grey else colour
    ax.add_patch(FancyBboxPatch(corner, width, height, boxstyle="round,pad=0.03", facecolor=face, edgecolor=edge, linewidth=1.6))
    ax.text(x, y, text, ha="center", va="center", fontsize=size)


def _arrow(ax, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    ax.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=10, color=colour, linewidth=1.4))
