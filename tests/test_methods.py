"""Sharing without free heads against least squares on the rows, and the cell that compares each method with learning alone."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from conftest import close
from instances import moments_of, random_tasks

import mtlsim as mtl
from mtlsim.configuration import build, read
from mtlsim.core.status import Status
from mtlsim.reproduction import reproduce
from mtlsim.results.grid import make_grid
from mtlsim.results.selection import select
from mtlsim.sharing import Answer, Sharing, as_sharing, find_sharing, sharing_names
from mtlsim.sharing.adapters import Adapters
from mtlsim.sharing.cross_stitch import CrossStitch
from mtlsim.sharing.from_source import FromSource
from mtlsim.sharing.hard import Hard
from mtlsim.sharing.mean_regularised import MeanRegularised
from mtlsim.sharing.multilinear import MultilinearRelationship
from mtlsim.sharing.normalised import Normalised
from mtlsim.sharing.soft import Soft
from mtlsim.solvers.mixed import solve_ridge
from mtlsim.solvers.network import Layers
from mtlsim.solvers.pooled import solve_mean_regularised, solve_pooled
from mtlsim.solvers.within import solve_within

RNG = np.random.default_rng(4)
D = 5
TASKS = random_tasks(RNG, D, (12, 9, 7), 10.0)
MOMENTS = moments_of(TASKS)


def ridge_rows(rows, labels):
    return np.linalg.lstsq(np.concatenate(rows), np.concatenate(labels), rcond=None)[0]


def test_pooled_is_least_squares_on_all_rows():
    weights, ridge = jax.numpy.array([0.5, 2.0, 1.0]), jax.numpy.array([0.3, 0.0, 1.0])
    rows = [np.sqrt(w) * X for w, (X, _) in zip(weights, TASKS, strict=True)] + [np.sqrt(weights @ ridge) * np.eye(D)]
    labels = [np.sqrt(w) * y for w, (_, y) in zip(weights, TASKS, strict=True)] + [np.zeros(D)]
    close(solve_pooled(MOMENTS, weights, ridge), ridge_rows(rows, labels), 3)


def test_around_is_a_ridge_towards_the_centre():
    X, y = TASKS[0]
    centre = RNG.normal(size=D)
    wanted = ridge_rows([X, np.sqrt(3.0) * np.eye(D)], [y, np.sqrt(3.0) * centre])
    close(solve_ridge(MOMENTS[0], 3.0, jax.numpy.asarray(centre)).parameters[0], wanted, 3)


@pytest.mark.parametrize("strength", [0.1, 5.0, 1e6])
def test_mean_regularised_is_one_large_least_squares(strength):
    n, n_tasks = sum(len(X) for X, _ in TASKS), len(TASKS)
    rows, labels = np.zeros((n, n_tasks * D)), np.concatenate([y for _, y in TASKS])
    start = 0
    for i, (X, _) in enumerate(TASKS):
        rows[start : start + len(X), i * D : (i + 1) * D] = X
        start += len(X)
    centring = np.kron(np.eye(n_tasks) - 1 / n_tasks, np.eye(D))
    wanted = ridge_rows([rows, np.sqrt(strength) * centring], [labels, np.zeros(n_tasks * D)]).reshape(n_tasks, D)
    close(solve_mean_regularised(MOMENTS, jax.numpy.asarray(strength)), wanted, 5)


def test_within_a_layer_only_its_span_is_used():
    X, y = TASKS[1]
    layer = RNG.normal(size=(D, 2))
    close(solve_within(MOMENTS[1], jax.numpy.asarray(layer)).parameters[0], layer @ np.linalg.lstsq(X @ layer, y, rcond=None)[0], 3)


def cell(sharing, **options):
    return mtl.Transfer(mtl.LinearTasks(n_features=D, n_samples=(40, 30), cosine=1.0), sharing=sharing, **options)


@pytest.mark.parametrize("name", [name for name in sharing_names() if find_sharing(name)().solved])
def test_every_sharing_is_a_cell(name):
    draw = cell(name)(key=jax.random.key(0))
    traced = jax.eval_shape(lambda key: cell(name)(key=key), jax.random.key(0))
    assert traced.gain.shape == () and traced.route == draw.route
    allowed = (Status.ok, Status.not_converged) if draw.route == "majorise-minimise" else (Status.ok,)
    assert draw.status in allowed and np.isfinite(draw.gain)
    close(draw.gain, draw.risk_single - draw.risk_multi)


@pytest.mark.parametrize("name", ["hard", "pooled"])
def test_many_seeds_of_too_few_rows_have_no_nan(name):
    """Enough of them for programs that compute extremes over many numbers at once, and a factor that fails for every one."""
    tasks = mtl.LinearTasks(n_features=18, n_samples=(4, 6), relation="same")
    data = mtl.sweep(mtl.Transfer(tasks, sharing=name, ridge=0.1 * (name == "hard")), {}, 300, jax.random.key(0), progress=False)
    assert np.isfinite(data.gain).all() and (data.status != Status.ill_conditioned).all()


def test_sharings_meet_at_the_ends_of_their_strength():
    key = jax.random.key(1)
    assert abs(cell(FromSource(1e-9))(key=key).gain) < 1e-6  # no strength: learning alone
    close(cell(MeanRegularised(1e9))(key=key).risk_multi, cell("pooled")(key=key).risk_multi, 4)  # all strength: pooling
    endless = dataclasses.replace(cell("hard").tasks, n_samples=(1e12, 30))
    assert mtl.Transfer(endless, sharing=FromSource(1e9))(key=key).risk_multi < 1e-9  # the same parameters, found exactly


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"sharing": "sofd"}, "sharing must be one of .* did you mean 'soft'"),
        ({"sharing": {"name": "from-source", "strength": 0.0}}, "strength must be a number > 0"),
        (
            {"sharing": {"name": "soft", "strengh": 1.0}},
            "made of fields of Soft, .*did you mean 'strength'",
        ),
        ({"sharing": {"strength": 1.0}}, "sharing must be a table with a name"),
        ({"sharing": 3}, "sharing must be an architecture or its name"),
        ({"sharing": "frozen", "target": 0}, "target must be the last task for this sharing"),
        ({"sharing": CrossStitch(learned=False), "rank": 2}, "rank must be 1 where the mixing is held"),
        ({"sharing": MultilinearRelationship(np.eye(3))}, r"covariance must be of shape \(2, 2\)"),
    ],
)
def test_bad_sharings_are_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        mtl.Transfer(mtl.LinearTasks(n_features=D, n_samples=(40, 30)), **options)


def test_sharing_is_an_axis_and_an_entry_of_a_file(tmp_path):
    """Names as words, and the fields of one architecture as numbers; a cell of the sweep is the cell called alone."""
    key, names = jax.random.key(3), ["pooled", "soft"]
    data = mtl.sweep(cell("pooled"), {"sharing": names}, 3, key, progress=False)
    for name in names:
        alone = cell(name)(key=jax.random.fold_in(key, 2))
        close(data.gain.sel(sharing=name).values[2], alone.gain, 2)
    pulls = mtl.sweep(cell("soft"), {"sharing.strength": [0.1, 10.0]}, 3, key, progress=False)
    assert (pulls.gain.values[0] != pulls.gain.values[1]).all()
    with pytest.raises(ValueError, match="did you mean 'pooled'"):
        mtl.sweep(cell("hard"), {"sharing": ["hard", "poled"]}, 3, key, progress=False)
    tables = {
        'sharing = "soft(strength=2.0)"': Soft(2.0),
        'sharing = "pooled"': "pooled",
        '[cell.sharing]\nname = "soft"\nstrength = 2.0': Soft(2.0),
    }
    for text, sharing in tables.items():
        path = tmp_path / "sharing.toml"
        path.write_text(f"[tasks]\nn_features = 5\nn_samples = [40, 30]\n[cell]\nrank = 1\n{text}\n")
        found, _ = build(read(path))
        assert str(found.sharing) == str(cell(sharing).sharing)
    with pytest.raises(ValueError, match="method must be called sharing since 0.2, but is 'pooled'; write sharing = 'pooled'"):
        build({"cell": {"method": "pooled"}})
    found, _ = build(read(path, ["cell.sharing.strength=4.0"]))
    assert found.sharing.strength == 4.0


def test_architectures_with_fields_are_an_axis(tmp_path):
    """Objects, tables and words are one sweep; a cell of it is the cell called alone, under words that tell it apart."""
    key, stitch = jax.random.key(4), {"name": "cross_stitch", "own": 0.8, "learned": False, "decay": 1.0}
    values = ["pooled", Soft(2.0), CrossStitch(0.8, False, 1.0), MultilinearRelationship([[1, 0.5], [0.5, 1]])]
    named = ["pooled", "soft(strength=2.0)", "cross-stitch(own=0.8, learned=False, decay=1.0)"]
    named += ["multilinear(covariance=[[1.0, 0.5], [0.5, 1.0]])"]
    tables = [{"name": "pooled"}, {"name": "soft", "strength": 2.0}, stitch, named[-1]]
    given = tmp_path / "map.toml"
    given.write_text(f"[tasks]\nn_features={D}\nn_samples=[40,30]\n[grid]\nsharing={json.dumps(tables).replace(': ', '= ')}")
    grids = {"sharing": values}, {"sharing": named}, build(read(given))[1]
    found = [mtl.sweep(cell("hard"), grid, 3, key, tmp_path / "map.nc", progress=False) for grid in grids]
    assert found[0].sharing.values.tolist() == named
    assert found[0].identical(found[1]) and found[0].identical(found[2])  # the file of the first, taken as it is
    for sharing, name in zip(values, named, strict=True):
        close(found[0].gain.sel(sharing=name).values[2], cell(sharing)(key=jax.random.fold_in(key, 2)).gain, 2)
        again = as_sharing(name)
        assert again.text == name and str(again) == str(as_sharing(sharing))
    part = select(found[0], [f"sharing={named[1]},{named[2]}"])
    assert part.sharing.values.tolist() == named[1:3]
    toml = reproduce(found[0]).toml
    (tmp_path / "again.toml").write_text(toml)
    assert build(read(tmp_path / "again.toml"))[1] == {"sharing": named}


@pytest.mark.parametrize("name", sharing_names())
def test_words_of_an_architecture_make_it_again(name):
    """By default its name, otherwise with a field that is not; also inside of another."""
    usual = as_sharing(name)
    assert usual.text == name
    changed = [(field, value) for field, value in vars(usual).items() if isinstance(value, (bool, float)) and value in (0.0, 1.0)]
    for field, value in changed:
        try:
            other = dataclasses.replace(usual, **{field: not value if isinstance(value, bool) else 0.5})
        except ValueError:  # fields that only go together
            continue
        assert other.text == f"{name}({field}={getattr(other, field)})" and as_sharing(other.text).text == other.text
    assert Soft(jax.numpy.asarray(2)).text == "soft(strength=2.0)"  # a whole number of TOML is the number that it is read as
    inside = Normalised(CrossStitch(0.7, depth=2), where="after")
    assert inside.text == "normalised(of='cross-stitch(own=0.7, depth=2)', where='after')"
    assert str(as_sharing(inside.text)) == str(inside)


class Nameless(CrossStitch):
    """Of a file that no door opens."""


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (Nameless(), "sharing must be an architecture that has a name, but is Nameless of test_methods; put its class into"),
        ({"name": "soft", "strengh": 1.0}, "did you mean 'strength'"),
        ({"strength": 1.0}, "sharing must be a table with a name"),
        (["soft"], r"grid\['sharing'\] must be made of numbers or names"),
        (3, "sharing must be an architecture or its name, but is 3"),
        (Hard(), r"grid\['sharing'\] must be made of different values, but is \['hard', 'hard'\]"),
        ("soft(2)", "sharing must be a name, or one with its fields in brackets, but is 'soft\\(2\\)'; write"),
        ("soft(strength=print(1))", "sharing must be a name, or one with its fields in brackets"),
        ("soft(strength=-1.0)", "strength must be a number >= 0, but is -1.0"),
    ],
    ids=str,
)
def test_what_is_no_value_of_the_axis_is_one_sentence(value, sentence):
    with pytest.raises(ValueError, match=sentence):
        make_grid(cell("hard"), {"sharing": ["hard", value]})


def test_a_frozen_layer_needs_a_source():
    with pytest.raises(ValueError, match="tasks must be two or more"):
        mtl.Transfer(mtl.LinearTasks(n_features=D, n_samples=(40,)), sharing="frozen")


@pytest.mark.parametrize("o", [1, 2])
def test_the_bound_of_adapters_is_below_what_is_reached_on_the_rows(o):
    """Few rows, and columns of very different units, leave something to the base: then the bound is lower by as much."""
    rng, wide = np.random.default_rng(5), np.longdouble
    for number in range(16):
        unit = 10.0 ** rng.uniform(-8, 8, 3) if number % 2 else np.geomspace(1, 10.0 ** -rng.uniform(1, 7), 3)
        basis = np.eye(3) if number % 2 else np.linalg.qr(rng.normal(size=(3, 3)))[0]
        pairs = []
        for _ in range(2):
            X = rng.normal(size=(2, 3)) * unit @ basis
            pairs.append((X, X / np.abs(X).max(0) @ rng.normal(size=(3, o)) + 1e-3 * rng.normal(size=(2, o))))
        decay = 10.0 ** rng.uniform(-3, 0) * max(np.abs(X.T @ Y).max() for X, Y in pairs)
        found = mtl.fit([(X, Y if o > 1 else Y[:, 0]) for X, Y in pairs], Adapters(float(decay)))
        parameters = np.asarray(found.parameters).reshape(2, o, 3)
        deltas = parameters - np.asarray(found.params.base).reshape(o, 3)
        left = sum(
            ((Y.astype(wide) - X.astype(wide) @ own.T.astype(wide)) ** 2).sum()
            for (X, Y), own in zip(pairs, parameters, strict=True)
        )
        sizes = [np.abs(delta).max() for delta in deltas]
        lengths = sum(
            size * np.linalg.svd(delta / size, compute_uv=False).sum() for delta, size in zip(deltas, sizes, strict=True) if size
        )
        energy = sum((Y**2).sum() for _, Y in pairs)
        assert float(found.loss) - float(found.gap) <= left + 2 * decay * lengths + 1e-15 * energy


class PlainNumPy(Sharing):
    """One of a user's own: it holds a word and looks at its numbers."""

    word: str = "alone"

    def exact(self, problem):
        parameters = jax.numpy.asarray(
            np.linalg.solve(np.asarray(problem.moments.gram), np.asarray(problem.moments.cross)[..., None])[..., 0]
        )
        none, zero = (jax.numpy.zeros((), kind) for kind in (np.int32, float))
        return Answer(Layers(parameters.T, jax.numpy.eye(len(parameters))), parameters, zero, zero, none, none)


def test_an_architecture_that_cannot_be_traced_is_solved_all_the_same():
    rng = np.random.default_rng(5)
    pairs = [(rng.normal(size=(n, 3)), rng.normal(size=n)) for n in (9, 7)]
    wanted = [np.linalg.lstsq(X, y, rcond=None)[0] for X, y in pairs]
    np.testing.assert_allclose(mtl.fit(pairs, PlainNumPy()).parameters, wanted, atol=1e-9)
