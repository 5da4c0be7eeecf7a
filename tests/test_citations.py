"""Every key that a docstring names is in references.bib and the other way round; `cite` finds them."""

import re
from pathlib import Path

import pytest

import mtlsim
from mtlsim import citations, similarity
from mtlsim.citations import bibliography, cite, keys_in_docstrings
from mtlsim.samples import wishart

FIELDS = {"article": {"journal", "volume", "pages"}, "inproceedings": {"booktitle"}, "misc": {"eprint"}, "book": {"publisher"}}
FILES = sorted(Path(mtlsim.__file__).parent.rglob("*.py"))
REFERENCES = {key: entry for key, entry in bibliography().items() if key != "mtlsim"}


def test_every_key_named_is_listed_and_every_key_listed_is_named():
    named = {key for file in FILES for key in keys_in_docstrings(file.read_text())}
    assert named == set(REFERENCES)


def test_keys_are_found_in_every_kind_of_docstring_and_nowhere_else():
    source = '''"""Top [a2000b]."""
class A:
    """Class [c1999]."""
    def f(self):
        """Method [d2001efg], again [a2000b]."""
        return "[x1980no]"  # [y1980no]
async def g():
    """Function [h2020]; not [H2020], [abc], x[0] or [2020]."""
'''
    assert keys_in_docstrings(source) == ["a2000b", "c1999", "h2020", "d2001efg"]


@pytest.mark.parametrize("key", REFERENCES)
def test_entries_are_complete(key):
    entry = REFERENCES[key]
    kind = re.match(r"@(\w+)", entry)[1].lower()
    fields = set(re.findall(r"^\s*(\w+)\s*=\s*\{.+\},$", entry, re.MULTILINE))
    assert kind in FIELDS and {"author", "title", "year"} | FIELDS[kind] <= fields
    assert entry.count("{") == entry.count("}") and entry.isascii()
    year = re.search(r"year\s*=\s*\{(\d{4})\}", entry)[1]
    assert re.search(r"\d{4}", key)[0] == year


def test_no_entry_of_the_file_is_lost():
    text = Path(citations.__file__).with_name("references.bib").read_text()
    assert len(re.findall(r"^\s*@", text, re.MULTILINE)) == len(REFERENCES)


@pytest.mark.parametrize(
    ("thing", "keys"),
    [
        ("wu2020understanding", ["wu2020understanding"]),
        ("mtlsim", ["mtlsim"]),
        ("covariance_similarity", ["wu2020understanding"]),
        (mtlsim.LinearTasks, ["wu2020understanding"]),
        (mtlsim.LinearTasks(n_features=3), ["wu2020understanding"]),
        (mtlsim.principal_angles, ["bjorck1973numerical"]),
        (similarity, ["wu2020understanding", "bjorck1973numerical", "lin1991divergence"]),
        (wishart, ["bartlett1933"]),
        ("beyond-weights", ["hu2023revisiting", "kurin2022defense", "xin2022current"]),  # a statement, by its sources
        ("gradnorm", ["chen2018gradnorm"]),
        (mtlsim.draw_moments, ["bartlett1933"]),  # named by its module
        (None, ["mtlsim", *REFERENCES]),
    ],
)
def test_cite(thing, keys):
    assert re.findall(r"^@\w+\{([^,]+),", cite(thing), re.MULTILINE) == keys


def test_methods_are_cited_with_their_class():
    class Planted:
        def method(self):
            """By [bartlett1933]."""

    assert cite(Planted) == cite(Planted()) == cite(Planted.method) == cite("bartlett1933")


def test_project_entry_has_the_version():
    assert f"version = {{{mtlsim.__version__}}}" in cite("mtlsim")


@pytest.mark.parametrize(
    ("thing", "says"),
    [
        ("wu2020understandin", r"but is 'wu2020understandin'; did you mean 'wu2020understanding'\?"),
        ("Transferr", r"did you mean 'Transfer'\?"),
        ("zzzzzz", r"but is 'zzzzzz'; choices: mtlsim, "),
        (3, "but is int, whose docstrings name none"),
        (mtlsim.Status, "but is Status, whose docstrings name none"),
        (re, "but is re, whose docstrings name none"),
    ],
)
def test_unknown_things_are_refused(thing, says):
    with pytest.raises(ValueError, match=says):
        cite(thing)


def test_key_that_is_not_listed_is_refused():
    def planted():
        """By [nobody2000nothing]."""

    with pytest.raises(ValueError, match=r"lacks nobody2000nothing; add it"):
        cite(planted)
