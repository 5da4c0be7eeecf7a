"""Fronts of two tasks and more: rows and directions in plain NumPy, exact weighted optima, closed forms of three tasks alike."""

import jax
import numpy as np
import pytest
from conftest import close
from instances import moments_of

import mtlsim as mtl
from mtlsim.solvers.stationary import of_one_direction


def uneven(seed, sizes=(30, 20), d=5):
    """Tasks whose rows differ in every feature's scale."""
    rng = np.random.default_rng(seed)
    rows = [rng.normal(size=(m, d)) * np.exp(rng.uniform(-1.5, 1.5, d)) for m in sizes]
    return [(X, X @ rng.normal(size=d) + 0.3 * rng.normal(size=len(X))) for X in rows]


def opposed(seed):
    """Tasks that agree on a half of the features, and whose rows are large where the other's are small."""
    rng, scales = np.random.default_rng(seed), np.exp([-1, -0.3, 0.3, 1])
    rows = [rng.normal(size=(m, 4)) * own for m, own in ((30, scales), (20, 1 / scales))]
    labels = (X @ (theta / own) for X, theta, own in zip(rows, ([1, 1, 1, 1], [1, -1, 1, -1]), (scales, 1 / scales), strict=True))
    return [(X, y + 0.3 * rng.normal(size=len(y))) for X, y in zip(rows, labels, strict=True)]


def losses_of(tasks, directions):
    """Mean squared errors (T, K) of directions (T, d) under the best heads, from rows."""
    fitted = [directions @ X.T for X, _ in tasks]
    return np.stack([(y @ y - (f @ y) ** 2 / (f**2).sum(1)) / len(y) for f, (_, y) in zip(fitted, tasks, strict=True)], 1)


def least_sum(moments, weights):
    """The proven optimum of rank one under weights of the mean losses."""
    found = mtl.solve(moments, 1, weights / np.asarray(moments.n_samples), certify=moments.n_tasks > 2)
    assert found.gap < 1e-5 * found.loss
    return float(found.loss)


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_no_direction_beats_the_pareto_front(seed):
    tasks = uneven(seed)
    front = mtl.pareto_front(moments_of(tasks))
    np.testing.assert_allclose(losses_of(tasks, front.directions), front.losses, rtol=1e-9)
    assert (np.diff(front.losses[:, 0]) > 0).all() and (np.diff(front.losses[:, 1]) < 0).all()
    rng = np.random.default_rng(9)
    near = front.directions[rng.integers(0, len(front.losses), 4000)] + 0.1 * rng.normal(size=(4000, 5))
    for first, second in losses_of(tasks, np.concatenate([near, rng.normal(size=(4000, 5))])):
        after = np.searchsorted(front.losses[:, 0], first)  # the next point of the front loses more on the first task
        assert after == len(front.losses) or second >= front.losses[after, 1] - 1e-9


def test_every_weighted_optimum_is_on_the_reachable_part_of_the_front():
    moments = moments_of(opposed(7))
    front = mtl.pareto_front(moments)
    for ratio in (0.03, 0.3, 1.0, 3.0, 30.0):
        weights = np.array([ratio, 1.0])
        least = least_sum(moments, weights)
        sums = front.losses @ weights
        assert least <= sums.min() + 1e-9 and sums.min() < least * (1 + 1e-4) and front.reachable[sums.argmin()]
    hidden = front.losses[~front.reachable]
    assert len(hidden) > 100  # different rows bend the front inwards; the same rows never do
    rng = np.random.default_rng(2)
    X = rng.normal(size=(30, 4))
    assert mtl.pareto_front(mtl.Moments.from_shared_rows(X, X[:, :2] + rng.normal(size=(30, 2)))).reachable.all()


@pytest.mark.parametrize(
    ("tasks", "sentence"),
    [
        ([(np.eye(4), np.ones(4))], "moments must be of two tasks or more, but is of 1; pass a source and a target"),
        ([(np.eye(4)[:1], np.ones(1)), (np.eye(4)[1:2], np.ones(1))], "moments must be of full rank together, but is of 2 rows"),
        ([(np.eye(4), np.zeros(4)), (np.eye(4), np.ones(4))], "moments must be of labels that depend on the rows, but is X'y = 0"),
    ],
)
def test_bad_fronts_are_refused_in_one_sentence(tasks, sentence):
    with pytest.raises(ValueError, match=sentence):
        mtl.pareto_front(moments_of(tasks))


@pytest.mark.parametrize(
    ("rank", "sentence"),
    [
        (2, "rank must be 1 where tasks have rows of their own, but is 2; use Moments.from_shared_rows, or rank=1"),
        (0, "rank must be a whole number from 1 to n_features = 5, but is 0"),
        (6, "rank must be a whole number from 1 to n_features = 5, but is 6"),
    ],
)
def test_ranks_without_a_front_are_refused(rank, sentence):
    with pytest.raises(ValueError, match=sentence):
        mtl.pareto_front(moments_of(uneven(2)), rank=rank)


def test_what_no_front_can_say_is_refused():
    moments = moments_of(uneven(2))
    for n_points in (1, -1, True):
        with pytest.raises(ValueError, match=f"n_points must be a whole number >= 2, but is {n_points}; leave it out"):
            mtl.pareto_front(moments, n_points)
    with pytest.raises(
        ValueError, match="n_points must be at most 1562 for 7 tasks, 100000 points in all, but is 2000; use n_points=1562"
    ):
        mtl.pareto_front(moments_of(uneven(2, (9,) * 7)))
    front = mtl.pareto_front(moments, 20)
    for measure in (front.behind, front.beyond_weights):
        with pytest.raises(ValueError, match="losses must be one for each of the 2 tasks"):
            measure([1.0, 2.0, 3.0])
        with pytest.raises(ValueError, match="losses must be finite, but is NaN or infinite somewhere; leave out runs"):
            measure([[1.0, 2.0], [np.nan, 1.0]])


# ------------------------------------------------------------------------------------------------ more tasks
THREE = (30, 20, 15)


@pytest.mark.parametrize(("sizes", "d"), [(THREE, 5), ((30, 20, 15, 25), 5), (THREE, 2)])
def test_points_of_more_tasks_are_stationary_under_their_weights(sizes, d):
    """By differences of losses from rows; with features enough, each mix has a point for every choice of signs."""
    tasks = uneven(4, sizes, d)
    front = mtl.pareto_front(moments_of(tasks), 60)
    np.testing.assert_allclose(losses_of(tasks, front.directions), front.losses, rtol=1e-9)
    steps = 1e-6 * np.eye(d)[:, None]
    slopes = (
        losses_of(tasks, (front.directions + steps).reshape(-1, d)) - losses_of(tasks, (front.directions - steps).reshape(-1, d))
    ) / 2e-6
    slopes = slopes.reshape(d, -1, len(sizes))
    scale = np.abs(slopes * front.weights).sum((0, 2)) + np.sum(front.weights * front.losses, 1)
    assert np.all(np.abs(np.sum(slopes * front.weights, 2)) < 1e-5 * scale)
    assert np.all(front.losses[:, None] <= front.losses, -1).sum() == len(front.losses)  # each by itself alone
    for seed in range(4, 12):
        found = of_one_direction(*mean_sums(uneven(seed, sizes, d)), 60)
        assert (len(found.losses) == 61 * 2 ** (len(sizes) - 1) + len(sizes)) == (d >= len(sizes))


def mean_sums(tasks):
    sums = [(X.T @ X / len(y), X.T @ y / len(y), y @ y / len(y)) for X, y in tasks]
    return tuple(np.array(part) for part in zip(*sums, strict=True))


@pytest.mark.parametrize("seed", [1, 2])
def test_no_direction_beats_the_front_of_three_tasks(seed):
    """Neither directions near its points nor any found by descent of the worst of three weighted losses."""
    tasks = uneven(seed, THREE)
    front = mtl.pareto_front(moments_of(tasks), 1500)
    energies = mean_sums(tasks)[2]
    rng = np.random.default_rng(9)
    near = front.directions[rng.integers(0, len(front.losses), 3000)] * (1 + 0.1 * rng.normal(size=(3000, 5)))
    spacing = 0.03 * energies.max()
    assert front.behind(losses_of(tasks, np.concatenate([near, rng.normal(size=(3000, 5))]))).min() > -spacing
    for weights in rng.dirichlet(np.ones(3), 20):
        directions = np.concatenate([rng.normal(size=(200, 5)), near[:200]])
        for width in 0.8 ** np.arange(40):  # a search that knows no slopes
            directions /= np.linalg.norm(directions, axis=1, keepdims=True)
            tried = np.concatenate([directions, directions + width * rng.normal(size=directions.shape)])
            worst = (losses_of(tasks, tried) / energies / weights).max(1)
            directions = tried[np.argsort(worst)[: len(directions)]]
        best = losses_of(tasks, directions[:1])
        assert front.behind(best)[0] > -spacing, weights


@pytest.mark.parametrize("shared", [True, False])
def test_reachable_points_are_weighted_optima_and_others_are_not(shared):
    if shared:
        rng = np.random.default_rng(3)
        X = rng.normal(size=(30, 5))
        moments = mtl.Moments.from_shared_rows(X, X @ rng.normal(size=(5, 3)) + rng.normal(size=(30, 3)))
    else:
        moments = moments_of(uneven(2, THREE))
    front = mtl.pareto_front(moments, 200)
    sums, over = np.sum(front.weights * front.losses, 1), []
    assert front.reachable.any()
    for i in np.random.default_rng(0).permutation(len(sums))[:20]:
        least = least_sum(moments, front.weights[i])
        assert sums[i] >= least * (1 - 1e-5)
        if front.reachable[i]:
            over.append((sums[i] / least - 1, front.weights[i] / least))
        else:
            assert sums[i] > least
    far = [part for part in over if part[0] > 1e-6]
    assert len(far) <= (0 if shared else len(over) // 3)
    if far:  # on rows of their own as far as the points are fine: sixteen times as many are sixteen times as near
        fine = mtl.pareto_front(moments, 3200)
        assert all((fine.losses @ weights).min() - 1 < excess / 4 for excess, weights in far)


def alike(cosine, n=8, d=4):
    """Three labels of mean square one on the same rows, of one cosine in pairs."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d))
    span = np.linalg.qr(X)[0][:, :3]
    return X, np.sqrt(n) * span @ np.linalg.cholesky((1 - cosine) * np.eye(3) + cosine).T


@pytest.mark.parametrize("cosine", [0.5, 0.2, -0.2])
def test_the_balanced_point_of_three_tasks_alike(cosine):
    """The least worst loss of all layers of two columns and of the optima under weights, by their closed forms."""
    c = cosine
    balanced, weighted = ((1 - c) * (1 + 2 * c) / (3 + 5 * c), (1 - c) / 2) if c > 0 else ((1 + 2 * c) / 3,) * 2
    front = mtl.pareto_front(mtl.Moments.from_shared_rows(*alike(c)), 3000, rank=2)
    for losses, least in ((front.losses, balanced), (front.losses[front.reachable], weighted)):
        assert least - 1e-9 < losses.max(1).min() < least + 0.01
    if c > 0:  # weights (1, 1, 2) lead to what is known, and no others do as well as the balanced point
        assert weighted - balanced - 1e-9 < front.beyond_weights(np.full(3, balanced)) < weighted - balanced + 0.01
    assert -0.01 < front.behind(np.full(3, balanced)) < 1e-9


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_layers_of_some_columns_lie_on_their_front(rank):
    """Losses by least squares on rows; no layer near a point is better for all four tasks."""
    rng = np.random.default_rng(rank)
    X = rng.normal(size=(30, 6))
    Y = X @ (rng.normal(size=(6, 4)) + 1.5 * rng.normal(size=(6, 1))) + rng.normal(size=(30, 4))
    front = mtl.pareto_front(mtl.Moments.from_shared_rows(X, Y), 100, rank)
    layers = front.directions[:, :, None] if rank == 1 else front.directions

    def losses(layer):
        return np.mean((Y - X @ layer @ np.linalg.lstsq(X @ layer, Y, rcond=None)[0]) ** 2, 0)

    for i in rng.permutation(len(layers))[:20]:
        close(losses(layers[i]), front.losses[i])
        for size in (1e-2, 1e-3):
            for _ in range(20):
                near = losses(layers[i] * (1 + size * rng.normal(size=layers[i].shape)))
                assert np.any(near > front.losses[i] - 1e-9)
    # those under whose weights reduced-rank regression does no better, and no others
    tails = [np.linalg.svd(np.linalg.qr(X)[0].T @ Y * np.sqrt(weights))[1][rank:] for weights in front.weights]
    hidden = ((Y - X @ np.linalg.lstsq(X, Y, rcond=None)[0]) ** 2).sum(0)
    least = (np.array([np.sum(tail**2) for tail in tails]) + front.weights @ hidden) / len(X)
    over = np.sum(front.weights * front.losses, 1) / least - 1
    assert (over > -1e-10).all() and front.reachable.any() and np.array_equal(over < 1e-10, front.reachable)


def test_points_bend_upwards_where_no_loss_changes():
    """Two columns for five tasks, by differences: along what leaves all losses the same their weighted sum is convex."""
    rng = np.random.default_rng(5)
    X = np.linalg.qr(rng.normal(size=(20, 5)))[0]
    Y = X @ rng.normal(size=(5, 5))
    front = mtl.pareto_front(mtl.Moments.from_shared_rows(X, Y), 200, 2)

    def losses(layers):  # (..., 5, 2)
        span = np.linalg.qr(X @ layers)[0]
        return (np.sum(Y**2, 0) - np.sum(np.swapaxes(span.swapaxes(-1, -2) @ Y, -1, -2) ** 2, -1)) / 20

    size, eye = 1e-3, np.eye(10).reshape(10, 5, 2)
    for i in rng.permutation(len(front.losses))[:40]:
        at = np.linalg.qr(front.directions[i])[0]
        slopes = (losses(at + size * eye) - losses(at - size * eye)) / (2 * size)
        _, singular, across = np.linalg.svd(slopes.T)
        free = across[np.sum(singular > 1e-4 * singular[0]) :].reshape(-1, 5, 2)
        bent = [[losses(at + size * (s * a + t * b)) * s * t for a in free for b in free] for s in (1, -1) for t in (1, -1)]
        bends = (np.sum(bent, 0) / (4 * size**2) @ front.weights[i]).reshape(len(free), -1)
        assert np.linalg.eigvalsh(bends)[0] > -1e-4 * np.abs(front.weights[i] @ np.sum(Y**2, 0)) / 20


def test_with_a_column_for_every_task_the_front_is_one_point():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(30, 5)), rng.normal(size=(30, 3))
    for rank, labels in ((3, Y), (4, Y), (2, Y[:, [0, 1, 1]])):
        front = mtl.pareto_front(mtl.Moments.from_shared_rows(X, labels), 50, rank)
        assert front.losses.shape == (1, 3) and front.reachable.all()
        close(front.losses[0], np.mean((labels - X @ np.linalg.lstsq(X, labels, rcond=None)[0]) ** 2, 0))


def of_labels(X, Y):
    return [(X, y) for y in Y.T]


@pytest.mark.parametrize("copies", [(0, 1, 1), (0, 0, 1, 1), (0, 1, 1, 1)])
@pytest.mark.parametrize("shared", [True, False])
def test_tasks_alike_leave_the_front_as_fine_as_one_of_them(shared, copies):
    """Copies in other units and of the other sign, and all but copies, against the front of two tasks by directions on rows."""
    rng = np.random.default_rng(1)
    two = uneven(3)
    if shared:
        X = two[0][0]
        two = of_labels(X, X @ rng.normal(size=(5, 2)) + rng.normal(size=(len(X), 2)))
    fine, coarse = (mtl.pareto_front(moments_of(two), n) for n in (2000, 200))
    units = rng.choice([-3.0, 0.1, 1.0], len(copies))

    def furthest(front, tasks):
        """How far a point of the fine front is from the nearest of this, as shares of each task's energy."""
        energies = np.array([np.mean(y**2) for _, y in tasks])
        return np.min(np.max((front.losses[:, None] - losses_of(tasks, fine.directions)) / energies, -1), 0).max()

    for off in (0, 1e-12, 1e-6, 1e-3):
        tasks = [
            (X, unit * (y + off * y.std() * rng.normal(size=len(y))))
            for (X, y), unit in zip([two[i] for i in copies], units, strict=True)
        ]
        moments = mtl.Moments.from_shared_rows(X, np.stack([y for _, y in tasks], 1)) if shared else moments_of(tasks)
        assert furthest(mtl.pareto_front(moments, 200), tasks) < 1.2 * furthest(coarse, two)


@pytest.mark.parametrize(("n_tasks", "rank"), [(3, 1), (4, 1), (4, 2)])
def test_fronts_of_labels_that_depend_on_each_other(n_tasks, rank):
    """The last is the sum of the others: no direction is better, nor left out with less, of many that fill the span."""
    rng = np.random.default_rng(n_tasks)
    X = np.linalg.qr(rng.normal(size=(30, 6)))[0]
    Y = X[:, : n_tasks - 1] @ rng.normal(size=(n_tasks - 1, n_tasks - 1)) + 0.1 * X[:, -1:]
    Y = np.concatenate([Y, Y.sum(1, keepdims=True)], 1)
    front = mtl.pareto_front(mtl.Moments.from_shared_rows(X, Y), 600, rank)
    span, energies = np.linalg.svd(Y, full_matrices=False)[0][:, : n_tasks - 1], np.sum(Y**2, 0)
    parts = (span.T @ Y).T @ (each := rng.normal(size=(n_tasks - 1, 20_000)) * rng.choice([1, 10, 100], (n_tasks - 1, 1)))
    parts = parts.T**2 / np.sum(each**2, 0)[:, None]
    losses = (energies - parts if rank == 1 else parts) / 30
    behind = np.concatenate(
        [np.max(np.min((part[:, None] - front.losses) / energies * 30, -1), 1) for part in np.array_split(losses, 40)]
    )
    spacing = 0.01 if n_tasks == 3 else 0.1
    assert behind.min() > -spacing
    layers = front.directions[:, :, None] if rank == 1 else front.directions
    for i in rng.permutation(len(layers))[:20]:
        fit = np.linalg.qr(X @ layers[i])[0]
        np.testing.assert_allclose(front.losses[i], (energies - np.sum((fit.T @ Y) ** 2, 0)) / 30, rtol=1e-8, atol=1e-10)
    assert not any(np.any(np.all(losses < point - spacing * energies / 30, 1)) for point in front.losses)


@pytest.mark.parametrize("sizes", [(30, 20, 1), (4, 3, 2)])
def test_losses_of_few_rows_are_those_on_the_rows(sizes):
    tasks = uneven(3, sizes, 4)
    front = mtl.pareto_front(moments_of(tasks), n_points=100)
    np.testing.assert_allclose(losses_of(tasks, front.directions), front.losses, rtol=1e-8, atol=1e-10)
    assert front.reachable.any()


@pytest.mark.parametrize("kind", ["scales", "nearly a copy"])
def test_squares_of_columns_cost_no_digits(kind):
    rng = np.random.default_rng(0)
    make = {"scales": np.diag([1e5, 1.0, 1e-5, 1e-3]), "nearly a copy": np.eye(4) + np.outer(np.eye(4)[0], [0, 0, 0, 1e7])}[kind]
    plain = uneven(2, (30, 20), 4)
    tasks = [(X @ make, y) for X, y in plain]
    front = mtl.pareto_front(moments_of(tasks), n_points=200)
    np.testing.assert_allclose(losses_of(tasks, front.directions), front.losses, rtol=1e-7)
    X, Y = tasks[0][0], plain[0][1][:, None] + rng.normal(size=(30, 2))
    shared = mtl.pareto_front(mtl.Moments.from_shared_rows(X, Y), n_points=200)
    np.testing.assert_allclose(losses_of([(X, y) for y in Y.T], shared.directions), shared.losses, rtol=1e-7)


def test_sums_that_have_lost_the_digits_are_refused():
    tasks = [(X @ np.diag([1.0, 1.0, 1.0, 1e-6]) + X[:, [0]] * [0, 0, 0, 1], y) for X, y in uneven(2, (30, 20), 4)]
    moments = moments_of(tasks)
    sums = mtl.Moments(moments.gram, moments.cross, moments.energy, moments.n_samples)
    with pytest.raises(ValueError, match="make the moments of rows"):
        mtl.pareto_front(sums)
    assert len(mtl.pareto_front(moments, n_points=20).losses)


def test_sums_in_uneven_units_keep_their_digits():
    tasks = [(X * [1e6, 1.0, 1e-4, 1.0], y) for X, y in uneven(2, (30, 20), 4)]
    moments = moments_of(tasks)
    front = mtl.pareto_front(mtl.Moments(moments.gram, moments.cross, moments.energy, moments.n_samples), n_points=200)
    np.testing.assert_allclose(losses_of(tasks, front.directions), front.losses, rtol=1e-7)


def test_directions_that_float32_cannot_tell_from_rounding_are_refused():
    tasks = [(X @ (np.eye(4) * [1, 1, 1, 1e-7] + np.outer(np.eye(4)[0], [0, 0, 0, 1])), y) for X, y in uneven(2, (30, 20), 4)]
    moments = moments_of(tasks)
    assert len(mtl.pareto_front(moments, n_points=10).losses)
    with pytest.raises(ValueError, match="full rank"):
        mtl.pareto_front(jax.tree.map(lambda part: part.astype(np.float32), moments), n_points=10)


def test_no_point_stands_on_the_rounding_of_a_layer_orthogonal_to_a_row():
    tasks = uneven(3, (30, 20, 1), 4)
    front = mtl.pareto_front(moments_of(tasks), n_points=100)
    for (X, y), losses in zip(tasks, front.losses.T, strict=True):
        fits = np.linalg.norm(front.directions @ X.T, axis=1) / np.linalg.norm(X, 2)
        assert np.all(losses[fits < 1e-9] >= np.mean(y**2) * (1 - 1e-9))


@pytest.mark.parametrize("shared", [True, False])
def test_units_of_labels_and_rows_change_nothing(shared):
    rng, units = np.random.default_rng(4), np.array([1e-6, 1.0, 1e6])
    tasks = uneven(4, THREE, 4)
    if shared:
        X, Y = tasks[0][0], tasks[0][0] @ rng.normal(size=(4, 3)) + rng.normal(size=(THREE[0], 3))
        plain, other = (mtl.pareto_front(mtl.Moments.from_shared_rows(X, part), n_points=50) for part in (Y, Y * units))
    else:
        moments = moments_of(tasks), moments_of([(X * unit, y * unit) for (X, y), unit in zip(tasks, units, strict=True)])
        plain, other = (mtl.pareto_front(one, n_points=50) for one in moments)
    np.testing.assert_allclose(other.losses / units**2, plain.losses, rtol=1e-6)
    assert np.array_equal(other.reachable, plain.reachable) and plain.reachable.mean() > 0.05
