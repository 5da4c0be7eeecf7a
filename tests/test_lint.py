"""The code, notebooks included, keeps the rules of pyproject.toml and is set by the formatter; public signatures fit their use."""

import doctest
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mtlsim as mtl

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("command", [("check",), ("format", "--check")], ids=" ".join)
def test_ruff_has_nothing_to_say(command):
    done = subprocess.run([sys.executable, "-m", "ruff", *command, "."], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_examples_of_public_names_fit_their_signatures(tmp_path):
    """As an editor sees them; two wrong calls that are planted among them are found, and nothing else."""
    lines = ["import jax", "import numpy as np", "import mtlsim as mtl", ""]
    for name in mtl.__all__:
        found = doctest.DocTestParser().get_examples(inspect.getdoc(getattr(mtl, name)))
        code = [line for example in found for line in example.source.splitlines()]
        lines += [f"def {name}_() -> None:", *(f"    {line}" for line in [*code, "pass"]), ""]
    planted = ["mtl.Transfer(mtl.LinearTasks(), ranks=2)", "mtl.fit([], 3)"]
    (tmp_path / "examples.py").write_text("\n".join([*lines, *planted]))
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path), str(tmp_path / "examples.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found = [int(number) for number in re.findall(r"examples\.py:(\d+): error", done.stdout)]
    assert len(lines) > 300 and sorted(set(found)) == [len(lines) + 1, len(lines) + 2], done.stdout + done.stderr
