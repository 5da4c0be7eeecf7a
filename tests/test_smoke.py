"""Every command that the texts and the benchmarks name runs: benchmarks in smoke mode, lines of texts against the real parser."""

import ast
import os
import re
import shlex
import subprocess
import sys

import pytest
import tyro
from conftest import QUICKLY
from documents import DOCUMENTS, ROOT, fences, inline

from mtlsim.cli import Command

BENCHMARKS = sorted((ROOT / "tests" / "benchmarks").glob("*.py"))
PLACEHOLDERS = {
    "DIR": "out",
    "NAME": "plateau",
    "CONFIG.toml": "map.toml",
    "RESULT.nc": "map.nc",
    "FILE.py": "own.py",
    "KIND": "cell",
}


def commands_of_texts() -> list[list[str]]:
    """The arguments of every `mtlsim ...` in blocks, tables and sentences of the texts, with one of each choice in brackets."""
    lines = [code for text in DOCUMENTS.values() for code in inline(text) if code.startswith("mtlsim ")]
    for block in fences("sh"):
        lines += [line[line.index("mtlsim ") :] for line in block.splitlines() if re.match(r"(\S*/)?mtlsim ", line.strip())]
        lines += re.findall(r"\.venv/bin/(mtlsim [^&\n]+)", block)
    found = []
    for line in lines:
        words = shlex.split(line.replace("$SLURM_ARRAY_TASK_ID", "1").replace("[", "").replace("]", ""), comments=True)[1:]
        found.append([PLACEHOLDERS.get(word, word) for word in words])
    return [list(words) for words in sorted({tuple(words) for words in found if words and words != ["--help"]})]


@pytest.mark.parametrize("words", commands_of_texts(), ids=" ".join)
def test_a_command_of_a_text_is_understood(words, capsys):
    tyro.cli(Command, prog="mtlsim", args=words)  # which exits where it does not know an option or misses an argument


def test_there_are_commands():
    assert len(commands_of_texts()) > 15


def named_files() -> set[str]:
    """Files under tests/benchmarks that a text or a benchmark tells to run."""
    texts = [*(" ".join(text.split()) for text in DOCUMENTS.values()), *(path.read_text() for path in BENCHMARKS)]
    return {name for text in texts for name in re.findall(r"python (?:-m pytest )?tests/benchmarks/(\w+\.py)", text)}


@pytest.mark.parametrize("path", [path for path in BENCHMARKS if path.name in named_files()], ids=lambda path: path.stem)
def test_a_benchmark_that_is_named_has_a_smoke_mode(path):
    modules = {node.module for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)}
    assert "smoke" in modules, f"{path.name} must shrink by `sized` of tests/benchmarks/smoke.py"


def test_every_named_file_exists():
    assert named_files() <= {path.name for path in BENCHMARKS} and "exact_cell.py" in named_files()


def smoke(*arguments: str) -> str:
    environment = {**os.environ, "MTLSIM_SMOKE": "1", "XLA_FLAGS": QUICKLY, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, cwd=ROOT, check=False)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    return run.stdout


def test_the_script_of_the_exact_cell_runs():
    said = smoke("tests/benchmarks/exact_cell.py")
    assert "over one batched eigh" in said and "no accelerator: only the CPU was measured" in said


def test_benchmarks_can_be_collected():
    """Loading them finds names that have gone; `MTLSIM_SMOKE=1 python -m pytest tests/benchmarks -o addopts=` also runs them."""
    assert "test_the_bench_of_all_schemes" in smoke("-m", "pytest", "tests/benchmarks", "-o", "addopts=", "--collect-only", "-q")
