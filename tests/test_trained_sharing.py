"""Architectures that are trained: gates and masks that look at x, several layers. Loops of NumPy say what they compute."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import close
from scipy.optimize import minimize

import mtlsim as mtl
from mtlsim import Status, WeightedTraining
from mtlsim.cells.network import held_out_risk
from mtlsim.samples.data import Rows
from mtlsim.sharing._sharing import Shape, identity
from mtlsim.sharing.attention import Masked, MultiTaskAttention
from mtlsim.sharing.branched import Branched
from mtlsim.sharing.covariance_alignment import CovarianceAlignment
from mtlsim.sharing.cross_stitch import CrossStitch, Stitched
from mtlsim.sharing.hard import Hard
from mtlsim.sharing.mixture_of_experts import MixtureOfExperts
from mtlsim.sharing.multilinear_heads import MultilinearHeads
from mtlsim.sharing.sluice import Sluice, Sluiced
from mtlsim.sharing.soft import Soft
from mtlsim.sharing.soft_parameters import SoftParameters
from mtlsim.sharing.trace_norm import TraceNorm
from mtlsim.sharing.trace_norm_layers import TraceNormLayers
from mtlsim.training.shared import losses_of
from mtlsim.weighting import find_scheme

D, K, R = 4, 3, 2
RNG = np.random.default_rng(5)
PAIRS = [(RNG.normal(size=(n, D)), RNG.normal(size=n)) for n in (9, 7, 6)]
MOMENTS = [mtl.Moments.from_data(*pair) for pair in PAIRS]
X = RNG.normal(size=(11, D))
relu = lambda scores: np.maximum(scores, 0)
UNITS = {"identity": (identity, lambda scores: scores), "relu": (jax.nn.relu, relu)}
SHARINGS = {
    "masks": MultiTaskAttention(),
    "masks of inputs, three layers": MultiTaskAttention("input", 5, 3),
    "MMoE": MixtureOfExperts(),
    "CGC": MixtureOfExperts(2, 1),
    "PLE of three levels": MixtureOfExperts(2, 1, levels=3),
    "one gate": MixtureOfExperts(3, one_gate=True),
    "gates that look at nothing": MixtureOfExperts(2, 1, "nothing"),
    "such gates on two levels": MixtureOfExperts(2, 1, "nothing", levels=2),
    "hard, three layers": Hard(3),
    "stitches, two layers": CrossStitch(depth=2),
    "stitches of channels, two layers": CrossStitch(depth=2, per_channel=True),
    "alignments": CovarianceAlignment(0.7),
    "soft layers": SoftParameters(0.7, 0.2),
    "soft layers, three": SoftParameters(0.7, 0.2, 3),
    "related heads, two layers": MultilinearHeads(np.eye(K) + 0.5, 0.4, 2),
    "trace norms of layers, two": TraceNormLayers(0.3, 2),
    "branches, two layers": Branched(((0, 0, 1), (0, 1, 2))),
    "sluice": Sluice(learned=True, decay=0.3, orthogonality=0.7),
    "sluice, three layers": Sluice("balanced", 0.3, True, 0.7, 3),
}
TIGHT = {"xatol": 1e-10, "fatol": 1e-12, "maxiter": 20_000, "maxfev": 20_000}
LINEAR = [name for name, sharing in SHARINGS.items() if not sharing.needs_rows]


def random_params(sharing):
    """Parameters with no entry that is zero or equal to another by the rule of the start."""
    params, rng = sharing.init(jax.random.key(1), Shape(K, D, R)), np.random.default_rng(6)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), params)


def softmax(scores):
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def by_hand(sharing, params, x, task, unit):
    """What one task says of one row."""
    params = jax.tree.map(np.asarray, params)
    if isinstance(sharing, (Hard, MultilinearHeads)):
        for columns in params.columns:
            x = unit(columns.T @ x)
        return x @ params.heads[task]
    if isinstance(sharing, (SoftParameters, Branched)):
        places = [[task] * K, [task] * K] if isinstance(sharing, SoftParameters) else sharing.groups
        for columns, groups in zip(params.columns, itertools.cycle(places), strict=False):
            x = unit(columns[groups[task]].T @ x)
        return x @ params.heads[task]
    if isinstance(sharing, TraceNormLayers):
        for common, mixture in zip(params.common.columns, params.mixtures[:-1], strict=True):
            x = unit(sum(m * columns for m, columns in zip(mixture[task], common, strict=True)).T @ x)
        return x @ sum(m * head for m, head in zip(params.mixtures[-1][task], params.common.heads, strict=True))
    if isinstance(sharing, CovarianceAlignment):
        return unit(params.shared.T @ params.alignments[task].T @ x) @ params.heads[task]
    if isinstance(sharing, MultiTaskAttention):
        below, refined = x, []
        for layer, columns in enumerate(params.columns):
            features = unit(columns.T @ below)
            seen = np.concatenate([below if sharing.sees == "input" else features, *refined])
            mask = 1 / (1 + np.exp(-params.masks[layer][task].T @ relu(params.hidden[layer][task].T @ seen)))
            if layer < len(params.refinements):
                refined = [unit(params.refinements[layer].T @ (mask * features))]
            below = features
        return (mask * features) @ params.heads[task]
    if isinstance(sharing, MixtureOfExperts):
        inputs, common = [x] * K, x
        for level in params.levels:
            shared = [unit(columns.T @ common) for columns in level.shared]
            own = [[unit(columns.T @ inputs[k]) for columns in level.own[k]] for k in range(K)]
            gate = lambda k, level=level: 0 if sharing.one_gate else k
            sees = level.gates.shape[1]  # all of it, or nothing
            shares = [softmax(level.gates[gate(k)].T @ inputs[k][:sees] + level.offsets[gate(k)]) for k in range(K)]
            mixed = [sum(s * e for s, e in zip(shares[k], shared + own[k], strict=True)) for k in range(K)]
            if level.onward is not None:
                onward = softmax(level.onward.T @ common[:sees] + level.onward_offsets)
                every = [*shared, *(expert for several in own for expert in several)]
                common = sum(s * e for s, e in zip(onward, every, strict=True))
            inputs = mixed
        return inputs[task] @ params.heads[task]
    if isinstance(sharing, CrossStitch):
        streams = [x] * K
        for columns, amounts in zip(params.columns, params.amounts, strict=True):
            units = [unit(columns[k].T @ streams[k]) for k in range(K)]
            streams = [sum(amounts[k, l] * units[l] for l in range(K)) for k in range(K)]  # noqa: E741  # one amount, or one of each unit
        return streams[task] @ params.heads[task]
    streams, said = [x] * K, 0.0
    for layer, (columns, amounts) in enumerate(zip(params.columns, params.amounts, strict=True)):
        units = [unit(columns[k, s].T @ streams[k]) for k in range(K) for s in range(2)]
        mixed = [sum(a * u for a, u in zip(row, units, strict=True)) for row in amounts]
        streams = [np.concatenate(mixed[2 * k : 2 * k + 2]) for k in range(K)]
        said = said + params.layers[task, layer] * (streams[task] @ params.heads[task])
    return said


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("name", SHARINGS)
def test_what_it_computes_is_what_loops_over_rows_compute(name, unit):
    sharing = SHARINGS[name]
    params, (ours, plain) = random_params(sharing), UNITS[unit]
    every = jax.jit(lambda params, rows: [sharing.outputs(params, rows, task, ours) for task in range(K)])
    for task, said in enumerate(every(params, jnp.asarray(X))):
        close(said, np.array([by_hand(sharing, params, x, task, plain) for x in X]), 2)


@pytest.mark.parametrize("name", LINEAR)
def test_linear_ones_have_parameters(name):
    sharing = SHARINGS[name]
    params = random_params(sharing)
    every = lambda params, rows: [sharing.outputs(params, rows, task) for task in range(K)]
    parameters, said = jax.jit(lambda params, rows: (sharing.linear(params), every(params, rows)))(params, jnp.asarray(X))
    for task in range(K):
        close(said[task], X @ parameters[task], 2)
    longest = max(len(y) for _, y in PAIRS)
    rows = Rows(*(jnp.zeros((K, longest, *tail)) for tail in ((D,), ())), jnp.zeros((K, longest), bool))
    for k, (own, labels) in enumerate(PAIRS):
        n = len(labels)
        rows = Rows(rows.X.at[k, :n].set(own), rows.y.at[k, :n].set(labels), rows.used.at[k, :n].set(True))
    sums = mtl.fit(PAIRS, sharing, rank=R, training=WeightedTraining(n_steps=1))  # moments behind it
    of_rows = losses_of(rows, sharing, sums.params, "identity")
    close(sums.losses, of_rows, 2)
    close(of_rows, [np.sum((x @ theta - y) ** 2) for (x, y), theta in zip(PAIRS, np.asarray(sums.parameters), strict=True)], 2)


def test_masks_of_the_worked_example():
    eye, heads = jnp.eye(2), jnp.array([[1.0, 0.5]])
    for amount, said in ((0, 0.75), (1, 1.09659), (-1, 0.40341)):
        params = Masked([eye], [eye[None]], [amount * eye[None]], [], heads)
        assert abs(float(MultiTaskAttention().outputs(params, jnp.ones((1, 2)), 0)[0]) - said) < 1e-5


def test_subspaces_of_the_worked_example():
    columns = jnp.array([[[1.0, 0], [0, 1]], [[1, 1], [0, 1]]])[..., None]
    heads = jnp.array([[1.0, 1], [1, -1]])
    for mixture, wanted in (("balanced", [[1, 1.5], [0, 0]]), ("private", [[1, 1.5], [1, -0.5]])):
        sluice = Sluice(mixture, 0.0, True, 1.0)
        params = Sluiced([columns], [sluice.amounts(2)], jnp.ones((2, 1)), heads)
        close(sluice.linear(params), np.array(wanted))
        close(sluice.penalty(params), 1.0)  # 0^2 of the first task's two columns, 1^2 of the second's


def test_paths_of_two_layers_of_stitches():
    """w_k is the sum over all paths of alpha2_kl alpha1_lm B1_m B2_l A_k."""
    sharing = CrossStitch(depth=2)
    params = random_params(sharing)
    (B1, B2), (a1, a2), heads = (jax.tree.map(np.asarray, part) for part in params)
    wanted = np.einsum("kl,lm,mdr,lrs,ks->kd", a2, a1, B1, B2, heads)
    close(sharing.linear(params), wanted, 2)


# ------------------------------------------------------------------------------------------------------------ reductions
def test_a_mask_of_one_half_is_hard_sharing_with_heads_twice_as_large():
    attention, hard = MultiTaskAttention(), Hard()
    params = random_params(attention)
    still = params._replace(masks=[jnp.zeros_like(params.masks[0])])
    plain = hard.init(jax.random.key(0), Shape(K, D, R))._replace(shared=params.columns[0], heads=params.heads / 2)
    for task in range(K):
        for unit in (identity, jax.nn.relu):
            close(
                attention.outputs(still, jnp.asarray(X), task, unit), np.asarray(hard.outputs(plain, jnp.asarray(X), task, unit)), 1
            )


def test_experts_alone_shared_or_chosen():
    """One shared expert is hard sharing; a gate on one expert is that expert; one gate and equal heads are one function."""
    one, hard = MixtureOfExperts(1), Hard()
    params = random_params(one)
    plain = hard.init(jax.random.key(0), Shape(K, D, R))._replace(shared=params.levels[0].shared[0], heads=params.heads)
    close(one.outputs(params, jnp.asarray(X), 1, jax.nn.relu), np.asarray(hard.outputs(plain, jnp.asarray(X), 1, jax.nn.relu)), 1)
    private = MixtureOfExperts(2, 1)
    params = random_params(private)
    level = params.levels[0]
    shut = level._replace(gates=0 * level.gates, offsets=jnp.tile(jnp.array([0.0, 0.0, 800.0]), (K, 1)))
    for task in range(K):
        own = np.maximum(X @ np.asarray(level.own[task, 0]), 0) @ np.asarray(params.heads[task])
        close(private.outputs(params._replace(levels=[shut]), jnp.asarray(X), task, jax.nn.relu), own, 1)
    same = MixtureOfExperts(3, one_gate=True)
    params = random_params(same)
    params = params._replace(heads=jnp.broadcast_to(params.heads[0], params.heads.shape))
    close(same.outputs(params, jnp.asarray(X), 0), np.asarray(same.outputs(params, jnp.asarray(X), 2)), 1)


@pytest.mark.parametrize("name", SHARINGS)
def test_own_experts_masks_and_heads_are_the_tasks_own(name):
    """What is declared as a task's own moves no other task, and what is declared as shared moves several."""
    sharing = SHARINGS[name]
    params = random_params(sharing)
    own = sharing.owned(params)
    says = lambda params, task: sharing.outputs(params, jnp.asarray(X), task, jnp.tanh)
    slopes = [jax.grad(lambda p, task=task: jnp.sum(says(p, task) ** 2))(params) for task in range(K)]
    deeper = "levels" in name  # there what is a task's own on the first level reaches others by the shared experts of the next
    for k, slope in enumerate(slopes):
        for leaf, is_own in zip(jax.tree.leaves(slope), jax.tree.leaves(own), strict=True):
            if is_own and not deeper:
                assert np.abs(np.delete(np.asarray(leaf), k, 0)).max(initial=0) == 0
    for leaves, is_own in zip(zip(*map(jax.tree.leaves, slopes), strict=True), jax.tree.leaves(own), strict=True):
        if not is_own and leaves[0].size:
            assert sum(np.abs(np.asarray(leaf)).max(initial=0) > 0 for leaf in leaves) == K


@pytest.mark.parametrize("sharing", [Hard(2), CrossStitch(depth=3), Sluice(learned=True, depth=2)], ids=str)
def test_more_linear_layers_have_the_optimum_of_one(sharing):
    alone = np.stack([np.linalg.lstsq(x, y, rcond=None)[0] for x, y in PAIRS])
    found = mtl.fit(PAIRS, sharing, rank=4)
    np.testing.assert_allclose(found.parameters, alone, atol=1e-8)
    close(sharing.linear(found.params), np.asarray(found.parameters), 3)
    trained = mtl.fit(PAIRS, sharing, rank=4, training=WeightedTraining(n_steps=6000, learning_rate=0.02))
    assert 0 <= trained.gap < 1e-3 * trained.loss
    deep, flat = mtl.fit(PAIRS[:2], Hard(3), rank=1), mtl.fit(PAIRS[:2], "hard", rank=1)
    close(deep.loss, np.asarray(flat.loss))


@pytest.mark.parametrize("name", ["masks", "CGC", "sluice, three layers"])
def test_training_fits_and_comes_back_from_its_file(name, tmp_path):
    sharing = SHARINGS[name]
    energy = sum(np.sum(y**2) for _, y in PAIRS)
    found = mtl.fit(PAIRS, sharing, rank=R, activation="relu", training=WeightedTraining(n_steps=3000))
    assert found.loss < 0.7 * energy and found.parameters is None and found.route == "adam"
    said = sum(np.sum((np.asarray(found.predict(x, k)) - y) ** 2) for k, (x, y) in enumerate(PAIRS))
    close(said + float(sharing.penalty(found.params)), np.asarray(found.loss), 3)
    found.save(tmp_path / "fit.npz")
    back = mtl.Fitted.load(tmp_path / "fit.npz")
    np.testing.assert_array_equal(back.predict(X, 1), found.predict(X, 1))
    assert jax.tree.structure(back.params) == jax.tree.structure(found.params)
    with pytest.raises(ValueError, match=r"X must be of shape \(m, 4\), but is of shape \(2, 3\)"):
        found.predict(np.zeros((2, 3)))


@pytest.mark.parametrize("scheme", ["inverse-gradient-norm", "mgda"])
def test_schemes_see_what_tasks_share_under_masks(scheme):
    training = WeightedTraining(n_steps=1500)
    found = mtl.fit(PAIRS, MultiTaskAttention(), rank=R, scheme=find_scheme(scheme)(), training=training)
    assert np.isfinite(found.loss) and found.loss < 2 * mtl.fit(PAIRS, MultiTaskAttention(), rank=R, training=training).loss


# ---------------------------------------------------------------------------------------------------- along their training
SHORT = WeightedTraining("sgd", 100, 0.1, decay=False)


@pytest.mark.parametrize("recipe", [mtl.LinearTasks, mtl.ReluTasks])
@pytest.mark.parametrize("name", ["masks", "CGC", "hard, three layers"])
def test_curves_of_gates_and_layers_are_swept(name, recipe):
    """Rows have room for the grid, draws are those of the cell alone, and the risk is that of new rows."""
    tasks = recipe(D, (12, 20), noise=0.3, design=mtl.Isotropic())
    cell = mtl.TrainingCurve(tasks, R, training=SHORT, n_points=2, sharing=SHARINGS[name])
    data = mtl.sweep(cell, {"tasks.n_samples[0]": [12, 30]}, 3, jax.random.key(2), progress=False)
    assert np.isfinite(data["risk"]).all() and (data.status == Status.ok).all()
    assert cell.has_room == (name != "hard, three layers" and recipe is mtl.LinearTasks)
    if name != "masks":
        return
    more = dataclasses.replace(tasks, n_samples=(30, 20), **({"capacity": 30} if recipe is mtl.ReluTasks else {}))
    other = mtl.sweep(dataclasses.replace(cell, tasks=more), {"tasks.noise": [0.3]}, 3, jax.random.key(2), progress=False)
    swept = data["risk"].sel({"tasks.n_samples[0]": [30]}).values
    close(swept, other["risk"].values, 3)  # of the same keys, whichever way the size was given


def test_the_risk_on_rows_held_out_is_that_of_the_parameters():
    """Of a linear function it is known."""
    tasks = mtl.LinearTasks(D, (30, 30), noise=0.3, design=mtl.Isotropic())
    drawn, key = tasks.draw(key=jax.random.key(3)), jax.random.key(3)
    estimate = drawn.parameters[1] + 0.3
    measured = [float(held_out_risk(drawn, lambda rows: rows @ estimate, 1, jax.random.fold_in(key, i))) for i in range(8)]
    wanted = float(drawn.excess_risk(estimate, 1))
    error = np.std(measured, ddof=1) / 8**0.5
    assert abs(np.mean(measured) - wanted) < 4 * error < 0.05 * wanted


def test_a_pull_at_layers_is_a_penalty_on_angles_if_heads_decay():
    """Of two linear tasks of one column: factors are trained, the penalty of the product of both is searched; and the trap."""
    pair = [
        (np.array([[1.0, 0], [0, 1], [1, 1]]), np.array([1.0, 0, 2])),
        (np.array([[1.0, 0], [0, 2]]), np.array([1.0, 2])),
    ]

    def objective(flat):
        first, second, size = flat[:2], flat[2:4], flat[4]
        squares = sum(np.sum((x @ own - y) ** 2) for (x, y), own in zip(pair, (first, second), strict=True))
        return squares + 2 * np.sqrt(0.1 * (1 + 1 / size**2)) * np.linalg.norm(size * first - second)

    starts = np.random.default_rng(12).normal(size=(6, 5))
    wanted = min(minimize(objective, start, method="Nelder-Mead", options=TIGHT).fun for start in starts)
    assert wanted == pytest.approx(0.697415, abs=1e-6)  # worked out apart
    for strength, decay in ((0.5, 0.2), (0.25, 0.4)):
        training = WeightedTraining(n_steps=20_000, learning_rate=0.02)
        found = mtl.fit(pair, SoftParameters(strength, decay), training=training)
        assert abs(float(found.loss) - wanted) < 2e-5 * wanted
    trap = SoftParameters(10.0, 0.0)
    params, rows = random_params(trap), jnp.asarray(X)
    shorter = params._replace(columns=[one / 1000 for one in params.columns], heads=1000 * params.heads)
    for task in range(K):
        close(trap.outputs(shorter, rows, task, jax.nn.relu), trap.outputs(params, rows, task, jax.nn.relu), 3)
    assert float(trap.penalty(shorter)) == pytest.approx(1e-6 * float(trap.penalty(params)), rel=1e-9)
    by_pairs = sum(np.sum((params.columns[0][k] - params.columns[0][m]) ** 2) for k in range(K) for m in range(k))
    assert float(trap.penalty(params)) == pytest.approx(10 * float(by_pairs), rel=1e-9)


def test_stitches_of_one_layer_by_channel():
    sharing = CrossStitch(per_channel=True)
    columns, amounts, heads = random_params(sharing)
    assert amounts.shape == (K, K, R)
    for task in range(K):
        mixed = sum(amounts[task, other] * relu(X @ columns[other]) for other in range(K))
        close(sharing.outputs(Stitched(columns, amounts, heads), jnp.asarray(X), task, jax.nn.relu), mixed @ heads[task], 2)
    found = mtl.fit(PAIRS, sharing, rank=R)
    close(found.parameters, mtl.fit(PAIRS, CrossStitch(), rank=R).parameters, 2)  # of linear units every task alone


def nuclear(matrix):
    return np.sum(np.linalg.svd(matrix, compute_uv=False))


def test_related_heads_on_a_decayed_layer_are_a_trace_norm_in_their_metric():
    """Factors are trained, the norm is searched over parameters; of unrelated heads it is `trace-norm`, solved."""
    decay, related = 0.3, np.eye(K) + 0.6
    half = np.linalg.inv(np.linalg.cholesky(related))  # any root of the inverse has the same singular values

    def objective(flat, root):
        thetas = flat.reshape(K, D)
        squares = sum(np.sum((x @ own - y) ** 2) for (x, y), own in zip(PAIRS, thetas, strict=True))
        return squares + 2 * decay * nuclear(root @ thetas)

    training = WeightedTraining(n_steps=4000, learning_rate=0.03)
    for covariance, root in ((related, half), (None, np.eye(K))):
        starts = np.random.default_rng(13).normal(size=(3, K * D))
        wanted = min(minimize(objective, start, args=(root,), options={"gtol": 1e-9}).fun for start in starts)
        found = mtl.fit(PAIRS, MultilinearHeads(covariance, decay), rank=K, training=training)
        assert abs(float(found.loss) - wanted) < 1e-5 * wanted, covariance
    assert abs(wanted - float(mtl.fit(PAIRS, TraceNorm(2 * decay)).loss)) < 1e-6 * wanted
    assert abs(float(found.loss) - float(mtl.fit(PAIRS, MultilinearHeads(related, decay), rank=K).loss)) > 0.01 * wanted


def test_mixtures_of_common_layers_are_a_trace_norm_of_the_tasks_own():
    """Of linear units and of ReLU: mixtures are trained, the norms of the tasks' own layers are searched."""
    strength, pairs = 0.8, [(np.abs(x[:, :2]), y) for x, y in PAIRS[:2]]
    training = WeightedTraining(n_steps=8000, learning_rate=0.02)
    for activation, (_, unit) in UNITS.items():

        def objective(flat, unit=unit):
            layers, heads = flat[:4].reshape(2, 2), flat[4:]
            says = [unit(x @ own) * head for (x, _), own, head in zip(pairs, layers, heads, strict=True)]
            squares = sum(np.sum((said - y) ** 2) for said, (_, y) in zip(says, pairs, strict=True))
            return squares + strength * (nuclear(layers) + np.linalg.norm(heads))  # the heads are one column

        found = mtl.fit(pairs, TraceNormLayers(strength), training=training, activation=activation)
        own = found.sharing.own(found.params)
        at = np.concatenate([np.ravel(own.columns[0]), np.ravel(own.heads)])
        assert abs(objective(at) - float(found.loss)) < 1e-4 * float(found.loss)  # the factors are balanced
        around = at + 0.3 * np.random.default_rng(14).normal(size=(4, 6))
        wanted = min(minimize(objective, start, method="Nelder-Mead", options=TIGHT).fun for start in around)
        assert abs(float(found.loss) - wanted) < 1e-4 * wanted


@pytest.mark.parametrize(("sharing", "strength"), [(Soft(0.5, 0.3), 0.5), (Soft(20.0, 0.3), 20.0), (Hard(), None)], ids=str)
def test_classes_are_learned_by_the_logistic_loss(sharing, strength):
    """The convex problem of soft sharing, and factors of hard sharing, searched on the rows by another program."""
    rng = np.random.default_rng(8)
    pairs = [(rows, np.where(rows[:, 0] + rng.logistic(size=len(rows)) > 0, 1.0, -1.0)) for rows in rng.normal(size=(K, 40, D))]
    weights = np.array([1.0, 0.5, 2.0])
    losses = lambda theta: [np.sum(np.logaddexp(0, -y * (x @ own))) for (x, y), own in zip(pairs, theta, strict=True)]

    def objective(flat):
        if strength is None:
            return weights @ losses(np.outer(flat[D:], flat[:D]))
        theta = flat.reshape(K, D)
        pulls = sum(np.sum((theta[k] - theta[m]) ** 2) for k in range(K) for m in range(k))
        return weights @ losses(theta) + strength * pulls + 0.3 * np.sum(theta**2)

    size = D + K if strength is None else K * D
    wanted = min(minimize(objective, start, options={"gtol": 1e-8}).fun for start in rng.normal(size=(4, size)))
    training = WeightedTraining(n_steps=4000, learning_rate=0.03)
    found = mtl.fit(pairs, sharing, weights=weights, loss="logistic", training=training)
    assert abs(float(found.loss) - wanted) < 1e-6 * wanted and found.status == 0
    np.testing.assert_allclose(found.losses, losses(np.asarray(found.parameters)), rtol=1e-9)
    by_sums = mtl.fit(pairs, sharing, weights=weights)  # squares of the same labels are another problem
    assert not np.allclose(by_sums.parameters, found.parameters, rtol=0.1)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: mtl.fit(PAIRS, loss="logistic"), "y must be -1 and 1, but is .*; use 2 \\* y - 1 for labels 0 and 1"),
        (lambda: mtl.fit(MOMENTS, loss="logistic"), "loss must be 'squared' for moments, but is 'logistic'; pass rows"),
        (lambda: mtl.fit(PAIRS, loss="hinge"), "loss must be one of the known names, but is 'hinge'"),
        (lambda: mtl.fit(MOMENTS, activation="relu"), "activation must be 'identity' for moments, but is 'relu'; pass rows"),
        (lambda: MultiTaskAttention("rows"), "sees must be one of the known names"),
        (lambda: MultiTaskAttention(width=0), "width must be a whole number >= 1, but is 0"),
        (lambda: MultiTaskAttention(depth=0), "depth must be a whole number >= 1, but is 0"),
        (lambda: Hard(0), "depth must be a whole number >= 1, but is 0"),
        (lambda: CrossStitch(depth=0), "depth must be a whole number >= 1, but is 0"),
        (lambda: Sluice(depth=2), "depth must be 1 where the mixing is held, but is 2; use learned=True"),
        (lambda: MixtureOfExperts(0), "shared must be at least 1 where no task has experts of its own"),
        (lambda: MixtureOfExperts(2, 1, one_gate=True), "one_gate must be False where tasks have experts of their own"),
        (lambda: mtl.fit(PAIRS, Sluice(learned=True), rank=3), "rank must be even, for two subspaces of as many columns, but is 3"),
        (
            lambda: mtl.fit(MOMENTS, "attention"),
            "tasks must be rows for attention, which looks at each, but is Moments; pass a pair",
        ),
        (lambda: mtl.Transfer(mtl.LinearTasks(), sharing="attention"), "sharing must be one whose optimum is known"),
        (lambda: mtl.Transfer(mtl.LinearTasks(), sharing=CrossStitch(learned=False, depth=2)), "one whose optimum is known"),
        (lambda: mtl.Transfer(mtl.ReluTasks(), sharing=Hard(2)), "sharing must be 'hard' of depth one for ReLU tasks"),
        (lambda: mtl.TrainingCurve(mtl.LinearTasks(), capacity=9), "capacity must be left out where no rows of linear tasks"),
    ],
)
def test_what_does_not_fit_is_one_sentence(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()
