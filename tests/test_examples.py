"""Every public name has an example in its docstring, which is run; and pdoc makes pages of them without a warning.

An example may use what a reader has imported: `import jax`, `import numpy as np`, `import mtlsim as mtl`, in float64.
"""

import doctest
import inspect

import jax
import numpy as np
import pytest

import mtlsim as mtl
from mtlsim import cli
from mtlsim.core.registry import forget

FINDER = doctest.DocTestParser()


def example_of(text: str, name: str) -> doctest.DocTest:
    return FINDER.get_doctest(text, {"mtl": mtl, "jax": jax, "np": np}, name, None, None)


@pytest.mark.parametrize("name", mtl.__all__)
def test_an_example_prints_what_it_says(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    test = example_of(inspect.getdoc(getattr(mtl, name)), name)
    assert any(example.want for example in test.examples), f"the docstring of {name} needs an example"
    said = []
    result = doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    forget()
    assert result.failed == 0, "".join(said)


def test_a_wrong_example_fails():
    said = []
    assert doctest.DocTestRunner(verbose=False).run(example_of(">>> 1 + 1\n3\n", "planted"), out=said.append).failed == 1


def test_pages_are_made_without_a_warning(tmp_path, capsys):
    pytest.importorskip("pdoc", reason="pdoc makes the API pages: pip install 'mtlsim[dev]'")
    assert cli.main(["api", "--out", str(tmp_path / "api")]) == 0
    page = (tmp_path / "api" / "mtlsim.html").read_text()
    assert capsys.readouterr().out.strip().endswith("mtlsim.html")
    assert [name for name in mtl.__all__ if f'id="{name}"' not in page] == []
    assert page.count("&gt;&gt;&gt;") + page.count('<span class="gp">') > len(mtl.__all__)
    rooms = {path.stem for path in (tmp_path / "api" / "mtlsim").glob("*.html")}
    assert {"sharing", "solvers", "sweeps", "weighting"} <= rooms and all(f'href="mtlsim/{room}.html"' in page for room in rooms)
    assert "Every target is learned alone" in (tmp_path / "api" / "mtlsim" / "arrays.html").read_text()


def test_without_pdoc_one_sentence_says_what_to_install(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert cli.main(["api", "--out", str(tmp_path / "api")]) == 2
    assert "pdoc must be installed, but is missing; run pip install 'mtlsim[dev]'." in capsys.readouterr().err
