"""Cells: one draw of tasks and samples, learned in two ways, and what the second gains over the first."""
