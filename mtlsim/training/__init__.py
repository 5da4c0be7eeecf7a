"""Gradient steps: one engine for networks, weighting schemes, alignment matrices and architectures."""
