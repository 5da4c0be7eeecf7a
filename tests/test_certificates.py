"""Certificates on problems that tempt them to lie, against rows: a dense scan by QR, extended precision, known answers."""

import adversarial
import equinox as eqx
import jax
import numpy as np
import pytest
from instances import rows_of
from judged import KINDS, judge, judge_pairs, moments_of
from judged_sharings import judge_sharings, smallest_loss

import mtlsim as mtl
from mtlsim.core.status import Certificate, Status

E = 1e-4
CROSSED = [(np.diag([1, E]), np.array([0.65, 0.11])), (np.diag([E, 1]), np.array([1.9, -5.6]))]
FEW_ROWS = [
    (
        np.array([[-0.0804912, 0.246018, 0.890757], [-0.000766966, 0.00677945, 0.0271825]]),
        np.array([0.512665, 1.97699]),
    ),
    (
        np.array([[-0.100744, 0.0671119, -0.0763635], [-0.727943, 0.15793, -0.688741], [0.264206, -0.0707352, 0.243289]]),
        np.array([0.162763, 1.39967, -0.343424]),
    ),
]


@pytest.mark.parametrize(
    "tasks, direction, reached",
    [(CROSSED, [1, -5.6 / 1.9 * E], 0.01211), (FEW_ROWS, [0.80604389, 0.58520011, -0.08851034], 0.02064)],
    ids=["two directions that turn far from each other", "fewer rows than features"],
)
@pytest.mark.parametrize("kind", ["rows", "drawn", "grams"])
def test_no_direction_is_dropped(kind, tasks, direction, reached):
    """Both were certified at losses of 3.6 and 3.8, because directions that turn over far from the middle had been left out."""
    solution = mtl.solve(moments_of(kind, tasks), 1)
    there = float(adversarial.loss(tasks, direction))
    assert there <= reached
    assert solution.loss - solution.gap <= there
    if kind != "grams":
        assert solution.status == Status.ok and solution.certificate == Certificate.exact
        assert solution.loss <= there + 1e-9


def test_drawn_tasks_that_see_different_directions_share_one_at_no_cost():
    """Drawn moments of two tasks with opposite spectra: sharing was reported to cost 3.7, and costs nothing that rows can show."""
    parameters = [[0.11, 0.65e-4], [-5.6e-4, 1.9]]
    design = mtl.Spiked(1e8, fraction=0.5)
    recipe = mtl.LinearTasks(2, (100, 100), noise=0.05, design=design, relation="disjoint", parameters=parameters)
    for seed in range(3):
        moments = mtl.draw_moments(recipe.draw(key=jax.random.key(seed)), key=jax.random.key(seed + 7))
        tasks, rest = rows_of(moments)
        judged = judge("drawn", tasks, jax.tree.map(np.asarray, without_rest(mtl.solve(moments, 1), rest.sum())))
        assert judged.exact and not judged.wrong and not judged.missed
        assert abs(float(mtl.Transfer(recipe)(key=jax.random.key(seed)).gain)) < 1e-6


def without_rest(solution, rest):
    """The same solution where the energy that no direction holds is left out of the loss."""
    return eqx.tree_at(lambda s: s.loss, solution, solution.loss - rest)


@pytest.mark.parametrize("kind", KINDS)
def test_no_certificate_lies(kind):
    """Some of what `python tests/benchmarks/certificates.py` searches at length."""
    judged = judge_pairs(kind, 28, seed=11, dimensions=(2, 5) if kind == "rows" else (3,))
    assert not [one for one in judged if one.wrong or one.missed]
    assert sum(one.exact for one in judged) >= (5 if kind == "grams" else 14)  # or there would be nothing to lie about


def test_no_certificate_of_an_architecture_lies():
    """Some of what the same command searches at length."""
    for name, judged in judge_sharings(18, seed=12, dimensions=(3,)).items():
        assert not [one for one in judged if one.wrong or one.missed], name
        assert sum(one.exact for one in judged) >= (5 if name.endswith("sums") else 13), name


@pytest.mark.parametrize("part", ["gap", "loss", "parameters"])
def test_a_judge_of_architectures_sees_a_lie(part, monkeypatch):
    """A gap left out, a loss that is not reached and parameters that are not the best, each on one pair."""
    fit = mtl.fit
    spoil = {"gap": lambda gap: 0 * gap, "loss": lambda loss: loss * (1 - 1e-6), "parameters": lambda theta: theta * 1.001}

    def spoiled(*args, **options):
        found = fit(*args, **options)
        return eqx.tree_at(lambda f: getattr(f, part), found, spoil[part](getattr(found, part)))

    monkeypatch.setattr(mtl, "fit", spoiled)
    judged = judge_sharings(7, seed=13, dimensions=(3,))
    seen = judged["soft of sums" if part == "gap" else "from-source of rows"]
    assert [one for one in seen if one.wrong or one.missed]


def test_the_oracle_of_architectures_is_least_squares():
    rng = np.random.default_rng(0)
    rows, labels = rng.normal(size=(9, 4)) * [1, 1e-5, 1, 1e5], rng.normal(size=9)
    rows = np.column_stack([rows, rows[:, 0]])
    np.testing.assert_allclose(
        float(smallest_loss(rows, labels)), np.linalg.lstsq(rows[:, :4], labels, rcond=None)[1][0], rtol=1e-12
    )


def test_a_judge_sees_a_lie():
    """The same solutions with their bounds and losses moved are called wrong, and missed."""
    solution = jax.tree.map(np.asarray, mtl.solve(moments_of("rows", FEW_ROWS), 1))
    assert not judge("few rows", FEW_ROWS, solution).wrong
    worse = without_rest(solution, -1e-3)
    assert judge("few rows", FEW_ROWS, worse).wrong and judge("few rows", FEW_ROWS, worse).missed


def test_rows_in_blocks_have_the_factor_of_all_rows(monkeypatch):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 3)) * [1, 1e-6, 1e6], rng.normal(size=50)
    whole = mtl.Moments.from_data(X, y)
    monkeypatch.setattr("mtlsim.samples.moments.BLOCK_BYTES", 7 * 3 * 8)
    for moments in (whole, mtl.Moments.from_data(X, y)):
        np.testing.assert_allclose(moments.factor @ moments.factor.T, X.T @ X, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(moments.factor @ moments.scores, X.T @ y, rtol=1e-12)
    few = mtl.Moments.from_data(X[:2], y[:2])
    assert few.factor.shape == (3, 3) and np.all(np.asarray(few.factor)[:, 2] == 0)


def test_least_squares_on_rows_keep_the_digits_that_squares_lose():
    """Condition 10^9 in rotated columns: X'X has no digit of the last direction, rows have seven."""
    rng = np.random.default_rng(1)
    X = adversarial.spectrum(rng, 30, 4, 1e9)
    theta = rng.normal(size=4)
    found = mtl.solve_single(mtl.Moments.from_data(X, X @ theta))
    np.testing.assert_allclose(found, theta, rtol=1e-5)


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("shared", [False, True])
def test_what_is_no_number_has_no_certificate(rank, shared):
    """NaN compares as smaller than everything: it must not pass for a direction that is not seen."""
    moments = moments_of("shared" if shared else "rows", FEW_ROWS[:1] * 2)
    solution = mtl.solve(eqx.tree_at(lambda m: m.factor, moments, moments.factor * np.nan), rank)
    assert solution.status == Status.ill_conditioned and solution.certificate != Certificate.exact
    assert np.isnan(solution.loss)
