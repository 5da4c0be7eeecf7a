"""Words broken into lines that fit the room which they have."""

import re

from matplotlib.text import Text


def wrap(text: Text, room: float) -> bool:
    """Break a text's lines at spaces so that none is wider than room (pixels); whether any was. Formulas stay as they are."""
    whole = text.get_text()
    renderer = text.figure.canvas.get_renderer()
    extent = lambda words: _extent(text, words, renderer)
    if "$" in whole or extent(whole) <= room:
        text.set_text(whole)
        return False
    lines = []
    for line in whole.split("\n"):
        lines.append("")
        for word in line.split(" "):
            # a word that is too long for a line is broken after its hyphens
            for i, part in enumerate(re.findall(r"[^-]+-?|-", word) if extent(word) > room else [word]):
                longer = f"{lines[-1]} {part}" if lines[-1] and i == 0 else f"{lines[-1]}{part}"
                if not lines[-1] or extent(longer) <= room:
                    lines[-1] = longer
                else:
                    lines.append(part)
    text.set_text("\n".join(lines))
    return True


def _extent(text: Text, words: str, renderer) -> float:
    """Length of words along their line, in pixels."""
    text.set_text(words)
    box = text.get_window_extent(renderer)
    return box.height if round(text.get_rotation()) % 180 == 90 else box.width
