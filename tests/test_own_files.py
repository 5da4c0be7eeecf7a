"""A user's own statement, cell, architecture, scheme and figure from a file; and what is wrong in one sentence."""

import json

import jax
import numpy as np
import pytest
import xarray as xr
from conftest import close

import mtlsim as mtl
from mtlsim import cli
from mtlsim.core.registry import file_of, forget, own_thing, use
from mtlsim.results.dataset import load
from mtlsim.results.grid import Axis, Grid
from mtlsim.sharing import find_sharing, sharing_names
from mtlsim.theory import find_statement, statement_names
from mtlsim.verification.binding import _where, as_text
from mtlsim.verification.conformance import check_file
from mtlsim.verification.counterexample import load_counterexample, search_counterexample
from mtlsim.weighting import find_scheme

ONE = 'cosine = 0.5 if place == "outside" else 1.0'


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder with one new file of every kind, as `mtlsim new` writes them."""
    monkeypatch.chdir(tmp_path)
    for kind in ("statement", "cell", "sharing", "scheme", "experiment"):
        assert cli.main(["new", kind, f"own-{kind}"]) == 0
    yield tmp_path
    forget()


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_what_is_new_runs_everywhere(own, capsys):
    assert check_file(own) == [] and cli.main(["check", "."]) == 0
    assert set(use(own)) == {"own-statement", "own-sharing", "own-scheme", "own-experiment"}
    assert "own-statement" in statement_names() and "own-sharing" in sharing_names()
    capsys.readouterr()
    assert cli.main(["list", "--from", "."]) == 0
    listed = capsys.readouterr().out
    assert all(f"own-{kind}" in listed for kind in ("statement", "sharing", "experiment"))
    (finding,) = mtl.verify(["own_statement.py"], own / "report", fast=True)
    assert finding.verdict == "confirmed"
    (entry,) = json.loads((own / "report" / "report.json").read_text())
    assert entry["file"]["text"] == (own / "own_statement.py").read_text() and len(entry["file"]["sha256"]) == 64
    tasks = mtl.LinearTasks(4, (20, 12))
    theirs, ours = mtl.Transfer(tasks, sharing="own_sharing.py"), mtl.Transfer(tasks, sharing=find_sharing("own-sharing")())
    close(theirs(key=jax.random.key(0)).gain, np.asarray(ours(key=jax.random.key(0)).gain))
    assert theirs.route == "own-sharing"
    weights = find_scheme("own_scheme.py")()
    assert np.isfinite(mtl.Weighting(tasks, "own-scheme")(key=jax.random.key(0)).gain) and weights is not None


def test_a_cell_of_ones_own_in_a_toml_file(own):
    text = '[cell]\nkind = "own_cell.py:OwnCell"\nnoise = 0.5\n[grid]\ncosine = [0.0, 1.0]\n[sweep]\nn_seeds = 20\n'
    (own / "map.toml").write_text(text)
    assert cli.main(["sweep", "map.toml", "--quiet"]) == 0
    with xr.open_dataset(own / "map.nc", engine="h5netcdf") as data:
        settings = json.loads(data.attrs["settings"])
        gains = data.gain.values
    alone = mtl.sweep(own_thing("own_cell.py:OwnCell")(noise=0.5), {"cosine": [0.0, 1.0]}, 20, jax.random.key(0), progress=False)
    close(gains, alone.gain.values)
    assert settings["cell"]["text"] == (own / "own_cell.py").read_text()  # so that the map can be made again
    edit(own / "own_cell.py", "Its fields are", "Its fields ARE")
    assert cli.main(["sweep", "map.toml", "--quiet"]) == 2  # another text is another sweep
    (own / "other").mkdir()
    (own / "other" / "b.toml").write_text(text.replace("own_cell.py", "beside.py"))
    (own / "other" / "beside.py").write_text((own / "own_cell.py").read_text())
    assert cli.main(["sweep", "other/b.toml", "--quiet"]) == 0  # found beside the TOML file


SCHEMES = """
[tasks]
n_features = 3
n_samples = [12, 8]
[cell]
kind = "weighting"
training = { n_steps = 4 }
[grid]
scheme = ["equal", "own_scheme.py"]
[sweep]
n_seeds = 2
"""


def test_a_scheme_of_ones_own_by_its_file_and_by_its_name(own, capsys):
    (own / "s.toml").write_text(SCHEMES)
    (own / "named.toml").write_text(SCHEMES.replace("own_scheme.py", "own-scheme"))
    assert cli.main(["sweep", "s.toml", "--quiet"]) == 0
    first = load("s.nc")
    files = json.loads(first.attrs["settings"])["files"]
    assert list(files) == ["own_scheme.py"] and files["own_scheme.py"]["text"] == (own / "own_scheme.py").read_text()
    assert cli.main(["sweep", "named.toml", "--from", ".", "--quiet"]) == 0
    again = load("named.nc")
    assert json.loads(again.attrs["settings"])["files"] == files
    np.testing.assert_array_equal(again.gain, first.gain)
    edit(own / "own_scheme.py", "signals.losses / ", "signals.losses**2 / ")
    capsys.readouterr()
    assert cli.main(["sweep", "s.toml"]) == 2 and "files.own_scheme.py.sha256 is" in capsys.readouterr().err


LAW = """
import jax


def law(key, n_rows, n_features):
    return jax.random.rademacher(key, (n_rows, n_features)).astype(float)
"""


def test_a_law_of_rows_of_ones_own(own):
    (own / "own_rows.py").write_text(LAW)
    tasks = mtl.LinearTasks(3, (12, 8), rows="own_rows.py:law")
    rows, _ = mtl.draw_data(tasks.draw(key=jax.random.key(0)), (12, 8), key=jax.random.key(1))
    assert rows.X.shape == (12, 3)
    cell = mtl.Transfer(tasks, sharing="pooled")
    run = lambda *path: mtl.sweep(cell, {"tasks.noise": [0.5, 1.0]}, 4, jax.random.key(0), *path, progress=False)
    first = run(own / "a.nc")
    assert json.loads(first.attrs["settings"])["files"]["own_rows.py"]["text"] == LAW
    edit(own / "own_rows.py", "return jax.random.rademacher(key", "return jax.random.rademacher(jax.random.fold_in(key, 1)")
    assert not np.isclose(first.gain, run().gain).any()  # what was compiled of the old text is not used again
    with pytest.raises(ValueError, match=r"files.own_rows.py.sha256 is"):
        run(own / "a.nc")
    for old, new, sentence in (
        ("return jax", "return 3 * jax", "law of mean 0 and covariance I, but is one .* off in the mean and 8 in the covariance"),
        ("(n_rows, n_features))", "(n_features, n_rows))", r"law that answers with shape \(4096, 2\)"),
        ("def law", "law = 3\n\n\ndef no_law", "a function .*, but is own_rows.py:law, which is none"),
    ):
        edit(own / "own_rows.py", old, new)
        with pytest.raises(ValueError, match=sentence):
            mtl.LinearTasks(3, (12, 8), rows="own_rows.py:law")


@pytest.mark.parametrize("words", [["estimate", "s.toml"], ["explain-cell", "s.toml"], ["counterexample", "own-statement"]])
def test_files_are_named_to_every_command_that_uses_them(own, capsys, words):
    (own / "s.toml").write_text('[tasks]\nn_features = 3\nn_samples = [12, 8]\n[cell]\nsharing = "own-sharing"\n')
    words += ["--over", "tasks.nothing=1:2"] if words[0] == "counterexample" else []
    assert cli.main(words) == 2 and "must be one of the known names, but is 'own-s" in capsys.readouterr().err
    cli.main([*words, "--from", "."])
    said = capsys.readouterr()
    assert "known names" not in said.err and (words[0] != "counterexample" or "'tasks.nothing'" in said.err)


def test_files_in_any_folder_find_their_neighbours(own):
    folder = own / "dir.py.d"
    folder.mkdir()
    (folder / "beside.py").write_text("NAME = 'neighbour'\n")
    text = (own / "own_statement.py").read_text().replace('name="own-statement"', "name=NAME")
    (folder / "mine.py").write_text("from beside import NAME\n" + text)
    assert find_statement("dir.py.d/mine.py:STATEMENT").name == "neighbour"


def test_a_changed_file_is_read_again(own):
    first = find_statement("own_statement.py")
    sha256 = file_of(first).sha256
    edit(own / "own_statement.py", "Two tasks of one parameter", "TWO TASKS")
    second = find_statement("own_statement.py")
    assert first.claim != second.claim and file_of(second).sha256 != sha256
    assert find_statement("own-statement") is second and file_of(first) is None
    edit(own / "own_statement.py", "STATEMENT = Statement(", "STATEMENT = 1 / 0 or Statement(")
    with pytest.raises(ValueError, match="file must run, but own_statement.py does not"):
        find_statement("own_statement.py")
    edit(own / "own_statement.py", "1 / 0 or ", "")
    assert find_statement("own_statement.py").claim == second.claim and "own-statement" in statement_names()


def test_a_counterexample_finds_the_assumption_that_is_missing(own, capsys):
    edit(own / "own_statement.py", '        "equal noise": 1e-9 - jnp.abs(tasks.noise[0] - tasks.noise[-1]),\n', "")
    line = "counterexample own_statement.py --over tasks.noise[0]=0.1:10 --scan 6 --starts 2 --out worst.json"
    words = line.split()
    assert cli.main(words) == 1 and "violates own-statement" in capsys.readouterr().out
    forget()
    with pytest.raises(ValueError, match=r"of a file that a result alone does not run; mtlsim.use\("):
        load_counterexample(own / "worst.json").instance  # noqa: B018
    assert use("own_statement.py") == ["own-statement"]
    back = load_counterexample(own / "worst.json")
    assert float(back.instance.tasks.noise[0]) == pytest.approx(back.parameters["tasks.noise[0]"]) and back.z > 5
    none = search_counterexample(find_statement("own_statement.py"), {"tasks.parameter_norm": (0.5, 2.0)}, n_scan=4, n_starts=2)
    assert none.z < 5


def test_statements_are_found_for_a_cell(own, capsys):
    tasks = mtl.LinearTasks(6, (30, 20), cosine=1.0, relation="same")
    found = {one.statement: one for one in mtl.statements_for(mtl.Transfer(tasks, sharing="pooled"))}
    assert found["data-amplification"].applies and found["pooled-sign"].applies and not found["plateau"].applies
    assert found["plateau"].why == "cell must be of sharing 'hard', but is 'pooled'"
    assert "it assumes fewer rows in all" in found["pooled-overparameterised"].why
    apart = mtl.statements_for(
        mtl.Transfer(mtl.LinearTasks(6, (30, 20), cosine=0.5), sharing="pooled"), names=["data-amplification"]
    )
    assert [one.applies for one in apart] == [False] and "it assumes" in apart[0].why
    (own / "cell.toml").write_text("[tasks]\nn_samples = [30, 20]\nn_features = 6\n[cell]\nsharing = 'pooled'\n")
    assert cli.main(["explain-cell", "cell.toml"]) == 0
    *shown, count, others = capsys.readouterr().out.splitlines()
    assert "statements apply" in count and "on other kinds of cells (--all says why)" in others
    assert shown and not [line for line in shown if line.startswith("does not")]
    assert cli.main(["explain-cell", "cell.toml", "--all"]) == 0 and "cell must be an Adapted for" in capsys.readouterr().out


def test_statements_say_in_which_cells_of_a_grid_they_apply():
    cell = mtl.Transfer(mtl.LinearTasks(6, (30, 20), cosine=0.5), sharing="pooled")
    grid = {"tasks.cosine": [0.5, 1.0], "tasks.n_samples[1]": [10, 20, 40], "sharing": ["pooled", "hard"]}
    names = ["data-amplification", "pooled-least-squares", "plateau"]
    found = {one.statement: one for one in mtl.statements_for(cell, names=names, grid=grid)}
    same = found["data-amplification"]  # which needs a cosine of 1 and more target rows than features + 1
    assert same.applies and same.share == pytest.approx(3 / 12)
    assert same.where == "in 3 of 12 cells: sharing = pooled, tasks.cosine = 1"
    assert (
        found["pooled-least-squares"].share == 0.5 and found["pooled-least-squares"].where == "in 6 of 12 cells: sharing = pooled"
    )
    assert not found["plateau"].applies and "it assumes a source without end of rows (margin at most" in found["plateau"].why
    many = mtl.statements_for(cell, names=names[1:2], grid={"tasks.noise": np.linspace(0.5, 1, 300)})
    assert many[0].share == 1 and "cells looked at, of 300" in many[0].where
    line = Axis("x", (0.1, 0.5, 0.9), False)
    where = _where(np.array([True, False, True]), Grid((line,)), Grid((line,)))
    assert where == "in 2 of 3 cells: x from 0.1 to 0.9 (at 2 of 3 values)"
    assert as_text(many).endswith("1 of 1 statement applies")


@pytest.mark.parametrize(
    ("kind", "old", "new", "sentence"),
    [
        ("statement", ") -> Transfer:", "):", "instance must say what it returns"),
        ("statement", '"risk_multi": tasks', '"risk": tasks', "predict and measure must give the same names"),
        (
            "statement",
            'cosine = 0.5 if place == "outside" else 1.0',
            "cosine = 0.5",
            "an instance inside must satisfy every assumption",
        ),
        (
            "statement",
            'cosine = 0.5 if place == "outside" else 1.0',
            "cosine = 1.0",
            "an instance outside must violate an assumption",
        ),
        (
            "statement",
            'return {"risk_multi": ',
            '{"risk_multi": ',
            "predict must return a dict, from names to numbers, but returns nothing",
        ),
        ("statement", "def assume(cell, key)", "def assume(cell)", "assume must take cell and key: def assume(cell, key):"),
        ("statement", "STATEMENT = Statement(", "STATEMENT = dict(", "it must be a Statement, but is a dict"),
        ("statement", "n, d = jnp", "n, d = jnq", "it raises NameError in line 32: name 'jnq' is not defined"),
        ("statement", "n, d = jnp", "n, d = float(tasks.noise[0]) + jnp", "in place of np.f and float"),
        (
            "sharing",
            "self.size * jnp.eye(n_tasks)",
            "jnp.arange(n_tasks)[None] * jnp.eye(n_tasks)",
            "tasks in another order must have",
        ),
        ("sharing", "OwnSharing(MixedSharing)", "OwnSharing", "it must be a class made of mtlsim.sharing.Sharing"),
        ("scheme", "signals.losses /", "-signals.losses /", "weights of two tasks must be two numbers >= 0"),
        ("cell", "cosine: Array | float = 0.8", "cosine: Array | float", "every field must have a default"),
    ],
)
def test_what_is_wrong_in_a_file_is_one_sentence(own, kind, old, new, sentence):
    edit(own / f"own_{kind}.py", old, new)
    said = check_file(own / f"own_{kind}.py")
    assert any(sentence in one for one in said), said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["verify", "none.py"], "file must be a .py file that is there, but is none.py"),
        (["verify", "broken.py"], "file must run, but broken.py does not in line 2 (ZeroDivisionError"),
        (["verify", "own_cell.py"], "statement must be a file with a STATEMENT or a MECHANISM, but is own_cell.py without"),
        (["verify", "own_statement.py:STATEMNT"], "did you mean 'STATEMENT'"),
        (["figure", "own_cell.py"], "experiment must be a file with one EXPERIMENT, but is own_cell.py without"),
        (["list", "--from", "nowhere"], "from must be a .py file, or a folder of them, but is nowhere"),
        (["list", "--from", "own_cell.py"], "from must be a file or folder with something to use, but is own_cell.py without any"),
        (["new", "cell", "own-cell"], "name must be that of a new file, but is that of own_cell.py"),
        (["new", "cell", "none"], "and no word of Python"),
        (["verify", "ours.py"], "STATEMENT's name must be a new one, but is 'plateau' in ours.py, one of mtlsim's"),
        (["verify", "leaves.py"], "file must run, but leaves.py does not in line 1 (SystemExit"),
        (["verify", "number.py"], "names must be statements or mechanisms, but is number.py with an int"),
        (["counterexample", "number.py", "--over", "tasks.noise=1:2"], "statement must be a Statement, but is an int"),
        (["verify", "several.py"], "STATEMENTS must be a tuple, but is an int in several.py"),
        (["check", "empty"], "files must be .py files, or folders of them, but is empty"),
        (["new", "cell", "1 + 1"], "name must be made of letters, digits and hyphens, and no word of Python"),
        (["sweep", "lacks.toml"], "[cell] must be made of fields of OwnCell, but is 'angle'"),
        (["sweep", "has.toml"], "[tasks] must be left out for OwnCell, which has no field tasks, but is given; drop it."),
        (["sweep", "named.toml"], "scheme must be one of the known names, but is 'mine'"),
        (["sweep", "named.toml"], "given; or a file of your own, such as my_scheme.py."),
        (["counterexample", "own_statement.py", "--over", "tasks.noise"], "over must be NAME=LOW:HIGH"),
    ],
)
def test_bad_words_are_one_sentence(own, words, sentence, capsys):
    (own / "broken.py").write_text("x = 1\ny = x / 0\n")
    (own / "leaves.py").write_text("raise SystemExit(3)\n")
    (own / "number.py").write_text("STATEMENT = 3\n")
    (own / "several.py").write_text("STATEMENTS = 3\n")
    (own / "ours.py").write_text((own / "own_statement.py").read_text().replace('name="own-statement"', 'name="plateau"'))
    (own / "empty").mkdir()
    (own / "lacks.toml").write_text('[cell]\nkind = "own_cell.py:OwnCell"\nangle = 3\n')
    (own / "has.toml").write_text('[tasks]\nnoise = 1.0\n[cell]\nkind = "own_cell.py:OwnCell"\n')
    (own / "named.toml").write_text('[cell]\nscheme = "mine"\n[grid]\n"tasks.noise" = [1.0]\n')
    assert cli.main(words) == 2
    assert sentence in capsys.readouterr().err


def test_an_installed_package_brings_its_statements(own, monkeypatch):
    """A module that a package names as an entry point joins by itself; one that is broken is said, and the rest goes on."""
    info = own / "some_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mtlsim]\nmine = own_statement\n")
    monkeypatch.syspath_prepend(own)
    forget()
    assert "own-statement" in statement_names()
    assert file_of(find_statement("own-statement")).text == (own / "own_statement.py").read_text()
    (info / "entry_points.txt").write_text("[mtlsim]\nmine = no_module\nother = own_statement\n")
    forget()
    with pytest.warns(RuntimeWarning, match="no_module of the package some-package does not join mtlsim"):
        assert "own-statement" in statement_names()
    forget()
