"""Statements against simulation: random instances inside, on the edge of and outside their assumptions, and a verdict by a rule."""
