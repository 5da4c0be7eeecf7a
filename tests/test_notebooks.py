"""Every notebook runs from top to bottom in its fast mode; its last cell, which is folded, asserts its claim."""

import json
import re
from pathlib import Path

import pytest
from conftest import COMPILER
from jupyter_core.utils import run_sync

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])


AS_TESTS = """
%reset -f
from mtlsim.launcher import prepare
prepare()
import jax
from mtlsim.core import compiler as _compiler
from mtlsim.solvers import pencil as _pencil
jax.config.update("jax_disable_most_optimizations", {quickly})
_compiler.QUICKLY["xla_backend_optimization_level"], _pencil.UNROLL = 0 if {quickly} else 2, 1
"""  # a notebook knows nothing of the one before it, and compiles the programs that tests have compiled or will need
RUN_LONG = {"08_why_sharing_helps"}  # whose programs are made to run fast
QUIET = "ignore::DeprecationWarning", "ignore::RuntimeWarning"  # of the notebook client's own event loop


@pytest.fixture(scope="module")
def kernel():
    """One kernel for all: what one notebook has imported and compiled, the next need not."""
    from jupyter_client.manager import AsyncKernelManager

    manager = AsyncKernelManager(kernel_name="python3")
    yield manager
    if manager.has_kernel:
        run_sync(manager.shutdown_kernel)(now=True)
    manager.context.destroy()


@pytest.mark.filterwarnings(*QUIET)
@each
def test_a_notebook_runs_and_keeps_the_rules(path, kernel, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert "prepare()" in code[0] and "assert" in code[-1]
    assert not re.search(r"\b_\w+", "".join(code).replace("__", "")), "private names in a notebook"
    assert path.stat().st_size < 300_000
    monkeypatch.setenv("MTLSIM_FAST", "1")
    monkeypatch.setenv("XLA_FLAGS", f"{COMPILER} --xla_force_host_platform_device_count=1")
    notebook.cells.insert(0, nbformat.v4.new_code_cell(AS_TESTS.format(quickly=path.stem not in RUN_LONG)))
    client = NotebookClient(notebook, km=kernel, timeout=240)
    try:
        client.execute()
    finally:
        client.kc.stop_channels()


@each
def test_a_notebook_has_exercises_and_asserts_out_of_sight(path):
    """Answers are folded; the one cell with asserts is the last, folded too, and the text before it says what it checks."""
    cells = json.loads(path.read_text())["cells"]
    text = ["".join(cell["source"]) for cell in cells]
    assert [i for i, cell in enumerate(cells) if cell["cell_type"] == "code" and "assert" in text[i]] == [len(cells) - 1]
    assert cells[-1]["metadata"]["jupyter"]["source_hidden"] and "hide-input" in cells[-1]["metadata"]["tags"]
    assert not cells[-1]["outputs"] and "## What is checked\n\n" in text[-2] and "It checks " in text[-2]
    folded = re.search(r"## Exercises\n.*<details><summary>Answers</summary>\n\n(.*?)\n\n</details>", text[-2], re.DOTALL)
    assert folded and len(folded[1]) > 200
    assert sum(bool(cell.get("outputs")) for cell in cells) >= 4  # they are there for those who only read


@each
def test_links_of_a_notebook_lead_somewhere(path):
    text = "".join("".join(cell["source"]) for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "markdown")
    assert all((path.parent / link).exists() for link in re.findall(r"\]\((\w+\.ipynb)\)", text))


def test_there_are_notebooks():
    assert len(NOTEBOOKS) > 10
