"""Covariance similarity against Eq. 5 written out and against known scores, cosines and principal angles."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from conftest import close
from scipy import linalg

import mtlsim as mtl

RNG = np.random.default_rng(2)
X1, X2 = RNG.normal(size=(40, 6)) * [5, 3, 2, 1, 1, 0.1], RNG.normal(size=(25, 6)) @ RNG.normal(size=(6, 6))


def random_rotation(d):
    return np.linalg.qr(RNG.normal(size=(d, d)))[0]


def equation_5(X1, X2, kept):
    """The score as printed, from singular value decompositions of C_i = X_i'X_i cut at the smallest sufficient rank."""
    roots = []
    for X in (X1, X2):
        left, values, _ = np.linalg.svd(X.T @ X)
        rank = int(np.flatnonzero(np.cumsum(values) >= kept * values.sum() * (1 - 1e-12))[0]) + 1
        roots.append(left[:, :rank] * np.sqrt(values[:rank]))
    return np.linalg.norm(roots[0].T @ roots[1]) / np.linalg.norm(roots[0]) / np.linalg.norm(roots[1])


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9, 0.99, 1.0])
def test_score_is_equation_5(kept):
    wanted = equation_5(X1, X2, kept)
    close(mtl.covariance_similarity(X1, X2, kept), wanted)
    close(mtl.covariance_similarity(X2, X1, kept), wanted)
    selves = equation_5(X1, X1, kept) * equation_5(X2, X2, kept)
    close(mtl.covariance_similarity(X1, X2, kept, normalized=True), wanted / np.sqrt(selves))


def test_rows_moments_and_populations_are_all_accepted():
    wanted = mtl.covariance_similarity(X1, X2)
    moments = mtl.Moments.from_data(X1, np.zeros(40)), mtl.Moments.from_data(X2, np.zeros(25))
    close(mtl.covariance_similarity(*moments), wanted)
    populations = mtl.from_data(X1).draw(6), mtl.from_data(X2).draw(6)
    close(mtl.covariance_similarity(*populations), wanted)
    close(mtl.covariance_similarity(moments[0], X2), wanted)
    close(jax.jit(mtl.covariance_similarity)(*moments), wanted)


def test_a_common_rotation_and_a_scale_change_nothing_but_a_rotation_of_one_does():
    wanted = mtl.covariance_similarity(X1, X2)
    common = random_rotation(6)
    close(mtl.covariance_similarity(X1 @ common, X2 @ common), wanted)
    close(mtl.covariance_similarity(1e3 * X1, 1e-4 * X2), wanted)
    assert abs(mtl.covariance_similarity(X1 @ common, X2) - wanted) > 0.01


def test_known_scores():
    """Identity d = 100: .100; the founding paper's tasks: .316 with themselves, 0 when disjoint; rank one: 1."""
    identity = jnp.eye(100)
    close(mtl.covariance_similarity(identity, identity, kept=1.0), 0.1)
    design = mtl.Spiked(1e4, fraction=0.1)
    target = design.draw(100)
    close(mtl.covariance_similarity(target, target), np.sqrt(0.1))
    disjoint = mtl.Spiked(1e4, coordinates=tuple(range(50, 60))).draw(100)
    assert mtl.covariance_similarity(target, disjoint) == 0.0
    row = RNG.normal(size=(1, 7))
    close(mtl.covariance_similarity(row, -3 * row), 1.0)
    rotated = [mtl.Rotated(design, seed).draw(100) for seed in range(3)]
    for one in rotated:  # 10 of 100 directions against 10 at random: 1/10 on average over the square
        assert 0.08 < mtl.covariance_similarity(target, one) < 0.12
        close(mtl.covariance_similarity(one, one), np.sqrt(0.1))


def test_normalised_score_is_one_for_equal_covariances_and_zero_for_orthogonal_ones():
    for thing in (X1, mtl.PowerLaw(2.0).draw(9), mtl.Isotropic(3.0).draw(4)):
        close(mtl.covariance_similarity(thing, thing, normalized=True), 1.0)
    assert mtl.covariance_similarity(np.eye(4)[:2], np.eye(4)[2:], normalized=True) == 0.0


def test_a_task_without_any_signal_in_its_rows_is_like_nothing():
    for normalized in (False, True):
        assert mtl.covariance_similarity(np.zeros((3, 6)), X1, normalized=normalized) == 0.0
        assert mtl.covariance_similarity(np.zeros((3, 6)), np.zeros((3, 6)), normalized=normalized) == 0.0


@pytest.mark.parametrize("cosine", [-1.0, -0.3, 0.0, 0.96, 1.0])
def test_cosine(cosine):
    first = np.array([2.0, 0, 0])
    second = 0.1 * np.array([cosine, 0, np.sqrt(1 - cosine**2)])
    np.testing.assert_allclose(mtl.cosine_similarity(first, second), cosine, atol=1e-15)
    assert mtl.cosine_similarity(first, 0 * second) == 0.0


@pytest.mark.parametrize("columns", [(1, 1), (2, 2), (3, 1), (2, 4)])
def test_principal_angles_are_those_of_scipy(columns):
    first, second = (RNG.normal(size=(6, r)) for r in columns)
    close(mtl.principal_angles(first, second), np.sort(linalg.subspace_angles(first, second)))
    same = mtl.principal_angles(first, first @ RNG.normal(size=(columns[0],) * 2))
    np.testing.assert_allclose(np.cos(same), 1, rtol=1e-12)  # an angle near zero has lost half its digits
    close(mtl.principal_angles(np.eye(4)[:, :1], np.eye(4)[:, 1:3]), [np.pi / 2])


BAD = [
    ({"second": X2[:, :5]}, "second must be of 6 features like first, but is of 5; give both tasks the same columns"),
    ({"kept": 0.0}, r"kept must be in \(0, 1\], but is 0.0; use 0.99 as in the paper"),
    ({"kept": 1.1}, r"kept must be in \(0, 1\], but is 1.1"),
    ({"second": np.ones(6)}, r"second must be rows \(m, d\), Moments or a Covariance, but is of shape \(6,\)"),
    ({"first": np.full((3, 6), np.nan)}, "first must be finite, but holds NaN or infinity in 3 of 3 rows"),
    ({"first": mtl.Moments.from_data(X1, np.zeros(40)), "centred": True}, "first must be rows or a Covariance to be centred"),
]


@pytest.mark.parametrize("options, sentence", BAD)
def test_bad_input_is_refused_in_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        mtl.covariance_similarity(**{"first": X1, "second": X2, **options})


def test_centred_scores_do_not_see_offsets_and_literal_ones_do():
    centred = mtl.covariance_similarity(X1 - X1.mean(0), X2 - X2.mean(0))
    close(mtl.covariance_similarity(X1 + 10, X2 - 3, centred=True), centred)
    close(mtl.covariance_similarity(X1 + 1e7, X2, centred=True), centred, 6)
    assert abs(mtl.covariance_similarity(X1 + 10, X2 + 10) - centred) > 0.1
    close(jax.jit(lambda *rows: mtl.covariance_similarity(*rows, centred=True))(X1 + 10, X2), centred)


@pytest.mark.parametrize("size", [1e-23, 1e20, 1e-200, 1e200])
def test_scores_do_not_depend_on_the_unit_of_the_rows(size):
    wanted = mtl.covariance_similarity(X1, X2, centred=True)
    close(mtl.covariance_similarity(X1 * size, X2, centred=True), wanted)
    if 1e-30 < size < 1e30:
        with jax.enable_x64(False):
            single = mtl.covariance_similarity((X1 * size).astype(np.float32), X2.astype(np.float32), centred=True)
        np.testing.assert_allclose(single, wanted, rtol=1e-4)


def test_columns_of_frames_are_matched_by_name():
    names = list("abcdef")
    first, second = pd.DataFrame(X1, columns=names), pd.DataFrame(X2, columns=names)
    wanted = mtl.covariance_similarity(X1, X2)
    close(mtl.covariance_similarity(first, second[names[::-1]]), wanted)
    close(mtl.covariance_similarity(first, X2), wanted)
    assert abs(mtl.covariance_similarity(X1, X2[:, ::-1]) - wanted) > 0.01
    sentence = "second must be of the columns of first, but is without 'a' and with 'z'; give both the same"
    with pytest.raises(ValueError, match=sentence):
        mtl.covariance_similarity(first, second.rename(columns={"a": "z"}))
    with pytest.raises(ValueError, match="second must be of columns with different names, but is with the same name twice"):
        mtl.covariance_similarity(first, second.rename(columns={"a": "b"}))
