"""What commands share: what they say of files that they wrote, and files of a user's own that they let in."""

from pathlib import Path


def report(files: list[Path]) -> int:
    """Print the files, one a line, and end well."""
    for file in files:
        print(file)
    return 0


def use_all(sources: tuple[Path, ...]) -> None:
    """Let the things of a user's files join ours."""
    from mtlsim.core.registry import use

    for source in sources:
        use(source)
