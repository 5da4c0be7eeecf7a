"""What a command says when it has written files."""

from pathlib import Path


def report(files: list[Path]) -> int:
    """Print the files, one a line, and end well."""
    for file in files:
        print(file)
    return 0
