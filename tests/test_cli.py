"""The command line as a user types it: figures with their data, a sweep from TOML, mistakes answered in one sentence."""

import functools
import os
import subprocess
import sys
import time

import jax
import matplotlib
import numpy as np
import pytest
from layout import problems

import mtlsim as mtl
from mtlsim import cli
from mtlsim.configuration import CELLS, TASKLESS, build, read
from mtlsim.core.catalogue import claims_of, first_lines, kinds_of_cells
from mtlsim.experiments import _experiment
from mtlsim.experiments._experiment import Options, experiment_names, find_experiment, make_figure, picture
from mtlsim.experiments.dimension import STATEMENTS
from mtlsim.mechanisms import find_mechanism, mechanism_names
from mtlsim.plots import sheet
from mtlsim.results.dataset import load
from mtlsim.results.grid import at_point
from mtlsim.results.outputs import outputs
from mtlsim.sharing import describe_sharing, sharing_names
from mtlsim.sweeps import execute, predict
from mtlsim.theory import find_statement, statement_names
from mtlsim.weighting import describe_scheme, scheme_names

matplotlib.use("Agg")
TOML = """
[tasks]
n_features = 5
n_samples = [30, 15]

[tasks.design]
kind = "isotropic"

[grid]
"tasks.noise" = [0.5, 2.0]
"tasks.n_samples[0]" = { from = 10, to = 1000, count = 3, spacing = "geometric", whole = true }

[sweep]
n_seeds = 4
"""


def call(*arguments):
    return cli.main([str(argument) for argument in arguments])


def seconds_of(*arguments):
    """Least of four runs of the interpreter (the first one compiles the modules), and what the last one printed."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    times = []
    for _ in range(4):
        start = time.perf_counter()
        run = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True, env=environment)
        times.append(time.perf_counter() - start)
    return min(times), run.stdout


@pytest.mark.parametrize(("word", "limit"), [("--help", 0.3), ("list", 0.5)])
def test_help_and_lists_answer_at_once(word, limit):
    """Under 0.3 and 0.5 s, or on a loaded machine within some times of what importing the option parser alone takes there."""
    ours, bare = np.inf, 0.0
    for _ in range(5):
        seconds, text = seconds_of("-m", "mtlsim", word)
        assert "figure" in text and "doctor" in text if word == "--help" else "plateau" in text and "cross-stitch" in text
        ours = min(ours, seconds)
        bare = max(bare, seconds_of("-c", "import tyro")[0])
        if ours < limit * max(1, bare / 0.12):
            return
    raise AssertionError(f"{ours:.2f} s for {word}, {bare:.2f} s for the option parser")


def test_a_list_reads_from_the_files_what_the_registry_holds():
    held = {
        "EXPERIMENT": {name: find_experiment(name).claim for name in experiment_names()},
        "STATEMENT": {name: find_statement(name).claim for name in statement_names()},
        "MECHANISM": {name: find_mechanism(name).claim for name in mechanism_names()},
    }
    for kind, claims in held.items():
        read = claims_of(kind)
        assert list(read) == list(claims)
        assert all(text.split(" [")[0] == claims[name] for name, text in read.items())
    assert first_lines("sharing") == {name: describe_sharing(name) for name in sharing_names()}
    assert first_lines("weighting") == {name: describe_scheme(name) for name in scheme_names()}
    assert kinds_of_cells().keys() == CELLS.keys() | TASKLESS.keys() and "descriptors" in kinds_of_cells()["zero-shot"]
    assert claims_of("STATEMENT")["plateau"].endswith(" [Transfer, hard]")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["figure", "transfer-mop"], "did you mean 'transfer-map'"),
        (["figure", "capacity", "--x", "noise"], "x, y and panels must be left out for capacity"),
        (["figure", "transfer-map", "--x", "nois"], "did you mean 'noise'"),
        (["figure", "sample-size", "--only", "tasks.noise=25"], "the nearest is 30; choices: 1, 30, 100"),
        (["figure", "transfer-map", "--only", "alignment=1"], "is tasks.alignment (points lie along it); choose among tasks.noise"),
        (["figure", "architecture", "--fast", "--style", "absent.mplstyle"], "style must be a matplotlib style sheet"),
        (["figure", "transfer-map", "--x", "noise", "--y", "noise"], "must be different parameters"),
        (["plot", "absent.nc"], "does not exist"),
        (["sweep", "absent.toml"], "cannot be read"),
        (["sweep", "empty.toml"], "config must be a TOML file of a sweep, but is empty.toml, which says nothing"),
        (["estimate", "empty.toml"], "config must be a TOML file of a sweep, but is empty.toml, which says nothing"),
        (["explain-cell", "empty.toml"], "config must be a TOML file of a sweep, but is empty.toml, which says nothing"),
        (
            ["figure", "architecture", "--out", "a.png"],
            "out must be a folder, but is a.png, which is not there and looks like a file",
        ),
        (["compare", "a.npz", "b.npz", "--out", "empty.toml/a.nc"], "out must be in a folder that can be written"),
        (["new", "statement", "plateau"], "name must be other than ours, but is 'plateau'; call it my-plateau"),
        (["new", "cell", "Transfer"], "name must be other than ours, but is 'Transfer'; call it my-transfer"),
        (["new", "scheme", "equal"], "name must be other than ours"),
        (["merge", "absent.nc"], "no readable manifest.json"),
        (["cite", "wu2020understandin"], "wu2020understanding"),
    ],
)
def test_mistakes_exit_with_2_and_one_sentence(arguments, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.toml").write_text("# nothing\n")
    assert call(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("mtlsim: ") and error.count("\n") == 1 and sentence in error


def test_a_sweep_from_toml_with_overrides_shards_and_merge(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(TOML)
    assert call("sweep", "small.toml", "--set", "sweep.n_seeds=3", "tasks.cosine=0.5") == 0
    data = load("small.nc")
    assert data.sizes == {"tasks.noise": 2, "tasks.n_samples[0]": 3, "seed": 3}
    tasks = mtl.LinearTasks(n_features=5, n_samples=(30, 15), cosine=0.5, design=mtl.Isotropic())
    import jax

    grid = {"tasks.noise": [0.5, 2.0], "tasks.n_samples[0]": [10, 100, 1000]}
    same = mtl.sweep(mtl.Transfer(tasks), grid, 3, jax.random.key(0), progress=False)
    np.testing.assert_allclose(data.gain, same.gain, rtol=1e-9)
    for i in (1, 2):
        assert call("sweep", "small.toml", "--shard", f"{i}/2", "--out", f"s{i}.nc", "--set", "sweep.chunk_draws=4") == 0
    assert call("merge", "s1.nc.parts", "s2.nc.parts", "--out", "merged.nc") == 0
    assert load("merged.nc").sizes["seed"] == 4
    assert call("plot", "merged.nc") == 0 and (tmp_path / "merged.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("tasks.nois=1", "did you mean 'noise'"),
        ("tasks.design.kind=spikd", "did you mean 'spiked'"),
        ("grid.tasks.noise={from=1}", "without to"),
        ("sweep.n_sed=1", "did you mean 'n_seeds'"),
        ("tasks.noise", "set must be NAME=VALUE"),
        ("tasks.noise=2.0", "set must be of parameters that the grid does not sweep"),
    ],
)
def test_a_wrong_setting_is_one_sentence(line, sentence, tmp_path, capsys):
    (tmp_path / "small.toml").write_text(TOML)
    assert call("sweep", tmp_path / "small.toml", "--set", line) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("kind", CELLS)
def test_every_kind_of_cell_from_toml(kind, tmp_path):
    (tmp_path / "a.toml").write_text(f'[tasks]\nn_features = 6\nfamily = "relu"\n[cell]\nkind = "{kind}"\n')
    if kind in ("decomposition", "groups"):  # of linear tasks alone
        (tmp_path / "a.toml").write_text(f'[tasks]\nn_features = 6\ncosine = 1.0\n[cell]\nkind = "{kind}"\n')
    cell, _ = build(read(tmp_path / "a.toml"))
    assert type(cell).__name__ == CELLS[kind][1] and cell.tasks.n_features == 6
    with pytest.raises(ValueError, match="kind must be one of the known names, but is 'alined'; did you mean 'alignment'"):
        build(read(tmp_path / "a.toml", ["cell.kind=alined"]))
    with pytest.raises(ValueError, match=f"entries of an? {CELLS[kind][1]} must be one of"):
        build(read(tmp_path / "a.toml", ["cell.mode=transfer" if kind == "weighting" else "cell.scheme=equal"]))


def test_list_names_every_figure_and_its_claim(capsys):
    assert call("list") == 0
    text = capsys.readouterr().out
    for name in ("transfer-map", "sample-size", "alignment-claim", "capacity", "similarity", "architecture"):
        assert name in text and find_experiment(name).claim in text


@functools.cache
def traced_cell(names):
    """As `sweep` compiles it, once for the kinds of cell of all figures."""
    return jax.jit(lambda cell, point, key: outputs(at_point(cell, dict(zip(names, point, strict=True)), check=False), key))


def made_up(names, *_):
    """In place of a compiled batch: its cell is traced, and numbers of the shapes that come out are made up."""
    rng = np.random.default_rng(0)

    def batch(cell, values, key, seeds):
        shapes = jax.eval_shape(traced_cell(names), cell, values[0], key)
        shapes = {name: jax.ShapeDtypeStruct((len(seeds), len(values), *one.shape), one.dtype) for name, one in shapes.items()}
        numbers = {name: np.abs(rng.normal(0.5, 0.1, shape.shape)).astype(shape.dtype) for name, shape in shapes.items()}
        numbers |= {name: rng.normal(size=shapes[name].shape) for name in ("gain", "expected", "estimate") if name in shapes}
        if {"gain", "risk_single", "risk_multi"} <= set(numbers):
            numbers["gain"] = numbers["risk_single"] - numbers["risk_multi"]
        return numbers

    return batch


@functools.cache
def traced_prediction(statement, names):
    """As `predict` compiles it, once for the kinds of cell of all figures."""
    return jax.jit(lambda point, cell, key: statement(at_point(cell, dict(zip(names, point, strict=True)), check=False))(key=key))


def made_up_prediction(statement, names):
    """In place of a compiled prediction: the statement is traced, and numbers of the names that come out are made up."""
    rng = np.random.default_rng(1)

    def run(points, cell, key, seeds):
        found = jax.eval_shape(traced_prediction(statement, names), points[0], cell, key)
        return {name: np.abs(rng.normal(0.5, 0.1, (len(points), len(seeds)))) for name in found}

    return run


FIGURES = [(name, model) for name in experiment_names() for model in find_experiment(name).models or (None,)]
REAL = ("model-shift", "pareto")  # of the cell that most figures have, and of one that is trained
FEWER = {  # programs to trace or compile, of figures with many; test_fast_figures.py looks at all that they have
    "dimension": {"STATEMENTS": dict(list(STATEMENTS.items())[:1]), "FEATURES": (25, 50)},
    "pareto": {"scheme_names": lambda: ["mgda"]},
    "label-noise": {"scheme_names": lambda: ["algorithm-2"]},
    "sample-size": {"RELATIONS": ("same",), "overlay": lambda *_, **__: None},  # 27 predictions, tested in test_theory.py
    "free-heads": {"RELATIONS": ("same",)},
    "mechanisms": {"mechanism_names": lambda: ["tide"]},  # which is tried in earnest
    "optimiser-bench": {"COUNTS": (2, 3), "scheme_names": lambda: ["mgda"]},
    "weights-field": {"SCHEMES": ("oracle", "inverse-loss", "mgda")},
}


@pytest.mark.parametrize(("name", "model"), [*FIGURES, *(pytest.param(name, None, id=f"real-{name}") for name in REAL)])
def test_every_figure_writes_its_picture_and_its_data(name, model, tmp_path, monkeypatch, request):
    """Most are drawn from made-up numbers, because their programs take long to compile; some are run.

    What is drawn has its claim above it, words that neither overlap nor leave the canvas, and a legend for all that is there; so
    has a part of it.
    """
    for attribute, fewer in FEWER.get(name, {}).items():
        monkeypatch.setattr(f"mtlsim.experiments.{name.replace('-', '_')}.{attribute}", fewer)
    if "real" not in request.node.name:
        monkeypatch.setattr(execute, "compile_batch", made_up)
        monkeypatch.setattr(execute.Runner, "_compile", lambda *_: 0)
        if name != "dimension":  # which fits a law to what is predicted
            monkeypatch.setattr(predict, "_compile", made_up_prediction)
    drawn = []
    formats = ("png", "pdf") if "real" in request.node.name else ("png",)

    def save(fig, path):
        drawn.append((problems(fig), claim_of(fig)))
        if "real" not in request.node.name:
            fig.set_layout_engine("none")  # it is laid out already
        return sheet.save(fig, path, formats)

    monkeypatch.setattr(_experiment, "save", save)
    files = make_figure(name, tmp_path, Options(fast=True, n_seeds=4, model=model), progress=False)
    assert [file.suffix for file in files] == [*(f".{name}" for name in formats), ".nc"]
    assert all(file.stat().st_size > 3000 for file in files)
    data, experiment = load(files[-1]), find_experiment(name)
    assert data.attrs["experiment"] == name and data.attrs["claim"] == experiment.claim
    if "real" in request.node.name:
        before = files[0].read_bytes()
        assert call("plot", files[-1], "--out", tmp_path / "again") == 0
        assert (tmp_path / "again" / files[0].name).read_bytes() == before
        return
    assert drawn == [([], experiment.says(data))]
    fewer = data.sizes.get("seed", 4) < experiment.setting(Options(model=model)).n_seeds
    assert experiment.title is not None or drawn[0][1].startswith(experiment.claims.get(model, experiment.claim))
    assert experiment.title is not None or ("this one has 4.)" in drawn[0][1]) == fewer
    kept = (*experiment.along, *experiment.whole, "seed")
    parts = [axis for axis in data.dims if data.sizes[axis] > 1 and axis in data.coords and axis not in kept]
    for axis in parts[-1:]:
        fig = picture(experiment, data, [f"{axis}={data[axis].values[-1]}"])
        assert problems(fig) == []
        matplotlib.pyplot.close(fig)


def claim_of(fig):
    """The sentence above a figure, in one line."""
    (text,) = [text.get_text() for text in fig.texts if text.get_gid() == sheet.TITLE]
    return text.replace("\n", " ")


@pytest.mark.parametrize(
    ("name", "model", "sentence"),
    [("model-shift", "relu", "model must be left out for model-shift"), ("similarity", "rely", "model must be one of")],
)
def test_a_model_that_a_figure_does_not_have(name, model, sentence, tmp_path):
    with pytest.raises(ValueError, match=sentence):
        make_figure(name, tmp_path, Options(fast=True, model=model), progress=False)


def test_the_map_shows_both_signs_and_a_boundary(tmp_path):
    data = find_experiment("transfer-map").run(Options(fast=True), progress=False)
    low, middle, high = (data.gain_sign.sel({"tasks.noise": noise}).values for noise in data["tasks.noise"].values)
    assert (low < 0).mean() > 0.9 and (low <= 0).all()
    assert (high > 0).all()
    assert (middle > 0).mean() > 0.2 and (middle < 0).mean() > 0.2


def test_capacity_dies_at_the_number_of_tasks():
    data = find_experiment("capacity").run(Options(fast=True, n_seeds=20), progress=False)
    assert np.abs(data.gain.sel(rank=6)).max() < 1e-10
    assert (np.abs(data.gain_mean.sel(rank=[1, 3])) > 1e-4).all()


def test_an_output_folder_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert call("figure", "architecture", "--out", tmp_path / "file" / "x") == 2
    assert "out must be in a folder that can be written" in capsys.readouterr().err
