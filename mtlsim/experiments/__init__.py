"""One file per figure: its cell, its grid, its picture, its claim. Every public module here defines `EXPERIMENT`."""
