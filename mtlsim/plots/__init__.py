"""Figures: a Dataset and an Axes in, an Axes or a figure out. Names are loaded on first use, and matplotlib with them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
