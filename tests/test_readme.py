"""What the README prints and promises is what happens."""

import os
import re
import subprocess
import sys
from pathlib import Path

from conftest import COMPILER

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def block_after(comment: str) -> str:
    """The fenced block that follows an HTML comment."""
    match = re.search(rf"<!-- {comment} -->\n+```\w*\n(.*?)```", README, re.DOTALL)
    assert match, comment
    return match[1]


def numbers_rounded(text: str) -> str:
    """Numbers with four digits or more to two significant ones: releases of jax differ in the last digits."""
    return re.sub(r"\d+\.\d{2,}", lambda match: f"{float(match[0]):.2g}", text)


def test_the_example_prints_what_the_readme_says(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "JAX_ENABLE_X64"} | {"XLA_FLAGS": COMPILER}
    program = [sys.executable, "-c", block_after("example")]
    run = subprocess.run(program, capture_output=True, text=True, env=environment, cwd=tmp_path, check=True)
    assert numbers_rounded(run.stdout).split() == numbers_rounded(block_after("example output")).split()


def test_every_command_and_figure_named_exists():
    from mtlsim.cli import Command
    from mtlsim.experiments._experiment import experiment_names

    known = {argument.__metadata__[0].name for argument in Command.__args__}
    assert set(re.findall(r"`mtlsim (\w+)", README)) <= known
    figures = re.search(r"## The figures\n(.*?)\n## ", README, re.DOTALL)[1]
    assert sorted(re.findall(r"^\| `([\w-]+)`", figures, re.MULTILINE)) == experiment_names()


def test_every_public_name_used_exists():
    import mtlsim

    names = set(re.findall(r"\bmtl\.(\w+)", README))
    assert names and all(hasattr(mtlsim, name) for name in names)
    assert (ROOT / re.search(r"!\[.*?\]\((.*?)\)", README)[1]).exists()


def test_the_toml_of_the_readme_builds(tmp_path):
    from mtlsim.configuration import build, read

    text = re.search(r"```toml\n(.*?)```", README, re.DOTALL)[1]
    (tmp_path / "a.toml").write_text(text)
    cell, grid = build(read(tmp_path / "a.toml"))
    assert cell.tasks.n_features == 40 and len(grid["tasks.n_samples[0]"]) == 13
