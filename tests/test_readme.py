"""What the README and the texts that it leads to print and promise is what happens."""

import ast
import os
import re
import subprocess
import sys

import pytest
from conftest import COMPILER
from documents import DOCUMENTS, PAGES, README, ROOT, fences, inline

LONGEST = 200  # lines: a reader's first ten minutes


def block_after(comment: str) -> str:
    """The fenced block that follows an HTML comment."""
    match = re.search(rf"<!-- {comment} -->\n+```\w*\n(.*?)```", README, re.DOTALL)
    assert match, comment
    return match[1]


def numbers_rounded(text: str) -> str:
    """Numbers with four digits or more to two significant ones: releases of jax differ in the last digits."""
    return re.sub(r"\d+\.\d{2,}", lambda match: f"{float(match[0]):.2g}", text)


def test_the_readme_is_short():
    assert len(README.splitlines()) <= LONGEST


def test_the_example_prints_what_the_readme_says(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "JAX_ENABLE_X64"} | {"XLA_FLAGS": COMPILER}
    program = [sys.executable, "-c", block_after("example")]
    run = subprocess.run(program, capture_output=True, text=True, env=environment, cwd=tmp_path, check=True)
    assert numbers_rounded(run.stdout).split() == numbers_rounded(block_after("example output")).split()
    assert (tmp_path / "map.png").stat().st_size > 10_000


def test_every_command_and_figure_named_exists():
    from mtlsim.cli import Command
    from mtlsim.experiments._experiment import experiment_names

    known = {argument.__metadata__[0].name for argument in Command.__args__}
    codes = [code for text in DOCUMENTS.values() for code in inline(text)]
    assert {name for code in codes for name in re.findall(r"^mtlsim (\w[\w-]*)", code)} <= known
    figures = re.search(r"# The figures\n(.*)", PAGES[ROOT / "notebooks" / "README.md"], re.DOTALL)[1]
    assert sorted(re.findall(r"^\| `([\w-]+)`", figures, re.MULTILINE)) == experiment_names()


def test_every_command_has_a_door_in_the_readme():
    from mtlsim.cli import Command

    told = set(re.findall(r"`mtlsim (\w[\w-]*)", README)) | set(re.findall(r"^mtlsim (\w[\w-]*)", README, re.MULTILINE))
    assert {argument.__metadata__[0].name for argument in Command.__args__} <= told


def test_every_public_name_used_exists():
    import mtlsim

    names = {name for text in DOCUMENTS.values() for name in re.findall(r"\bmtl\.(\w+)", text)}
    assert len(names) > 30 and all(hasattr(mtlsim, name) for name in names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    links = [link for link in re.findall(r"\]\(([^)]+)\)", PAGES[page]) if "://" not in link]
    assert all((page.parent / link).exists() for link in links), links
    assert links or page.parent.name == "benchmarks"


def test_every_notebook_is_listed():
    text = PAGES[ROOT / "notebooks" / "README.md"]
    notebooks = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
    assert sorted(set(re.findall(r"\((\w+\.ipynb)\)", text))) == notebooks


def test_python_in_the_texts_is_python_that_finds_its_imports():
    blocks = fences("python")
    assert len(blocks) > 5
    for block in blocks:
        lines = [node for node in ast.parse(block).body if isinstance(node, (ast.Import, ast.ImportFrom))]
        exec(compile(ast.Module(lines, []), "<text>", "exec"), {})


def test_every_path_in_the_texts_exists():
    named = {path for text in DOCUMENTS.values() for path in re.findall(r"`((?:mtlsim|tests|notebooks)/[\w/.]+)`", text)}
    assert len(named) > 8 and [path for path in named if not (ROOT / path).exists()] == []


def test_the_toml_of_the_readme_builds(tmp_path):
    from mtlsim.configuration import build, read

    text = re.search(r"```toml\n(.*?)```", README, re.DOTALL)[1]
    (tmp_path / "a.toml").write_text(text)
    cell, grid = build(read(tmp_path / "a.toml"))
    assert cell.tasks.n_features == 40 and len(grid["tasks.n_samples[0]"]) == 13
