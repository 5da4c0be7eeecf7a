"""Normalised units: rules forward and backward, as an option of architectures, and the cell of one head against plain NumPy."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import Z_LIMIT, close, z_score
from scipy import optimize

import mtlsim as mtl
from mtlsim.cells.normalised_rows import NormalisedRows
from mtlsim.core.normalisation import NORMALISATIONS, ada_norm, detach_norm, layer_norm
from mtlsim.results.grid import at_point
from mtlsim.sharing import as_sharing, as_table
from mtlsim.sharing._sharing import Shape
from mtlsim.sharing.attention import MultiTaskAttention
from mtlsim.sharing.cross_stitch import CrossStitch
from mtlsim.sharing.hard import Hard
from mtlsim.sharing.mixture_of_experts import MixtureOfExperts
from mtlsim.sharing.modular import Modular
from mtlsim.sharing.normalised import Normalised
from mtlsim.sharing.sluice import Sluice
from mtlsim.sweeps.instances import over_instances
from mtlsim.theory import find_statement
from mtlsim.theory.normalised import predicted_risks, turning_scale
from mtlsim.training.weighted import WeightedTraining

KEY = jax.random.key(6)
Z, W = np.array([1.0, 2.0, 3.0, 6.0]), np.array([0.3, -0.2, 0.5, 0.1])


def by_hand(rule, z):
    """One row, with a loop's worth of arithmetic."""
    r = len(z)
    off = [one - sum(z) / r for one in z]
    squares = sum(one**2 for one in off)
    if rule == "layer-norm":
        return np.array([one / (squares / r + 1e-5) ** 0.5 for one in off])
    y = np.array([one / ((squares / (r - 1)) ** 0.5 + 1e-5) for one in off])
    return y - y**2 / 10 if rule == "ada-norm" else y


def slopes(function, z, step=1e-6):
    return np.array([(function(z + step * e) - function(z - step * e)) / (2 * step) for e in np.eye(len(z))])


# ------------------------------------------------------------------------------------------------ the rules
@pytest.mark.parametrize("rule", NORMALISATIONS)
def test_rules_are_those_worked_by_hand(rule):
    rows = np.random.default_rng(0).normal(size=(2, 3, 5)) * [[[1.0]], [[30.0]]]
    found = np.asarray(NORMALISATIONS[rule](jnp.asarray(rows)))
    close(found, np.array([[by_hand(rule, z) for z in part] for part in rows]), 1)
    same = np.asarray(NORMALISATIONS[rule](jnp.asarray(7 * rows + 2)))
    np.testing.assert_allclose(same, found, atol=1e-4)  # a scale and an offset are lost
    close(NORMALISATIONS[rule](jnp.ones((2, 4))), np.zeros((2, 4)))


def test_rules_with_their_options():
    gain, bias = np.array([1.0, 2.0, -1.0, 0.5]), np.array([0.0, 1.0, 2.0, 3.0])
    close(layer_norm(jnp.asarray(Z), jnp.asarray(gain), jnp.asarray(bias)), gain * by_hand("layer-norm", Z) + bias)
    y = by_hand("layer-norm-simple", Z)
    close(ada_norm(jnp.asarray(Z), 2.0, 0.3), 2 * (1 - 0.3 * y) * y)
    close(jnp.mean(ada_norm(jnp.asarray(Z), 2.0)), np.array(-2.0 * 0.1 * 3 / 4), 6)  # -scale slope (r - 1) / r, but for 1e-5
    assert np.mean(2 * (1 - 0.1 * y)) == pytest.approx(2)  # the factor averages to the scale


@pytest.mark.parametrize("rule", ["layer-norm", "layer-norm-simple"])
def test_slopes_are_those_of_finite_differences(rule):
    found = jax.grad(lambda z: jnp.dot(jnp.asarray(W), NORMALISATIONS[rule](z)))(jnp.asarray(Z))
    np.testing.assert_allclose(found, slopes(lambda z: W @ by_hand(rule, z), Z), atol=1e-8)
    assert abs(np.sum(found)) < 1e-12 and abs(np.dot(found, Z)) < 1e-4  # no slope along an offset, nor (but for 1e-5) a scale
    gain = jax.grad(lambda gain, bias: jnp.dot(jnp.asarray(W), layer_norm(jnp.asarray(Z), gain, bias)), (0, 1))(
        jnp.ones(4), jnp.zeros(4)
    )
    close(gain[0], W * by_hand("layer-norm", Z), 1)
    close(gain[1], W)


def test_ada_norm_steps_along_no_gradient():
    """With the factor held, finite differences agree; those of the whole function do not."""
    found = np.asarray(jax.grad(lambda z: jnp.dot(jnp.asarray(W), ada_norm(z)))(jnp.asarray(Z)))
    held = 1 - by_hand("layer-norm-simple", Z) / 10
    np.testing.assert_allclose(found, slopes(lambda z: W @ (held * by_hand("layer-norm-simple", z)), Z), atol=1e-8)
    np.testing.assert_allclose(found, [0.05776, -0.18463, 0.14991, -0.02304], atol=1e-5)
    whole = slopes(lambda z: W @ by_hand("ada-norm", z), Z)
    np.testing.assert_allclose(whole, [0.06426, -0.19236, 0.14937, -0.02128], atol=1e-5)
    assert np.abs(found - whole).max() > 0.005
    # of this loss, which is linear, it is the gradient with y - slope y^2 / 2 in place of y - slope y^2
    y = lambda z: by_hand("layer-norm-simple", z)
    np.testing.assert_allclose(found, slopes(lambda z: W @ (y(z) - y(z) ** 2 / 20), Z), atol=1e-8)


@pytest.mark.parametrize(("rule", "has_a_loss"), [("layer-norm-simple", True), ("ada-norm", False), ("detach-norm", False)])
def test_steps_with_a_number_held_are_the_gradient_of_no_loss(rule, has_a_loss):
    """Of squares: a gradient has a symmetric derivative."""
    field = jax.jit(jax.grad(lambda z: (jnp.dot(jnp.asarray(W), NORMALISATIONS[rule](z)) - 1) ** 2))
    turned = np.stack([slopes(lambda z, i=i: np.asarray(field(z))[i], Z, 1e-5) for i in range(4)])
    assert (np.abs(turned - turned.T).max() < 1e-6) == has_a_loss
    assert has_a_loss or np.abs(turned - turned.T).max() > 1e-3


def test_the_same_with_the_deviation_of_layer_norm():
    """A worked example that took the deviation of layer-norm; the released code of ada-norm has r - 1 in place of r."""
    true, detached = (0.0765, -0.2249, 0.1723, -0.0239), (0.0679, -0.2146, 0.1730, -0.0263)
    y = lambda z: by_hand("layer-norm", z)
    np.testing.assert_allclose(slopes(lambda z: W @ ((1 - y(z) / 10) * y(z)), Z), true, atol=5e-5)
    np.testing.assert_allclose(slopes(lambda z: W @ ((1 - y(Z) / 10) * y(z)), Z), detached, atol=5e-5)
    assert np.mean(y(Z) - y(Z) ** 2 / 10) == pytest.approx(-0.1, abs=1e-5)


@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize("deviation", [False, True])
def test_detach_norm_holds_what_it_says(mean, deviation):
    middle, spread = Z.mean(), Z.std(ddof=1) + 1e-5

    def held(z):
        return W @ ((z - (middle if mean else z.mean())) / (spread if deviation else z.std(ddof=1) + 1e-5))

    found = jax.grad(lambda z: jnp.dot(jnp.asarray(W), detach_norm(z, mean, deviation)))(jnp.asarray(Z))
    np.testing.assert_allclose(found, slopes(held, Z), atol=1e-8)
    close(detach_norm(jnp.asarray(Z), mean, deviation), by_hand("layer-norm-simple", Z))


@pytest.mark.parametrize("rule", NORMALISATIONS)
def test_few_units_are_refused_and_equal_ones_have_no_slope(rule):
    for n in (1, 2):
        with pytest.raises(ValueError, match=f"units must be at least 3 to be normalised, but is {n}; use three or more"):
            NORMALISATIONS[rule](jnp.ones((4, n)))
    found = jax.grad(lambda z: jnp.sum(jnp.asarray(W) * NORMALISATIONS[rule](z)))(jnp.ones(4))
    assert np.isfinite(found).all()


# ------------------------------------------------------------------------------------------------ of architectures
D, K, R = 5, 3, 4
RNG = np.random.default_rng(3)
PAIRS = [(RNG.normal(size=(n, D)), RNG.normal(size=n)) for n in (12, 10, 9)]
X = RNG.normal(size=(7, D))
relu = lambda scores: np.maximum(scores, 0)


def random_params(sharing, rank=R):
    params, rng = sharing.init(KEY, Shape(K, D, rank)), np.random.default_rng(4)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), params)


@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize("rule", NORMALISATIONS)
def test_layers_are_normalised_row_by_row(rule, where):
    sharing = Normalised(Hard(2), rule, where)
    params = random_params(sharing)
    unit = lambda z: relu(by_hand(rule, z)) if where == "before" else by_hand(rule, relu(z))
    for task in range(K):
        wanted = []
        for x in X:
            for columns in params.columns:
                x = unit(np.asarray(columns).T @ x)
            wanted.append(x @ np.asarray(params.heads[task]))
        close(sharing.outputs(params, jnp.asarray(X), task, jax.nn.relu), np.array(wanted), 2)
    assert sharing.linear(params) is None and sharing.needs_rows and not sharing.flat and not sharing.solved


def test_every_module_is_normalised_by_itself():
    """One layer, where modules stand side by side, and several give the same features."""
    unit = lambda z: relu(by_hand("layer-norm", z))
    stitch, sluice, experts = (Normalised(of) for of in (CrossStitch(), Sluice(learned=True), MixtureOfExperts(2, 1, "nothing")))
    params = random_params(stitch)
    p = jax.tree.map(np.asarray, params)
    features = [sum(p.amounts[1, k] * unit(p.columns[k].T @ x) for k in range(K)) for x in X]
    close(stitch.outputs(params, jnp.asarray(X), 1, jax.nn.relu), np.array(features) @ p.heads[1], 2)
    params = random_params(sluice, 6)
    p = jax.tree.map(np.asarray, params)
    streams = [[unit(p.columns[0][k, s].T @ x) for k in range(K) for s in range(2)] for x in X]
    mixed = [np.concatenate([sum(a * u for a, u in zip(row, us, strict=True)) for row in p.amounts[0][2:4]]) for us in streams]
    close(sluice.outputs(params, jnp.asarray(X), 1, jax.nn.relu), p.layers[1, 0] * np.array(mixed) @ p.heads[1], 2)
    params = random_params(experts)
    p = jax.tree.map(np.asarray, params)
    level, powers = p.levels[0], np.exp(p.levels[0].offsets[1])
    every = [*level.shared, level.own[1, 0]]
    said = [sum(s * unit(B.T @ x) for s, B in zip(powers / powers.sum(), every, strict=True)) @ p.heads[1] for x in X]
    close(experts.outputs(params, jnp.asarray(X), 1, jax.nn.relu), np.array(said), 2)


@pytest.mark.parametrize("gain", ["shared", "own"])
@pytest.mark.parametrize(("of", "sizes"), [(Hard(2), (4, 4)), (CrossStitch(), (12,)), (CrossStitch(depth=2), (12, 12))])
def test_gains_and_biases_are_of_every_unit(of, sizes, gain):
    """Outputs by loops; with gains of one and biases of zero those without."""
    sharing, plain = Normalised(of, gain=gain), Normalised(of)
    start = sharing.init(KEY, Shape(K, D, R))
    assert start.gains.shape == start.biases.shape == (K if gain == "own" else 1, sum(sizes))
    held = plain.outputs(start.of, jnp.asarray(X), 1, jax.nn.relu)
    np.testing.assert_array_equal(sharing.outputs(start, jnp.asarray(X), 1, jax.nn.relu), held)
    params = random_params(sharing)
    p, row = jax.tree.map(np.asarray, params), 1 if gain == "own" else 0
    g, b = (np.split(part[row], np.cumsum(sizes)[:-1]) for part in (p.gains, p.biases))
    found = []
    for x in X:
        if isinstance(of, Hard):
            for layer, columns in enumerate(p.of.columns):
                x = relu(g[layer] * by_hand("layer-norm", columns.T @ x) + b[layer])
            found.append(x @ p.of.heads[1])
        elif of.depth == 1:
            units = [
                relu(g[0][4 * k : 4 * k + 4] * by_hand("layer-norm", p.of.columns[k].T @ x) + b[0][4 * k : 4 * k + 4])
                for k in range(K)
            ]
            found.append(sum(a * u for a, u in zip(p.of.amounts[1], units, strict=True)) @ p.of.heads[1])
    if found:
        close(sharing.outputs(params, jnp.asarray(X), 1, jax.nn.relu), np.array(found), 2)
    leaves = jax.tree.leaves(params)
    assert jax.tree.structure(sharing.rebuild(leaves)) == jax.tree.structure(params) == jax.tree.structure(sharing.owned(params))
    assert sharing.owned(params).gains == (gain == "own") and sharing.n_tasks(params) == K and sharing.n_features(params) == D


def test_own_gains_before_one_head_are_a_head_for_each_task():
    """Least squares over a head and the gains of both tasks, by a search of SciPy: with gains of their own every task is alone,
    with gains in common all rows are pooled: the price is what sharing had saved."""
    rng = np.random.default_rng(17)
    H = [features(rng.normal(size=(n, 4)), "layer-norm")[:, :3] for n in (12, 8)]
    y = [rows @ np.array([1.0, -0.5, 0.7]) + rng.normal(size=len(rows)) for rows in H]
    alone = [np.linalg.lstsq(rows, labels, rcond=None)[0] for rows, labels in zip(H, y, strict=True)]
    pooled = np.linalg.lstsq(np.concatenate(H), np.concatenate(y), rcond=None)[0]
    start = np.r_[rng.normal(size=3), np.ones(6)]
    for own, wanted in ((True, alone), (False, [pooled, pooled])):
        heads = lambda flat, own=own: flat[:3] * flat[3:].reshape(2, 3)[[0, 1] if own else [0, 0]]
        off = lambda flat, heads=heads: np.concatenate([A @ w - b for A, w, b in zip(H, heads(flat), y, strict=True)])
        found = optimize.least_squares(off, start, xtol=1e-15, ftol=1e-15, gtol=1e-12).x
        np.testing.assert_allclose(heads(found), wanted, atol=1e-5)


@pytest.mark.parametrize("gain", ["shared", "own"])
def test_one_head_and_one_order_leave_the_gains_to_tell_tasks_apart(gain):
    """In a network of blocks that two tasks go through alike."""
    sharing = Normalised(Modular(words="01 01", tied=True), gain=gain)
    params = sharing.init(KEY, Shape(2, D, R))
    params = params._replace(gains=params.gains + jnp.arange(params.gains.shape[0])[:, None])
    assert params.of.heads.shape == (1, R) and params.gains.shape == (2 if gain == "own" else 1, 4 * R)  # two layers of two blocks
    one, other = (sharing.outputs(params, jnp.asarray(X), task, jax.nn.relu) for task in range(2))
    assert (np.abs(np.asarray(one - other)).max() > 1e-3) == (gain == "own")


OPTIONS = {"units": (Hard(), Normalised(Hard(), "ada-norm", "after")), "own gains": (Normalised(), Normalised(gain="own"))}


@pytest.mark.parametrize(("of", "sharing"), OPTIONS.values(), ids=list(OPTIONS))
def test_training_is_another_with_the_option_and_comes_back_from_its_file(of, sharing, tmp_path):
    training = WeightedTraining(n_steps=100, learning_rate=0.05)
    plain = mtl.fit(PAIRS, of, rank=R, training=training, activation="relu")
    found = mtl.fit(PAIRS, sharing, rank=R, training=training, activation="relu")
    assert np.isfinite(found.loss) and abs(found.loss - plain.loss) > 1e-3 * plain.loss and found.parameters is None
    said = sum(np.sum((np.asarray(found.predict(rows, k)) - y) ** 2) for k, (rows, y) in enumerate(PAIRS))
    close(said, np.asarray(found.loss), 3)
    close(found.predict(5 * X, 1), np.asarray(found.predict(X, 1)), 6)  # whatever the length of a row
    found.save(tmp_path / "fit.npz")
    back = mtl.Fitted.load(tmp_path / "fit.npz")
    np.testing.assert_array_equal(back.predict(X, 1), found.predict(X, 1))
    assert back.sharing == found.sharing and as_sharing(as_table(found.sharing)) == found.sharing


def test_masks_have_normalised_features_and_refinements():
    """Every unit of two layers of masks, whose scale goes with that of x, no longer knows it."""
    plain, sharing = MultiTaskAttention(depth=2), Normalised(MultiTaskAttention(depth=2), "layer-norm-simple")
    params = random_params(plain)
    said = [np.asarray(one.outputs(params, jnp.asarray(X * size), 2, jax.nn.relu)) for one in (plain, sharing) for size in (1, 9)]
    np.testing.assert_allclose(said[3], said[2], atol=1e-3)
    assert np.abs(said[1] - said[0]).max() > 1


def test_a_curve_of_normalised_units_is_swept_and_named_in_a_table():
    tasks = mtl.LinearTasks(D, (12, 8), noise=0.3, design=mtl.Isotropic())
    sharing = {"name": "normalised", "of": {"name": "hard", "depth": 2}, "where": "after"}
    cell = mtl.TrainingCurve(tasks, R, training=WeightedTraining("sgd", 4, 0.1, decay=False), n_points=2, sharing=sharing)
    assert cell.sharing == Normalised(Hard(2), where="after") and cell.has_room
    assert jax.eval_shape(lambda key: cell(key=key).risk, KEY).shape == (2,)
    other = at_point(cell, {"sharing.rule": "ada-norm", "sharing.of.depth": 3})
    assert other.sharing == Normalised(Hard(3), "ada-norm", "after")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Normalised("pooled"), "of must be an architecture with hidden units, but is 'pooled'; use 'hard'"),
        (lambda: Normalised("soft"), "of must be an architecture with hidden units, but is 'soft'"),
        (lambda: Normalised(CrossStitch(learned=False)), "of must be one with several units a column, but is cross-stitch, whose"),
        (lambda: Normalised(Normalised()), "of must be an architecture whose units are not normalised yet"),
        (lambda: Normalised(rule="batch-norm"), "rule must be one of the known names"),
        (lambda: Normalised(rule="ada-norm", gain="own"), "gain must be 'held' for ada-norm, which has none, but is 'own'"),
        (lambda: Normalised(where="beside"), "where must be one of the known names"),
        (lambda: mtl.fit(PAIRS, "normalised", rank=1), "units must be at least 3 to be normalised, but is 1"),
        (lambda: mtl.fit(PAIRS, "normalised", rank=2), "units must be at least 3 to be normalised, but is 2"),
        (lambda: mtl.fit(PAIRS, Normalised(Sluice(learned=True)), rank=4), "units must be at least 3 to be normalised, but is 2"),
        (lambda: mtl.TrainingCurve(mtl.LinearTasks(), 2, sharing="normalised"), "units must be at least 3"),
        (lambda: mtl.Transfer(mtl.LinearTasks(), 3, sharing="normalised"), "sharing must be one whose optimum is known"),
        (
            lambda: mtl.fit([mtl.Moments.from_data(*pair) for pair in PAIRS], "normalised", rank=3),
            "tasks must be rows for normalised, which looks at each",
        ),
        (lambda: NormalisedRows(n_source=50.5), "n_source must be a whole number of rows >= 1"),
        (lambda: NormalisedRows(scale=0.0), "scale must be a number > 0"),
        (lambda: NormalisedRows(spread=1.1), "spread must be from 0 to 1"),
        (lambda: NormalisedRows(n_features=2), "n_features must be a whole number >= 3"),
        (lambda: NormalisedRows(normalisation="detach-norm"), "normalisation must be one of the known names"),
        (lambda: turning_scale(NormalisedRows(label="amplitude")), "cell must be one whose gain turns between the scales 1 and 30"),
    ],
)
def test_what_does_not_fit_is_one_sentence(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


# ------------------------------------------------------------------------------------------------ the cell, on rows
def draws(cells, n_seeds):
    """Outputs of cells over seeds; those of one shape are one program."""
    found = over_instances(lambda one, key: one(key=key), cells if isinstance(cells, list) else [cells], KEY, n_seeds)
    return found if isinstance(cells, list) else found[0]


def features(rows, rule):
    if rule == "none":
        return rows
    off = rows - rows.mean(1, keepdims=True)
    if rule == "layer-norm":
        return off / np.sqrt(rows.var(1, keepdims=True) + 1e-5)
    y = off / (rows.std(1, ddof=1, keepdims=True) + 1e-5)
    return y - y**2 / 10 if rule == "ada-norm" else y


def drawn_rows(rng, cell, theta, n, scale):
    """Rows of one task and their signals."""
    u = rng.normal(size=(n, cell.n_features))
    rows = scale * u * rng.choice([1 - cell.spread, 1 + cell.spread], size=(n, 1))
    return rows, rows @ theta if cell.label == "amplitude" else np.sqrt(cell.n_features) * u @ theta / np.linalg.norm(u, axis=1)


@pytest.mark.parametrize(("label", "rule"), [("direction", "none"), ("direction", "ada-norm"), ("amplitude", "layer-norm")])
def test_the_cell_is_least_squares_on_rows(label, rule):
    """Risks on new rows, in NumPy; a risk ten per cent off would be seen."""
    cell, rng = NormalisedRows(40.0, 20.0, 1.5, 0.3, 0.4, label, rule, 5, (40, 20)), np.random.default_rng(9)
    found = {"risk_single": [], "risk_multi": []}
    for _ in range(1500):
        theta = rng.normal(size=5)
        theta /= np.linalg.norm(theta)
        tasks = [drawn_rows(rng, cell, theta, n, scale) for n, scale in ((40, 1.5), (20, 1.0), (60, 1.0))]
        H = [features(rows, rule) for rows, _ in tasks]
        y = [signal + 0.4 * rng.normal(size=len(signal)) for _, signal in tasks[:2]]
        alone = np.linalg.lstsq(H[1], y[1], rcond=None)[0]
        both = np.linalg.lstsq(np.concatenate(H[:2]), np.concatenate(y), rcond=None)[0]
        for name, head in (("risk_single", alone), ("risk_multi", both)):
            found[name].append(np.mean((H[2] @ head - tasks[2][1]) ** 2))
    drawn = draws(cell, 4000)
    for name, wanted in found.items():
        error = np.std(wanted) / np.sqrt(len(wanted))
        assert abs(z_score(drawn[name], np.mean(wanted), error)) < Z_LIMIT, name
        assert min(abs(z_score(drawn[name], twin * np.mean(wanted), error)) for twin in (0.8, 1.2)) > Z_LIMIT, name
    np.testing.assert_allclose(drawn["gain"], drawn["risk_single"] - drawn["risk_multi"], atol=1e-12)
    assert (drawn["status"] == 0).all()


@pytest.mark.parametrize("rule", ["none", "layer-norm", "layer-norm-simple", "ada-norm"])
@pytest.mark.parametrize("label", ["direction", "amplitude"])
def test_the_law_of_a_row_is_that_of_many_rows(label, rule):
    """Of the source too, and where the 1e-5 is felt."""
    theta, n = np.array([0.6, 0.8, 0.0, 0.0]), 20_000
    for scale, spread in ((1.7, 0.5), (0.004 if rule == "layer-norm" else 2e-5, 0.0)):
        cell, rng = (
            NormalisedRows(scale=scale, spread=spread, label=label, normalisation=rule, n_features=4),
            np.random.default_rng(1),
        )
        law = cell.law(jnp.asarray(theta), of_source=True)
        rows, signals = drawn_rows(rng, cell, theta, n, scale)
        H = np.asarray(rows if rule == "none" else NORMALISATIONS[rule](jnp.asarray(rows)))
        for product, wanted in (
            (H[:, :, None] * H[:, None], law.gram),
            (H * signals[:, None], law.cross),
            (signals**2, law.energy),
        ):
            error = product.std(0) / n**0.5
            assert np.all(np.abs(product.mean(0) - np.asarray(wanted)) <= Z_LIMIT * error + 1e-15)
        if rule != "none":
            felt = float(np.trace(law.gram)) / 4
            assert felt > 0.7 if scale > 1 else 0.1 < felt < 0.6


def test_few_rows_and_more_than_there_is_room_for():
    cell = NormalisedRows(6.0, 4.0, normalisation="layer-norm", n_features=12, capacity=(8, 6))
    gain = jax.jit(lambda cell, n: dataclasses.replace(cell, n_source=n)(key=KEY))
    found = gain(cell, 6.0)  # 10 rows of 11 directions
    assert np.isfinite(found["gain"]) and found["status"] == mtl.Status.heavy_tailed
    assert at_point(cell, {"n_source": 9.0}).capacity == (9, 6) and cell.with_room({"n_target": 20.0}).capacity == (8, 20)
    beyond = gain(cell, 9.0)
    assert np.isnan(beyond["gain"]) and beyond["status"] == mtl.Status.out_of_range


# ------------------------------------------------------------------------------------------------ what it is for
def check_predicted(cell, found):
    predicted = predicted_risks(cell)
    for name in ("risk_single", "risk_multi"):
        mean, error = np.mean(found[name]), np.std(found[name]) / len(found[name]) ** 0.5
        assert abs(predicted[name] - mean) < 0.06 * mean + Z_LIMIT * error


PRINTED = {  # scale: risks alone and together of rows as they are, labels of the direction
    1.0: (0.446, 0.041),
    2.0: (0.485, 0.240),
    3.0: (0.445, 0.426),
    4.0: (0.444, 0.551),
    6.0: (0.468, 0.697),
    0.5: (0.426, 0.496),
}


def test_normalisation_turns_the_sign_either_way():
    """Figures computed elsewhere on rows, few draws each: their six risks alone are one quantity, and differ by .02."""
    spread = np.std([alone for alone, _ in PRINTED.values()], ddof=1)
    as_drawn = draws([NormalisedRows(scale=scale) for scale in PRINTED], 20)
    for found, (scale, (alone, together)) in zip(as_drawn, PRINTED.items(), strict=True):
        assert abs(z_score(found["risk_single"], alone, spread)) < Z_LIMIT
        assert abs(z_score(found["risk_multi"], together, 0.02 * together)) < Z_LIMIT
        assert scale == 3 or np.mean(found["gain"]) * (1 if scale in (1, 2) else -1) > 0
    cells = [NormalisedRows(scale=scale, normalisation="layer-norm-simple") for scale in (0.5, 4.0)]
    for cell, found in zip(cells, draws(cells, 20), strict=True):
        check_predicted(cell, found)
        assert abs(z_score(found["risk_single"], 0.44, spread)) < Z_LIMIT and abs(z_score(found["risk_multi"], 0.05)) < Z_LIMIT
    mixed = NormalisedRows(scale=3.0, spread=0.6, label="amplitude")
    plain, normalised = draws([mixed, dataclasses.replace(mixed, normalisation="layer-norm")], 20)
    for found, alone, together in ((plain, 1.263, 0.004), (normalised, 1.369, 3.447)):
        assert abs(z_score(found["risk_single"], alone, 0.05 * alone)) < Z_LIMIT
        assert abs(z_score(found["risk_multi"], together, 0.05 * together)) < Z_LIMIT
    assert np.mean(plain["gain"]) > 1 and np.mean(normalised["gain"]) < -1.5


@pytest.mark.parametrize(("name", "rule"), [("normalisation-tied", "none"), ("normalisation-amplitude", "layer-norm")])
def test_the_gain_turns_at_the_predicted_scale_and_not_at_another(name, rule):
    """Ten per cent below and above it; a turn 40 % off has the wrong sign there."""
    statement = find_statement(name)
    cell = dataclasses.replace(statement.threshold(1.0, np.random.default_rng(0)), n_source=160.0, n_target=65.0, noise=0.5)
    cells = [dataclasses.replace(cell, scale=factor * turning_scale(cell)) for factor in (0.9, 1.1)]
    for cell, found in zip(cells, draws(cells, 400), strict=True):
        predicted = [float(statement.predict(dataclasses.replace(cell, scale=f * cell.scale), KEY)["gain"]) for f in (1, 0.6, 1.6)]
        check_predicted(cell, found)
        assert cell.normalisation == rule and predicted[0] * z_score(found["gain"], 0) > 0
        assert abs(z_score(found["gain"], 0)) > Z_LIMIT and min(predicted[0] * other for other in predicted[1:]) < 0
