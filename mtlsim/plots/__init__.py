"""Figures: a Dataset and an Axes in, an Axes or a figure out. Names are loaded on first use, and matplotlib with them."""

import importlib

_HOME_OF = {
    "gain_curve": "curves",
    "risk_curve": "curves",
    "finish_gain_axis": "curves",
    "points_on_lines": "curves",
    "transfer_map": "maps",
    "difference_map": "maps",
    "overlay": "predictions",
    "boundary": "predictions",
    "transfer_curve": "curves",
    "figure": "style",
    "Look": "style",
    "wearing": "style",
    "entitle": "sheet",
    "finish": "sheet",
    "save": "sheet",
    "legend": "legends",
}
_ROOMS = ("curves", "diagrams", "maps", "legends", "predictions", "sheet", "style", "verification")

__all__ = sorted(_HOME_OF)


def __getattr__(name: str):
    if name in _HOME_OF:
        return getattr(importlib.import_module(f"mtlsim.plots.{_HOME_OF[name]}"), name)
    if name in _ROOMS:
        return importlib.import_module(f"mtlsim.plots.{name}")
    raise AttributeError(f"module 'mtlsim.plots' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, *_ROOMS]
