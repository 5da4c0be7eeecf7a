"""Every public design, row law, relation and cell is swept: a sweep rebuilds a cell from its fields, whatever they hold."""

import dataclasses
import importlib
import re

import equinox as eqx
import jax
import numpy as np
import pytest

import mtlsim as mtl
from mtlsim import configuration
from mtlsim.cells.zero_shot import ZeroShot
from mtlsim.results.grid import as_leaves, at_point, parameters, parse
from mtlsim.results.settings import facts
from mtlsim.sweeps.execute import compile_batch
from mtlsim.sweeps.job import make_job
from mtlsim.tasks import covariance
from mtlsim.tasks.relations import RELATIONS
from mtlsim.tasks.rows import ROWS

D, KEY = 3, jax.random.key(2)
ROWS_OF_DATA = np.random.default_rng(0).normal(size=(8, D)) * [1.0, 2.0, 3.0]
MATRIX = ROWS_OF_DATA.T @ ROWS_OF_DATA / 8
DESIGNS = {
    "Isotropic": mtl.Isotropic(2.0),
    "Spiked": mtl.Spiked(5.0, coordinates=(1,)),
    "PowerLaw": mtl.PowerLaw(0.5),
    "Diagonal": mtl.Diagonal((0.5, 2.0, 1.0)),
    "FromMatrix": mtl.FromMatrix(MATRIX),
    "Rotated": mtl.Rotated(mtl.FromMatrix(MATRIX)),
    "from_data": mtl.from_data(ROWS_OF_DATA[:2]),
    "one per task": (mtl.FromMatrix(MATRIX), mtl.Spiked(3.0)),
}


class Drawn(eqx.Module):
    """A cell that compiles fast: what the source's parameters would cost the target, and one more entry of each covariance."""

    tasks: mtl.LinearTasks

    def __call__(self, *, key):
        tasks = self.tasks.draw(key=key)
        source, target = (covariance.matrix() for covariance in tasks.covariances)
        return {"gain": tasks.noise[0] + tasks.excess_risk(tasks.parameters[0]), "source": source[0, 1], "target": target[1, 1]}


def pooled(tasks):
    """The transfer that is traced fastest."""
    return mtl.Transfer(tasks, sharing="pooled")


def cell_of(kind=Drawn, **tasks):
    return kind(mtl.LinearTasks(n_features=D, n_samples=(9, 6), **tasks))


def sweep_and_check(cell, axis, values):
    """The last value of a sweep is what the cell gives when it is called alone."""
    data = mtl.sweep(cell, {axis: list(values)}, 2, KEY, progress=False)
    alone = jax.jit(lambda cell: cell(key=jax.random.fold_in(KEY, 1)))(at_point(cell, {axis: values[-1]}))
    for name, number in alone.items():
        np.testing.assert_allclose(data[name].isel({axis: -1, "seed": 1}), number, rtol=1e-9, atol=1e-12)
        assert np.isfinite(data[name].values).all()
    return data


def trace(cell, grid):
    """All of a sweep but its compilation and run: checks, settings, and the program of each static value."""
    job, settings = make_job(cell, grid, 2, KEY, facts(jax.devices()[:1]), 1)
    traced, axes = tuple(axis.name for axis in job.grid.traced), job.grid.static
    batch = compile_batch(traced, tuple(jax.devices()[:1]))
    for static in job.grid.static_points():
        leaves = as_leaves(at_point(job.cell, dict(zip([axis.name for axis in axes], static, strict=True))))
        found = jax.eval_shape(batch, leaves, np.ones((2, len(traced))), KEY, np.arange(2, dtype=np.uint32))
        assert set(found) == set(settings["outputs"]) and all(value.shape[:2] == (2, 2) for value in found.values())


def test_all_designs_are_here():
    public = [name for name, kind in vars(covariance).items() if isinstance(kind, type) and issubclass(kind, eqx.Module)]
    assert set(public) - {"PairRotation", "Covariance"} == set(DESIGNS) - {"from_data", "one per task"}


@pytest.mark.parametrize("name", DESIGNS)
def test_a_design_is_swept(name):
    sweep_and_check(cell_of(design=DESIGNS[name]), "tasks.noise", [0.5, 1.0])
    trace(cell_of(pooled, design=DESIGNS[name]), {"tasks.noise": [0.5, 1.0]})


def test_a_cell_under_a_given_matrix_is_measured():
    assert mtl.measure(cell_of(design=DESIGNS["FromMatrix"]), 2, KEY).n_seeds == 2


def test_a_number_of_one_tasks_design_is_an_axis():
    cell, axis = cell_of(design=(mtl.FromMatrix(MATRIX), mtl.Spiked(3.0, coordinates=(1,)))), "tasks.design[1].condition_number"
    assert dict(parameters(cell))[axis] is False
    np.testing.assert_allclose(sweep_and_check(cell, axis, [1.0, 30.0]).target.values, [[1, 1], [30, 30]])


def test_a_relation_is_swept():
    sweep_and_check(cell_of(design=mtl.FromMatrix(MATRIX), alignment=0.95), "tasks.relation", ["same", "geodesic"])


CHOICES = {"tasks.rows": ROWS, "tasks.relation": tuple(RELATIONS), "tasks.order": ("rdq", "rqd")}


@pytest.mark.parametrize(("axis", "values"), CHOICES.items(), ids=list(CHOICES))
def test_a_static_choice_is_an_axis_of_a_transfer(axis, values):
    trace(cell_of(pooled, design=mtl.FromMatrix(MATRIX), alignment=0.95), {axis: list(values), "tasks.noise": [0.5, 1.0]})


FAMILIES_OF = {
    "transfer": ("linear", "relu", "classification"),
    "weighting": ("linear",),
    "alignment": ("linear", "relu"),
    "training-curve": ("relu",),
    "population": ("linear", "relu"),
    "decomposition": ("linear",),
    "groups": ("linear",),
}


def test_all_cells_are_here():
    assert set(FAMILIES_OF) == set(configuration.CELLS)


@pytest.mark.parametrize("kind", configuration.TASKLESS)
def test_a_cell_with_tasks_of_its_own_is_swept(kind, tmp_path):
    """Over every number that it has, as its TOML file says."""
    (tmp_path / "a.toml").write_text(f'[cell]\nkind = "{kind}"\n')
    cell, _ = configuration.build(configuration.read(tmp_path / "a.toml"))
    assert type(cell).__name__ == configuration.TASKLESS[kind][1]
    for line, says in (("cell.rank=2", "entries of an? .* must be one of"), ("tasks.noise=1.0", "tasks. must be left out for a")):
        with pytest.raises(ValueError, match=says):
            configuration.build(configuration.read(tmp_path / "a.toml", [line]))
    axes = [name for name, static in parameters(cell) if not static and not re.search(r"\[[1-9]", name)]
    for name in axes:
        field, *place = parse(name)
        value = float(np.asarray(getattr(cell, field))[tuple(place)])
        other = 1.0 - value if name in ("private", "related") else 1.0 if value == 0 else 0.9 * value
        trace(*configuration.build({"cell": {"kind": kind}, "grid": {name: [value, other]}}))


@pytest.mark.parametrize("kind", [*configuration.CELLS, *configuration.TASKLESS])
def test_a_gain_has_a_status_beside_it(kind):
    """Which says where it is no number, whether a sweep called the cell or a user."""
    tasks = {} if kind in configuration.TASKLESS else {"tasks": {"n_samples": [9, 6], "cosine": 1.0}}
    cell, _ = configuration.build({"cell": {"kind": kind}} | tasks)
    found = eqx.filter_eval_shape(lambda key: cell(key=key), KEY)
    names = set(found) if isinstance(found, dict) else {field.name for field in dataclasses.fields(found)}
    assert "status" in names or "gain" not in names


NOISY = ("orthonormal-rows", "aspects", "semantic-alignment", "representation", "merged", "task-vectors", "order-only", "zero-shot")


@pytest.mark.parametrize("kind", NOISY)
def test_a_gain_that_is_no_number_says_so(kind):
    run = jax.jit(lambda cell: cell(key=KEY))
    usual, loud = (configuration.build({"cell": {"kind": kind} | changes})[0] for changes in ({}, {"noise": 1e200}))
    draws = [run(as_leaves(cell)) for cell in (usual, loud)]
    assert [bool(np.isfinite(draw["gain"])) for draw in draws] == [True, False]
    assert [int(draw["status"]) for draw in draws] == [mtl.Status.ok, mtl.Status.out_of_range]


def test_every_number_of_a_cell_is_an_axis():
    """Of all cells, fields that hold numbers and can be swept by no name; those left out are set by what else is swept."""
    for kind, (module, name, _) in (configuration.CELLS | configuration.TASKLESS).items():
        tasks = {} if kind in configuration.TASKLESS else {"tasks": {"n_samples": [9, 6], "cosine": 1.0}}
        cell, _ = configuration.build({"cell": {"kind": kind}} | tasks)
        known = {axis.partition("[")[0] for axis, _ in parameters(cell)}
        numbers = {f.name for f in dataclasses.fields(cell) if eqx.is_array_like(getattr(cell, f.name)) or f.metadata.get("static")}
        assert {field for field in numbers if getattr(cell, field) is not None} <= known, (module, name)


def test_an_entry_of_an_array_and_a_word_are_axes():
    """Each against the cell that is made with it."""
    cell = ZeroShot(n_features=4)
    trace(cell, {"target[1]": [0.5, 3.0]})
    at = jax.jit(lambda number: at_point(cell, {"target[1]": number}, check=False).target)
    np.testing.assert_array_equal(at(3.0), [1.0, 3.0])
    axes = {"words": ["01 10", "01 01"], "maps[1][0][1]": [1.0, 0.5]}
    words, grid = configuration.build({"cell": {"kind": "words"}, "grid": axes})
    trace(words, grid)
    moved = at_point(words, {"words": "01 01", "maps[1][0][1]": 0.5})
    assert moved.words == ((0, 1), (0, 1)) and moved.maps.tolist() == [[[1.5, 1.0], [0.5, 1.0]], [[1.0, 0.5], [0.5, 1.5]]]
    with pytest.raises(ValueError, match=r"grid must be made of the cell's parameters, but is 'target\[2\]'"):
        mtl.sweep(cell, {"target[2]": [0.5, 3.0]}, 3, KEY)


def test_every_field_of_tasks_and_cells_may_stand_in_a_file():
    tables = {"tasks": configuration.FAMILIES.values(), "cell": (found[:2] for found in configuration.CELLS.values())}
    for table, places in tables.items():
        for module, name in places:
            kind = getattr(importlib.import_module(f"mtlsim.{'tasks.' if table == 'tasks' else ''}{module}"), name)
            assert {field.name for field in dataclasses.fields(kind)} - {"tasks"} <= set(configuration.TABLES[table]), name


@pytest.mark.parametrize(("kind", "family"), [(kind, family) for kind, families in FAMILIES_OF.items() for family in families])
def test_a_cell_is_swept_on_own_designs(kind, family):
    """All cells of a TOML file, on every family of tasks that they take, as a sweep traces them; compiling networks takes long."""
    matrix = [[2.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.5]]
    design = [{"kind": "from_matrix", "matrix": matrix}, {"kind": "isotropic"}]
    if (family, kind) == ("relu", "population"):
        design[0] = {"kind": "spiked"}
    tasks = {"family": family, "n_features": D, "n_samples": [9, 6], "cosine": 1.0 if kind == "groups" else 0.9, "design": design}
    trains = configuration.CELLS[kind][2] is not None and (kind, family) != ("transfer", "linear")
    training = {"training": {"n_steps": 50}} if trains else {}
    settings = {"tasks": tasks, "cell": {"kind": kind} | training, "grid": {"tasks.noise": [0.5, 1.0]}}
    cell, grid = configuration.build(settings)
    trace(cell, grid)


def test_the_covariance_of_every_task_is_its_own():
    first, second = MATRIX, np.diag([4.0, 1.0, 1.0])
    tasks = mtl.LinearTasks(n_features=D, n_samples=(9, 6), design=(mtl.FromMatrix(first), mtl.FromMatrix(second))).draw(key=KEY)
    for wanted, covariance_ in zip((first, second), tasks.covariances, strict=True):
        np.testing.assert_allclose(covariance_.matrix(), wanted, atol=1e-12)


def test_the_role_of_the_covariance_is_that_of_the_targets():
    cell = cell_of(lambda tasks: mtl.Decomposition(tasks, sharing="pooled"), design=(mtl.FromMatrix(MATRIX), mtl.Isotropic()))
    same = cell_of(pooled, design=mtl.Isotropic(), relation="same")
    draw, equal = jax.jit(lambda: (cell(key=KEY), same(key=KEY)))()
    np.testing.assert_allclose(draw.gain_equal, equal.gain, rtol=1e-9)
    assert draw.gain != draw.gain_equal


OWN = (mtl.Isotropic(), mtl.Isotropic())


@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"design": OWN, "relation": "geodesic"}, "relation must be left out where every task has its own design"),
        ({"design": OWN, "alignment": 0.9}, "alignment must be left out where every task has its own design"),
        ({"design": OWN[:1]}, "design must be one design, or 2, one per task with the target last, but is 1 designs"),
        ({"design": OWN, "shared_covariates": True, "n_samples": (9, 9)}, "shared_covariates must be False"),
        ({"design": (mtl.FromMatrix(np.eye(4)), mtl.Isotropic())}, "covariance must be of size n_features = 3, but is of size 4"),
        ({"relation": "own"}, "relation must be one of the known names, but is 'own'"),
    ],
)
def test_own_designs_that_do_not_fit_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        mtl.LinearTasks(**{"n_features": D, "n_samples": (9, 6)} | options)


def test_a_recipe_with_own_designs_can_be_rebuilt():
    tasks = mtl.LinearTasks(n_features=D, n_samples=(9, 6), design=OWN)
    assert dataclasses.replace(tasks, noise=(2.0, 2.0)).relation == tasks.relation == "own"


def test_a_toml_file_gives_a_covariance_to_every_task(tmp_path):
    np.save(tmp_path / "sigma.npy", MATRIX)
    tables = f'[[tasks.design]]\nkind = "from_matrix"\nmatrix = "{tmp_path}/sigma.npy"\n[[tasks.design]]\nkind = "power_law"\n'
    (tmp_path / "a.toml").write_text(f"[tasks]\nn_features = {D}\nn_samples = [9, 6]\n{tables}")
    cell, _ = configuration.build(configuration.read(tmp_path / "a.toml"))
    np.testing.assert_array_equal(cell.tasks.design[0].matrix, MATRIX)
    assert cell.tasks.relation == "own" and isinstance(cell.tasks.design[1], mtl.PowerLaw)
    for table, sentence in (({"kind": "from_matrix"}, "must be with a matrix"), ([1.0], "must be a table, or one per task")):
        with pytest.raises(ValueError, match=sentence):
            configuration.build({"tasks": {"n_features": D, "n_samples": [9, 6], "design": table}})
