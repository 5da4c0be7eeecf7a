"""Every notebook runs from top to bottom in its fast mode; its last cell asserts its claim."""

import os
import re
from pathlib import Path

import pytest
from conftest import QUICKLY

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")  # of the notebook client's own event loop
@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_a_notebook_runs_and_keeps_the_rules(path, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert "prepare()" in code[0] and "assert" in code[-1]
    assert not re.search(r"\b_\w+", "".join(code).replace("__", "")), "private names in a notebook"
    assert path.stat().st_size < 300_000
    monkeypatch.setenv("MTLSIM_FAST", "1")
    monkeypatch.setenv("XLA_FLAGS", QUICKLY)  # compiles faster; devices are set by prepare()
    assert os.environ["MTLSIM_FAST"]
    NotebookClient(notebook, timeout=240, kernel_name="python3").execute()


def test_there_are_notebooks():
    assert NOTEBOOKS
