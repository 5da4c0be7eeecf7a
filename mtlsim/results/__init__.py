"""What a sweep is: its axes, its plan and its settings, what it keeps on disk, and what can be said of it."""
