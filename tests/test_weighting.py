"""Task weights: worked examples, equivalences between schemes, brute force, and what training with them ends at."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import Z_LIMIT, close, z_score
from scipy import optimize, stats

import mtlsim as mtl
from mtlsim import cli
from mtlsim.weighting import Facts, OneOf, Signals, conformance, find_scheme, normalise, scheme_names
from mtlsim.weighting.mgda import is_pareto_stationary, shortest_mixture

EXAMPLES = [(name, example) for name in scheme_names() for example in conformance(name)]
# adding a constant to a loss changes nothing
OF_GRAMS = {"mgda", "nash-mtl", "upgrad", "cagrad", "imtl-g", "aligned-mtl", "pcgrad"}  # that see inner products of gradients alone
RANDOM = "random-loss-weighting"
SHIFTLESS = {"equal", "prior", "algorithm-2", "inverse-gradient-norm", RANDOM} | OF_GRAMS
TWO = Facts(jnp.array([1.0, 3.0]), jnp.array([1.0, 3.0]))


def some_moments(n_tasks, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(40, 6))
    return mtl.Moments.from_shared_rows(X, X @ rng.normal(size=(6, n_tasks)) + rng.normal(size=(40, n_tasks)))


def some_run(n_tasks=3, n_steps=3, seed=0):
    """Facts, and losses (T, K) and gradients (T, K, p) of some steps."""
    rng = np.random.default_rng(seed)
    moments = some_moments(n_tasks, seed)
    facts = Facts(jnp.asarray(np.exp(rng.normal(size=n_tasks))), moments.energy / 40, moments, 2, jax.random.key(seed))
    return (
        facts,
        np.exp(0.3 * rng.normal(size=(n_steps, n_tasks))) * np.asarray(facts.losses) / 2,
        rng.normal(size=(n_steps, n_tasks, 7)),
    )


@jax.jit
def weigh(scheme, signals, state):
    """As in a run: one program for each kind of scheme and shape, where steps on their own compile their loops anew."""
    return scheme.weights(signals, state)


def answers(scheme, facts, losses, gradients):
    """Weights (T, K) of a run, and the floors that fired in all."""
    state, found, floors = scheme.init(facts), [], 0
    for step, (now, slopes) in enumerate(zip(losses, gradients, strict=True)):
        slopes = jnp.asarray(slopes)
        weights, state, n_floored = weigh(scheme, Signals(jnp.asarray(now), slopes @ slopes.T, jnp.asarray(step)), state)
        found.append(weights)
        floors += int(n_floored)
    return jnp.stack(found), floors


def with_tasks(facts, index):
    moments = facts.moments
    moments = mtl.Moments(moments.gram, moments.cross[index], moments.energy[index], moments.n_samples[index])
    return facts._replace(losses=facts.losses[index], variances=facts.variances[index], moments=moments)


# ---------------------------------------------------------------------------------------------------- schemes
@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_weights_worked_by_hand(name, example):
    as_arrays = lambda thing: jax.tree.map(lambda leaf: jnp.asarray(leaf), thing)
    facts = example.facts._replace(losses=jnp.array(example.facts.losses), variances=jnp.array(example.facts.variances))
    facts = facts._replace(key=jax.random.key(0))
    state = example.scheme.init(facts)
    for signals, wanted in zip(example.signals, example.weights, strict=True):
        seen = Signals(jnp.array(signals.losses), jnp.array(signals.gram), as_arrays(signals.step))
        weights, state, _ = weigh(example.scheme, seen, state)
        close(weights, wanted)


def test_every_scheme_has_an_example():
    assert {name for name, _ in EXAMPLES} == set(scheme_names())
    with pytest.raises(ValueError, match="did you mean 'gradnorm'"):
        find_scheme("gradnrm")


@pytest.mark.parametrize("name", [name for name in scheme_names() if name != RANDOM])  # whose draws know no task
def test_permuting_tasks_permutes_weights(name):
    facts, losses, gradients = some_run()
    order = np.array([2, 0, 1])
    weights, _ = answers(find_scheme(name)(), facts, losses, gradients)
    permuted, _ = answers(find_scheme(name)(), with_tasks(facts, order), losses[:, order], gradients[:, order])
    close(permuted, weights[:, order], 3)


BLIND = {"equal", "initial-loss", "prior", "algorithm-2", RANDOM}  # schemes that look at no step
FLOORED = {  # whose floors and caps fire, and are counted
    "one task": set(),
    "labels of zero": {"prior", "algorithm-2", "dynamic-task-prioritization"},
    "no labels": {"prior", "algorithm-2", "dynamic-task-prioritization"},
    "zero gradients": {"inverse-gradient-norm"} | OF_GRAMS - {"mgda"},
    "a solved task": set(scheme_names()) - {"equal", "prior", "algorithm-2", "mgda", "uncertainty", "smooth-chebyshev", RANDOM},
    "NaN": set(),
}


def spoiled_run(case):
    """`some_run`, its first task spoiled, or all of them."""
    facts, losses, gradients = some_run(1 if case == "one task" else 3)
    first = np.array([0.0, 1, 1])
    if case in ("labels of zero", "no labels"):
        left, moments = first * (case == "labels of zero"), facts.moments
        moments = mtl.Moments(moments.gram, moments.cross * left[:, None], moments.energy * left, moments.n_samples)
        facts = facts._replace(variances=facts.variances * left, moments=moments)
    elif case == "zero gradients":
        gradients = gradients * 0
    elif case == "a solved task":
        facts, losses, gradients = facts._replace(losses=facts.losses * first), losses * first, gradients * first[:, None]
    elif case == "NaN":
        losses, gradients = losses / np.where(first, 1, np.nan), gradients / np.where(first, 1, np.nan)[:, None]
    return facts, losses, gradients


@pytest.mark.parametrize("case", FLOORED)
@pytest.mark.parametrize("name", scheme_names())
def test_bad_input_gives_finite_weights_that_are_counted_or_nan_that_travels(name, case):
    weights, floors = answers(find_scheme(name)(), *spoiled_run(case))
    shares = jax.lax.map(normalise, weights)
    if case == "NaN" and name not in BLIND:
        assert np.isnan(weights[-1, 0]) and np.isnan(shares[-1]).all()
    else:
        assert np.isfinite(weights).all() and (floors > 0) == (name in FLOORED[case])
        assert (weights >= 0).all() or name in {"imtl-g", "aligned-mtl", "pcgrad"}
        close(shares.mean(1), np.ones(3))


def test_profiled_uncertainty_is_half_of_inverse_loss_and_descent_ends_there():
    facts, losses, gradients = some_run()
    half, _ = answers(find_scheme("inverse-loss")(), facts, losses, gradients)
    profiled, _ = answers(find_scheme("uncertainty")(profiled=True), facts, losses, gradients)
    close(profiled, half / 2)
    still = np.repeat(losses[:1], 400, 0), np.repeat(gradients[:1], 400, 0)
    descended, _ = answers(find_scheme("uncertainty")(learning_rate=0.2), facts, *still)
    close(descended[-1], half[0] / 2)


def test_gradnorm_at_alpha_zero_and_mgda_of_unit_gradients_are_inverse_gradient_norms():
    facts, losses, gradients = some_run(2, 4000)
    losses, gradients = np.repeat(losses[:1], 4000, 0), np.repeat(gradients[:1], 4000, 0)
    wanted, _ = answers(find_scheme("inverse-gradient-norm")(), facts, losses[:1], gradients[:1])
    scheme, slopes = find_scheme("gradnorm")(0.0, 2e-4), jnp.asarray(gradients[0])
    signals = Signals(jnp.asarray(losses[0]), slopes @ slopes.T, jnp.asarray(1))
    step = lambda state, _: (scheme.weights(signals, state)[1], None)
    (found, _), _ = jax.lax.scan(step, scheme.init(facts), length=4000)
    np.testing.assert_allclose(found, normalise(wanted[0]), rtol=2e-3)  # it chatters by a step
    unit, _ = answers(find_scheme("mgda")("l2"), facts, losses[:1], gradients[:1])
    close(normalise(unit[0]), normalise(wanted[0]))
    slow = Signals(signals.losses * jnp.array([2.0, 0.5]), signals.gram, signals.step)
    eager = find_scheme("gradnorm")(5.0, 1e-3)
    _, (lagging, _), _ = eager.weights(slow, eager.init(facts._replace(losses=signals.losses)))
    assert lagging[0] > 1 > lagging[1]  # the task that lags behind gains


@pytest.mark.parametrize("name", scheme_names())
def test_ten_times_one_loss(name):
    facts, losses, gradients = some_run()
    ten = jnp.array([10.0, 1.0, 1.0])
    moments = facts.moments
    scaled = mtl.Moments(moments.gram, moments.cross * jnp.sqrt(ten)[:, None], moments.energy * ten, moments.n_samples)
    bigger = facts._replace(losses=facts.losses * ten, variances=facts.variances * ten, moments=scaled)
    before, _ = answers(find_scheme(name)(), facts, losses, gradients)
    after, _ = answers(find_scheme(name)(), bigger, losses * ten, gradients * ten[:, None])
    if name in ("initial-loss", "prior", "inverse-loss", "imtl-l", "inverse-gradient-norm", "nash-mtl"):
        close(after * ten, before)
    elif name in ("equal", "dynamic-weight-average", "dynamic-task-prioritization", "loss-balanced", RANDOM):
        close(after, before)
    else:
        assert np.max(np.abs(after - before)) > 1e-3


@pytest.mark.parametrize("name", scheme_names())
def test_a_constant_added_to_one_loss(name):
    facts, losses, gradients = some_run()
    five = jnp.array([5.0, 0.0, 0.0])
    before, _ = answers(find_scheme(name)(), facts, losses, gradients)
    after, _ = answers(find_scheme(name)(), facts._replace(losses=facts.losses + five), losses + five, gradients)
    assert (np.max(np.abs(after - before)) < 1e-12) == (name in SHIFTLESS)


def test_limits_are_equal_weights():
    facts, losses, gradients = some_run()
    average, balanced = find_scheme("dynamic-weight-average"), find_scheme("loss-balanced")
    for scheme in (average(1e12), balanced(0.0), balanced(epoch=1)):
        close(answers(scheme, facts, losses, gradients)[0], np.ones((3, 3)))
    same = Facts(facts.losses, 2 * jnp.asarray(losses[0]))
    weights, _ = answers(find_scheme("dynamic-task-prioritization")(), same, losses[:1], gradients[:1])
    close(normalise(weights[0]), np.ones(3))


def test_epochs_are_averaged():
    facts, losses, gradients = some_run(2, 6)
    pairs = losses.reshape(3, 2, 2).mean(1)
    fast, _ = answers(find_scheme("dynamic-weight-average")(), facts, pairs, gradients[:3])
    slow, _ = answers(find_scheme("dynamic-weight-average")(epoch=2), facts, losses, gradients)
    close(slow[4:], np.repeat(fast[2:], 2, 0))


def test_who_counts_a_task_twice():
    """Of a task and its copy, MGDA splits one weight; what looks at no other task gives each copy what the task alone had."""
    facts, losses, gradients = some_run(2)
    index = np.array([0, 1, 1])
    for name in set(scheme_names()) - {"gradnorm", "algorithm-2", "famo", RANDOM} - (OF_GRAMS - {"mgda"}):
        once, _ = answers(find_scheme(name)(), facts, losses[:2], gradients[:2])
        twice, _ = answers(find_scheme(name)(), with_tasks(facts, index), losses[:2, index], gradients[:2, index])
        ratio = (twice[:, 1] + twice[:, 2]) / twice[:, 0] / (once[:, 1] / once[:, 0])
        close(ratio, np.full(2, 1.0 if name == "mgda" else 2.0), 4)


def test_random_weights_have_the_law_of_their_name_and_a_draw_for_every_step():
    """Logarithms of two normal ones differ by N(0, 2), shares of the uniform ones fall below x as often as 1 - (1 - x)^2."""
    steps, signals = jnp.arange(2000), Signals(jnp.ones(3), jnp.eye(3), 0)
    drawn = {}
    for distribution in ("normal", "dirichlet"):
        scheme = find_scheme(RANDOM)(distribution)
        state = scheme.init(TWO._replace(key=jax.random.key(3)))
        one = jax.jit(lambda step, scheme=scheme, state=state: scheme.weights(signals._replace(step=step), state)[0])
        drawn[distribution] = found = np.asarray(jax.lax.map(one, steps))
        close(found.sum(1), np.ones(2000))
        close(one(7), found[7])  # the same step, the same draw
        assert len(np.unique(found[:, 0])) == 2000
        assert abs(z_score(found, 1 / 3)).max() < Z_LIMIT
    laws = stats.norm(scale=2**0.5), stats.beta(1, 2)
    for sample, law in zip((np.log(drawn["normal"][:, 0] / drawn["normal"][:, 1]), drawn["dirichlet"][:, 2]), laws, strict=True):
        assert stats.kstest(sample, law.cdf).pvalue > 1e-4
        assert stats.kstest(1.5 * sample, law.cdf).pvalue < 1e-4  # of a law half as wide again
    with pytest.raises(ValueError, match="key must be among the facts for random weights, but is None"):
        find_scheme(RANDOM)().init(TWO)
    with pytest.raises(ValueError, match="distribution must be one of"):
        find_scheme(RANDOM)("uniform")


def test_training_under_random_weights_draws_them_from_its_key():
    moments, training = some_moments(3), mtl.WeightedTraining("sgd", n_steps=30, learning_rate=0.02)
    run = lambda seed: mtl.train_weighted(moments, find_scheme(RANDOM)(), 1, training, jax.random.key(seed), 30).path.weights
    first = run(0)
    close(run(0), first)
    assert np.abs(run(1) - first).min(0).max() > 0 and np.abs(np.diff(first, axis=0)).min() > 0
    close(first.mean(1), np.ones(30))


def test_a_bargain_gives_every_task_the_same_relative_gain():
    """M w = 1 / w on random grams of every condition; of a task and its copy, each gets less than the task alone had."""
    rng = np.random.default_rng(0)
    for n_tasks in (1, 2, 3, 6):
        for _ in range(10):
            gradients = rng.normal(size=(n_tasks, n_tasks + 2))
            gradients[-1] += gradients[0] * rng.choice([0, -30])  # nearly opposed
            gradients *= 10.0 ** rng.uniform(-3, 3, (n_tasks, 1))
            gram = jnp.asarray(gradients @ gradients.T)
            weights, _, n_floored = weigh(find_scheme("nash-mtl")(), Signals(jnp.ones(n_tasks), gram, 0), ())
            np.testing.assert_allclose(weights * (gram @ weights), 1, rtol=1e-5)
            assert (weights > 0).all() and n_floored == 0
    twice = jnp.array([[1.0, 0, 0], [0, 1, 1], [0, 1, 1]])
    weights, _, _ = find_scheme("nash-mtl")().weights(Signals(jnp.ones(3), twice, 0), ())
    np.testing.assert_allclose(weights, [1, 0.5**0.5, 0.5**0.5], rtol=1e-8)


def conflicting(rng, n_tasks):
    """Gradients (K, K + 1) of lengths apart, the last one against the first."""
    gradients = rng.normal(size=(n_tasks, n_tasks + 1)) * np.exp(rng.normal(size=(n_tasks, 1)))
    gradients[-1] -= 2 * gradients[0]
    return gradients


def direction(name, gradients, **options):
    """The step that a scheme's weights make of the gradients."""
    signals = Signals(jnp.ones(len(gradients)), jnp.asarray(gradients @ gradients.T), jnp.asarray(0))
    weights, _, n_floored = weigh(find_scheme(name)(**options), signals, ())
    assert n_floored == 0
    return np.asarray(weights) @ gradients


@pytest.mark.parametrize("n_tasks", [2, 3, 5])
def test_gradient_surgery_is_what_its_definition_says(n_tasks):
    """On the gradients themselves, by SciPy's solvers and by drawing orders; the schemes see their gram alone."""
    rng = np.random.default_rng(n_tasks)
    for _ in range(3):
        G = conflicting(rng, n_tasks)
        # the projection of every gradient on the dual cone, by nonnegative least squares
        projected = [own + optimize.nnls(G.T, -own)[0] @ G for own in G]
        close(direction("upgrad", G), np.mean(projected, 0), 2)
        assert (G @ direction("upgrad", G) > -1e-9).all()
        mean = G.mean(0)
        size = 0.4 * np.linalg.norm(mean)
        worst = lambda v, G=G, mean=mean, size=size: v @ G @ mean + size * np.linalg.norm(v @ G)
        simplex = {"bounds": [(0, 1)] * n_tasks, "constraints": {"type": "eq", "fun": lambda v: v.sum() - 1}}
        options = {"ftol": 1e-15, "maxiter": 1000}
        starts = rng.dirichlet(np.ones(n_tasks), 5)
        found = min((optimize.minimize(worst, start, options=options, **simplex) for start in starts), key=lambda one: one.fun)
        mixture = found.x @ G
        close(direction("cagrad", G), mean + size * mixture / np.linalg.norm(mixture), 4)
        even = G @ direction("imtl-g", G) / np.linalg.norm(G, axis=1)
        close(even, np.full(n_tasks, even[0]), 4)
        left, values, right = np.linalg.svd(G, full_matrices=False)
        close(direction("aligned-mtl", G), values[-1] * (left @ right).mean(0), 3)
        orders = []
        for _ in range(1 if n_tasks == 2 else 4000):
            rest = G.copy()
            for i in range(n_tasks):
                for j in rng.permutation([j for j in range(n_tasks) if j != i]):
                    rest[i] -= min(rest[i] @ G[j], 0) / (G[j] @ G[j]) * G[j]
            orders.append(rest.sum(0))
        error = np.std(orders, 0) / len(orders) ** 0.5 + 1e-12
        assert np.max(np.abs(direction("pcgrad", G) - np.mean(orders, 0)) / error) < 5


@pytest.mark.parametrize("n_tasks", [2, 3, 5])
def test_where_gradients_cancel_the_worst_task_still_gains_what_it_can(n_tasks):
    """Two opposed, or a mixture of all that is zero, or a copy: the worst gain against SciPy's within the ball, and the ball."""
    rng, run = np.random.default_rng(n_tasks), jax.jit(lambda M, c: find_scheme("cagrad")(c).weights(Signals(M[0], M, 0), ())[::2])
    for case in range(9):
        G, reach = rng.normal(size=(n_tasks, n_tasks + 1)) * np.exp(rng.normal(size=(n_tasks, 1)) / 2), (0.2, 0.4, 0.9)[case // 3]
        if case % 3 == 0:
            G[1] = -rng.uniform(0.3, 3) * G[0]
        elif case % 3 == 1:
            G[-1] = -rng.dirichlet(np.ones(n_tasks - 1)) @ G[:-1] * rng.uniform(0.5, 2)
        else:
            G[-1] = G[0]
        weights, n_still = run(jnp.asarray(G @ G.T), reach)
        assert n_still == (case % 3 < 2)
        mean, step = G.mean(0), np.asarray(weights) @ G
        radius = reach * np.linalg.norm(mean)
        inside = [
            {"type": "ineq", "fun": lambda x, G=G: G @ x[:-1] - x[-1]},
            {"type": "ineq", "fun": lambda x, mean=mean, radius=radius: radius**2 - np.sum((x[:-1] - mean) ** 2)},
        ]
        start, options = np.append(mean, (G @ mean).min()), {"ftol": 1e-15, "maxiter": 500}
        found = optimize.minimize(lambda x: -x[-1], start, method="SLSQP", constraints=inside, options=options)
        assert (G @ step).min() > found.x[-1] - 1e-7 * mean @ mean
        assert np.linalg.norm(step - mean) <= radius * (1 + 1e-9)
        if n_tasks == 3:
            with jax.enable_x64(False):
                rough, _ = run(jnp.asarray(G @ G.T, jnp.float32), reach)
            np.testing.assert_allclose(np.asarray(rough) @ G, step, atol=1e-2 * np.linalg.norm(step))


def test_no_order_of_seven_tasks():
    with pytest.raises(ValueError, match="'upgrad', which needs no order"):
        direction("pcgrad", np.eye(7))


def test_learned_scales_end_at_their_fixed_points():
    """Of still losses IMTL-L's weights are one over each; FAMO's tasks that fall less gain until all fall in one proportion."""
    facts, losses, gradients = some_run()
    still = np.repeat(losses[:1], 300, 0), np.repeat(gradients[:1], 300, 0)
    descended, _ = answers(find_scheme("imtl-l")(), facts, *still)
    close(descended[-1], 1 / losses[0], 2)
    # a loss that falls as its share of the weight: equal falls mean equal shares
    scheme, log_losses = find_scheme("famo")(0.02, 0.0), np.array([0.0, 1.0, -1.0])
    state, rates = scheme.init(Facts(jnp.exp(log_losses), jnp.ones(3))), np.array([1.0, 2.0, 4.0])
    for step in range(600):
        weights, state, _ = weigh(scheme, Signals(jnp.exp(jnp.asarray(log_losses)), jnp.eye(3), jnp.asarray(step)), state)
        shares = np.asarray(weights) * np.exp(log_losses)
        log_losses = log_losses - 0.01 * rates * shares / shares.sum()
    np.testing.assert_allclose(rates * shares / (rates * shares).mean(), 1, atol=0.1)


# ------------------------------------------------------------------------------------------------------- MGDA
def shortest_by_enumeration(M):
    """The least w'Mw over the simplex: every face's stationary point, in NumPy."""
    K, best = len(M), np.inf
    for face in range(1, 2**K):
        used = [k for k in range(K) if face >> k & 1]
        solution = np.linalg.lstsq(M[np.ix_(used, used)], np.ones(len(used)), rcond=None)[0]
        if solution.sum() > 1e-12 and (solution >= 0).all():
            w = np.zeros(K)
            w[used] = solution / solution.sum()
            best = min(best, w @ M @ w)
    return best


@pytest.mark.parametrize("steps", ["pairwise", "plain"])
@pytest.mark.parametrize("n_tasks", [1, 2, 3, 5])
def test_shortest_mixture_against_enumeration(n_tasks, steps):
    rng = np.random.default_rng(n_tasks)
    run = jax.jit(lambda M: shortest_mixture(M, 400, 1e-12, steps))
    for _ in range(20):
        slopes = rng.normal(size=(n_tasks, 7)) * np.exp(rng.normal(size=(n_tasks, 1))) + rng.normal(size=7)
        M = slopes @ slopes.T
        weights, gap = run(jnp.asarray(M))
        found, least = float(weights @ M @ weights), shortest_by_enumeration(M)
        assert bool(jnp.all(weights >= 0)) and abs(float(weights.sum()) - 1) < 1e-12
        assert least - 1e-9 <= found <= least + 2 * float(gap) + 1e-9 * np.trace(M)
        assert float(gap) <= (1e-2 if steps == "plain" else 2e-12) * np.trace(M)


@pytest.mark.parametrize("n_tasks", [3, 5, 8])
def test_shortest_mixtures_of_gradients_of_lengths_far_apart_end_in_few_steps(n_tasks):
    """Where plain Frank-Wolfe steps are hundreds short; of CAGrad the duality gap is what that leaves."""
    rng, left = np.random.default_rng(n_tasks), {"pairwise": [], "plain": []}
    run = {steps: jax.jit(lambda M, steps=steps: shortest_mixture(M, 4 * n_tasks, 1e-14, steps)[1]) for steps in left}
    for _ in range(30):
        G = conflicting(rng, n_tasks) * np.exp(rng.normal(size=(n_tasks, 1)))
        for steps, gap_after in run.items():
            left[steps].append(float(gap_after(jnp.asarray(G @ G.T))) / np.trace(G @ G.T))
    assert max(left["pairwise"]) < 1e-12 and np.median(left["plain"]) > 1e-6
    mean, step = G.mean(0), direction("cagrad", G)
    added = step - mean
    weights = np.linalg.lstsq(G.T, added, rcond=None)[0]
    mixture = added / weights.sum()
    assert abs(mixture @ step - (G @ step).min()) < 1e-6 * (mean @ mean)


def test_the_shortest_of_gradients_a_million_times_as_long_is_found():
    rng, run = np.random.default_rng(0), jax.jit(lambda M: shortest_mixture(M)[0])
    for _ in range(30):
        G = rng.normal(size=(3, 6)) * np.array([[1.0], [1e3], [1e6]])
        M = G @ G.T
        weights = run(jnp.asarray(M))
        assert float(weights @ M @ weights) < shortest_by_enumeration(M) * (1 + 1e-3)


def test_the_cap_is_counted_and_opposite_gradients_are_pareto_stationary():
    runs = [some_run(5, 1, seed) for seed in range(5)]  # of which some may end after one iteration
    assert max(answers(find_scheme("mgda")(n_iterations=1), *run)[1] for run in runs) == 1
    assert all(answers(find_scheme("mgda")(), *run)[1] == 0 for run in runs)
    assert bool(is_pareto_stationary(jnp.array([[1.0, -2.0], [-2.0, 4.0]])))
    assert not bool(is_pareto_stationary(jnp.array([[1.0, -1.9], [-1.9, 4.0]])))


# ------------------------------------------------------------------------------------------------ Algorithm 2
def algorithm_2_by_hand(directions, rank):
    U = np.linalg.svd(directions)[0][:, :rank]
    return np.linalg.norm(directions.T @ U, axis=1)


def test_svd_task_weights_against_numpy():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 8)) * np.arange(1, 9)
    Y = X @ rng.normal(size=(8, 4)) + rng.normal(size=(50, 4))
    literal = algorithm_2_by_hand(X.T @ Y, 2)
    close(mtl.svd_task_weights(X, Y, 2), literal)
    close(mtl.svd_task_weights([X] * 4, list(Y.T), 2), literal)
    close(mtl.svd_task_weights(X, Y, 2, normalized=True), literal / np.linalg.norm(X.T @ Y, axis=0))
    close(mtl.svd_task_weights(X, Y * [1, 3, 1, 1], 4), np.linalg.norm(X.T @ Y, axis=0) * [1, 3, 1, 1])
    U = np.linalg.svd(X, full_matrices=False)[0]
    close(mtl.svd_task_weights(X, Y, 2, whitened=True), algorithm_2_by_hand(U.T @ Y, 2), 2)
    close(mtl.svd_task_weights([X] * 4, list(Y.T), 2, whitened=True), mtl.svd_task_weights(X, Y, 2, whitened=True), 2)
    close(mtl.svd_task_weights(X, Y[:, :1], 1), [1.0])


def test_ties_are_averaged_over_the_tied_directions():
    Y = np.diag([5.0, 2.0, 2.0, 2.0, 1.0])
    close(mtl.svd_task_weights(np.eye(5), Y, 2), [5, 2 / np.sqrt(3), 2 / np.sqrt(3), 2 / np.sqrt(3), 0])
    close(mtl.svd_task_weights(np.eye(5), Y, 3), [5, *[2 * np.sqrt(2 / 3)] * 3, 0])
    silent = Y * [1, 0, 1, 1, 1]
    for normalized in (False, True):
        close(mtl.svd_task_weights(np.eye(5), silent, 3, normalized)[1], 0.0)


WAVE = np.sin(np.arange(9) * [[0.7], [1.9]]).T
WAVE = WAVE - WAVE.mean(0)


@pytest.mark.parametrize(
    ("X", "Y", "rank", "sentence"),
    [
        (np.ones((5, 2)), np.ones((5, 3)), 4, "rank must be a whole number from 1 to the 3 tasks, but is 4; use the columns"),
        (np.ones((5, 2)), np.ones((4, 3)), 1, "Y must be as long as X, 5 rows, but is of length 4; drop the rows without a label"),
        (np.ones((5, 2)), np.ones(5), 1, r"Y must be of shape \(m, K\), but is of shape \(5,\); pass a column per task"),
        (np.ones((3, 2)), np.array([[1.0, np.nan, 3]] * 3), 1, "Y must be finite, but holds NaN or infinity in 3 of 3 rows"),
        ([np.ones((3, 2))], [np.ones(3)] * 2, 1, "Y must be labels of 1 task like X, but is of 2; give one array"),
        (np.ones((3, 2)), np.zeros((3, 2)), 1, "Y must be labels of which some depend on the rows, but is X'y = 0 for every task"),
        (WAVE, 7 * np.ones((9, 2)), 1, "Y must be labels of which some depend on the rows"),  # constants, on centred rows
        (np.ones((3, 2)), np.array([["a", "b"]] * 3), 1, "Y must be made of real numbers, but is of type <U1"),
        (np.ones((3, 2)), 1j * np.ones((3, 2)), 1, "Y must be made of real numbers, but is of type complex128"),
        (np.ones((3, 2)), 1e200 * np.ones((3, 2)), 1, "Y must be of squares that can be summed, but is too large for that"),
        (1e200 * np.ones((3, 2)), np.ones((3, 2)), 1, "X must be of squares that can be summed, but is too large for that"),
    ],
)
def test_bad_labels_are_refused_in_one_sentence(X, Y, rank, sentence):
    with pytest.raises(ValueError, match=sentence):
        mtl.svd_task_weights(X, Y, rank)


@pytest.mark.parametrize("rank", [0, 4])
def test_algorithm_2_as_a_scheme_refuses_a_rank_that_is_none(rank):
    scheme = find_scheme("algorithm-2")(rank)
    with pytest.raises(ValueError, match=f"rank must be a whole number from 1 to the 3 tasks, but is {rank}"):
        scheme.init(some_run()[0])
    with pytest.raises(ValueError, match="moments must be among the facts for Algorithm 2, but is None"):
        scheme.init(TWO)


# ----------------------------------------------------------------------------------------------- command line
def test_weights_and_score_of_files(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 5)).astype(np.float32)
    Y = X @ rng.normal(size=(5, 3))
    for name, array in (("X", X), ("Y", Y), ("labels", Y[:, 0])):
        np.save(name, array)
    assert cli.main(["weights", "X.npy", "Y.npy", "--rank", "2"]) == 0
    words = [line.split() for line in capsys.readouterr().out.splitlines()]
    np.testing.assert_allclose([float(word[3].rstrip(",")) for word in words], mtl.svd_task_weights(X, Y, 2), rtol=1e-5)
    assert sum(float(word[4]) for word in words) == pytest.approx(100, abs=0.2)
    assert cli.main(["score", "X.npy", "X.npy"]) == 0
    said = "normalised 1 (1 = same), each task less its own means; --uncentred for Eq. 5 as printed\n"
    assert capsys.readouterr().out.endswith(said)
    np.save("far.npy", rng.normal(size=(30, 5)) + 10)
    for option, says in (([], "each task less its own means"), (["--uncentred"], "uncentred, as Eq. 5 is printed")):
        assert cli.main(["score", "X.npy", "far.npy", *option]) == 0
        printed = capsys.readouterr().out
        wanted = mtl.covariance_similarity(X, np.load("far.npy"), centred=not option)
        assert f"similarity {float(wanted):.6g}," in printed and says in printed


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["weights", "X.npy", "Z.npy"], "path must be an existing .npy file, but is Z.npy, which is not there"),
        (["weights", "X.npy", "bad.npy"], "path must be a whole .npy file of numbers"),
        (["weights", "X.npy", "pickled.npy"], "path must be a whole .npy file of numbers"),
        (["weights", "X.npy", "zeros.npy"], "Y must be labels of which some depend on the rows, but is X'y = 0 for every task"),
        (["weights", "X.npy", "flat.npy"], "Y must be of shape (m, K), but is of shape (4,); pass a column per task"),
        (["weights", "X.npy", "short.npy"], "Y must be as long as X, 4 rows, but is of length 3; drop the rows without a label"),
        (["weights", "X.npy", "nan.npy"], "Y must be finite, but holds NaN or infinity in 4 of 4 rows"),
        (["weights", "X.npy", "X.npy", "--rank", "9"], "rank must be a whole number from 1 to the 2 tasks, but is 9"),
        (["score", "X.npy", "wide.npy"], "second must be of 2 features like first, but is of 3"),
        (["score", "X.npy", "flat.npy"], "flat.npy must be rows (m, d), Moments or a Covariance, but is of shape (4,)"),
        (["score", "X.npy", "same.npy"], "same.npy must be rows that differ, but is the same row over and over; give other rows"),
    ],
)
def test_wrong_files_are_one_sentence(arguments, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ones = np.ones((4, 3))
    eye = np.eye(4)
    files = {"X": eye[:, :2], "same": ones[:, :2], "wide": eye[:, :3], "flat": ones[:, 0]}
    files |= {"zeros": 0 * ones, "short": ones[1:], "nan": np.nan * ones}
    for name, array in files.items():
        np.save(name, array)
    np.save("pickled", np.array([{}], object), allow_pickle=True)
    (tmp_path / "bad.npy").write_text("no")
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("mtlsim: ") and error.count("\n") == 1 and sentence in error


def test_a_sweep_over_schemes_compiles_once_and_gives_each_its_own_numbers(capsys):
    cell = mtl.Weighting(mtl.LinearTasks(3, (9, 8, 8), cosine=0.5), training=mtl.WeightedTraining(n_steps=30))
    names = ["equal", "oracle", "gradnorm"]
    found = mtl.sweep(cell, {"scheme": names}, 3, jax.random.key(1))
    assert "; 2 compiles; " in capsys.readouterr().err  # what trains, and the oracle
    alone = mtl.sweep(dataclasses.replace(cell, scheme="gradnorm"), {}, 3, jax.random.key(1), progress=False)
    for output in ("gain", "share_target", "n_floored", "status"):
        close(found.sel(scheme="gradnorm")[output].values, alone[output].values)
    assert len({tuple(found.sel(scheme=name)["gain"].values) for name in names}) == len(names)


def test_one_of_several_schemes_is_the_one_that_is_named():
    names, (facts, losses, gradients) = scheme_names(), some_run()
    schemes = tuple(find_scheme(name)() for name in names)

    @jax.jit
    def all_steps(scheme):
        state, found = scheme.init(facts), []
        for step in range(3):
            signals = Signals(jnp.asarray(losses[step]), jnp.asarray(gradients[step] @ gradients[step].T), jnp.asarray(step))
            weights, state, fired = weigh(scheme, signals, state)
            found.append((weights, fired))
        return found

    for i, scheme in enumerate(schemes):
        for (weights, fired), (wanted, counted) in zip(all_steps(OneOf(schemes, i)), all_steps(scheme), strict=True):
            close(weights, np.asarray(wanted), 2)
            assert int(fired) == int(counted), names[i]


@pytest.mark.parametrize("name", ["imtl-g", "nash-mtl", "upgrad", "cagrad", "mgda"])
def test_gradients_that_depend_on_each_other_have_weights_in_float32_too(name):
    """Copies of one gradient, and ones that cancel: what kept the system solvable was below the rounding of float32."""
    rng = np.random.default_rng(0)
    for n_tasks in (2, 3, 5):
        ones = jnp.ones(n_tasks, jnp.float32)
        scheme = find_scheme(name)()
        state = scheme.init(Facts(ones, ones))
        for _ in range(20):
            rows = rng.normal(size=(n_tasks, 7))
            for gradients in (np.repeat(rows[:1], n_tasks, 0), np.concatenate([rows[1:], -rows[1:].sum(0, keepdims=True)])):
                weights, *_ = weigh(scheme, Signals(ones, jnp.asarray(gradients @ gradients.T, jnp.float32), 0), state)
                assert weights.dtype == jnp.float32 and np.isfinite(weights).all(), gradients
