"""Words broken into lines that fit the room which they have."""

import re
from collections.abc import Callable

from matplotlib.text import Text


def wrap(text: Text, room: float, balanced: bool = True) -> bool:
    """Break a text's lines at spaces so that none is wider than room (pixels); whether any was. Formulas stay as they are.

    balanced: lines as short as their number allows, so that no last word stands alone.
    """
    whole = text.get_text()
    renderer = text.figure.canvas.get_renderer()
    extent = lambda words: _extent(text, words, renderer)
    if "$" in whole or extent(whole) <= room:
        text.set_text(whole)
        return False
    lines: list[str] = []
    for line in whole.split("\n"):
        broken = _broken(line, room, extent)
        narrower = (_broken(line, part * room, extent) for part in (0.55, 0.65, 0.75, 0.85, 0.92)) if balanced else ()
        lines += next((other for other in narrower if len(other) == len(broken)), broken)
    text.set_text("\n".join(lines))
    return True


def _broken(line: str, room: float, extent: Callable[[str], float]) -> list[str]:
    lines = [""]
    for word in line.split(" "):
        # a word that is too long for a line is broken after its hyphens
        for i, part in enumerate(re.findall(r"[^-]+-?|-", word) if extent(word) > room else [word]):
            longer = f"{lines[-1]} {part}" if lines[-1] and i == 0 else f"{lines[-1]}{part}"
            if not lines[-1] or extent(longer) <= room:
                lines[-1] = longer
            else:
                lines.append(part)
    return lines


def _extent(text: Text, words: str, renderer) -> float:
    """Length of words along their line, in pixels."""
    text.set_text(words)
    box = text.get_window_extent(renderer)
    return box.height if round(text.get_rotation()) % 180 == 90 else box.width
