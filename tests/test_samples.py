"""Samples: drawn moments have the law of explicit rows, whatever n is, and moments of arrays are their sums."""

import dataclasses
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import Z_LIMIT, close, z_score
from scipy import stats

import mtlsim as mtl
from mtlsim.samples import chi_square, stack, wishart
from mtlsim.samples import moments as moments_module
from mtlsim.samples.chi_square import draw_chi_squares
from mtlsim.samples.data import draw_entries

D = 4
KEY = jax.random.key(11)
NOISE = 3.0
MIXING = np.random.default_rng(1).normal(size=(D, D))
RECIPE = {"n_features": D, "design": mtl.FromMatrix(MIXING @ MIXING.T), "alignment": 0.9, "noise": NOISE}
TASKS = mtl.LinearTasks(n_samples=(9, 3), **RECIPE).draw(key=KEY)
N_SEEDS = 4000


@jax.jit
def draw_many(tasks, keys):
    return jax.vmap(lambda key: mtl.draw_moments(tasks, key=key))(keys)


def with_samples(tasks, *n_samples):
    return dataclasses.replace(tasks, n_samples=jnp.asarray(n_samples, float))


@cache
def drawn(n):
    return tuple(
        np.asarray(leaf) for leaf in of(draw_many(with_samples(TASKS, n, 3), jax.random.split(jax.random.key(n), N_SEEDS)), 0)
    )


@cache
def explicit(n, row_scale=1.0, noise_scale=1.0, correlation=0.0):
    """Gram, cross and energy of explicit rows of the first task, from NumPy; or of rows that are wrong in one of three ways."""
    rng = np.random.default_rng(n)
    Z = rng.normal(size=(10_000, n, D))
    Z[..., 1:] += correlation * Z[..., :-1]
    X = row_scale * Z @ np.linalg.cholesky(np.asarray(TASKS.covariances[0].matrix())).T
    y = X @ np.asarray(TASKS.parameters[0]) + noise_scale * NOISE * rng.normal(size=X.shape[:2])
    return np.einsum("snd,sne->sde", X, X), np.einsum("snd,sn->sd", X, y), np.einsum("sn,sn->s", y, y)


def features(gram, cross, energy):
    """All entries, and the products of all pairs of them: first and second moments."""
    first = np.concatenate([gram[:, *np.triu_indices(D)], cross, energy[:, None]], 1)
    second = np.einsum("sa,sb->sab", first, first)[:, *np.triu_indices(first.shape[1])]
    return np.concatenate([first, second], 1)


def worst_z(some, others):
    """Largest difference of two samples' means over all features, in standard errors."""
    a, b = features(*some), features(*others)
    return np.abs(z_score(a, b.mean(0), b.std(0) / np.sqrt(len(b)))).max()


def of(moments, task):
    return moments.gram[:, task], moments.cross[:, task], moments.energy[:, task]


@pytest.mark.parametrize("n", [1, 2, D, 9])
def test_drawn_moments_have_the_first_and_second_moments_of_explicit_rows(n):
    assert worst_z(drawn(n), explicit(n)) < Z_LIMIT


@pytest.mark.parametrize("n", [2, D, 9])
@pytest.mark.parametrize("wrong", [{"row_scale": 1.1}, {"noise_scale": 1.1}, {"correlation": 0.1}], ids=str)
def test_the_same_comparison_finds_an_error_of_a_tenth(n, wrong):
    assert worst_z(drawn(n), explicit(n, **wrong)) > Z_LIMIT


@pytest.mark.parametrize("n", [1, 3, D, 9])
def test_drawn_moments_have_the_quantiles_of_explicit_rows(n):
    """Kolmogorov-Smirnov on each eigenvalue, the length of the cross, the energy and the residual energy."""

    def quantities(gram, cross, energy):
        own = np.einsum("sd,sde,se->s", cross, np.linalg.pinv(gram, rcond=1e-10, hermitian=True), cross)
        columns = [*np.linalg.eigvalsh(gram)[:, -min(n, D) :].T, np.linalg.norm(cross, axis=1), energy]
        return [*columns, energy - own] if n > D else columns

    smallest = 2 * stats.norm.sf(Z_LIMIT)
    pairs = list(zip(quantities(*drawn(n)), quantities(*explicit(n)), strict=True))
    assert min(stats.ks_2samp(a, b).pvalue for a, b in pairs) > smallest
    if n >= D:
        assert max(stats.ks_2samp(1.2 * a, b).pvalue for a, b in pairs[1:]) < smallest  # some six standard errors of the least


def test_expectations_are_the_known_ones_also_for_many_rows():
    """E gram = n Sigma, E cross = n Sigma theta, and the energy is a scaled chi-square with n degrees."""
    theta = np.asarray(TASKS.parameters[0])
    sigma = np.asarray(TASKS.covariances[0].matrix())
    size = theta @ sigma @ theta + NOISE**2
    for n in (1, 5, 10**6, 10**9):
        gram, cross, energy = drawn(n)
        assert np.abs(z_score(gram, n * sigma)).max() < Z_LIMIT
        assert np.abs(z_score(cross, n * sigma @ theta)).max() < Z_LIMIT
        assert np.abs(z_score(energy, n * size)) < Z_LIMIT
        spread = (energy - n * size) ** 2
        assert np.abs(z_score(spread, 2 * n * size**2)) < Z_LIMIT
        assert n == 1 or np.abs(z_score(spread, 1.21 * 2 * n * size**2)) > Z_LIMIT  # too few to tell at one degree of freedom
        wishart_variance = n * (sigma**2 + np.outer(np.diag(sigma), np.diag(sigma)))
        assert np.abs(z_score((gram - n * sigma) ** 2, wishart_variance)).max() < Z_LIMIT


@pytest.mark.parametrize("degrees", [1, 1.5, 2, 3, 40, 10**9])
@pytest.mark.parametrize("n_proposals", [1, 2])
def test_chi_squares_have_their_law(degrees, n_proposals, monkeypatch):
    """Also where one proposal in twenty is rejected and the loop has to go on."""
    monkeypatch.setattr(chi_square, "N_PROPOSALS", n_proposals)
    drawn = np.asarray(jax.jit(draw_chi_squares)(jax.random.key(int(degrees) + n_proposals), jnp.full(50_000, float(degrees))))
    smallest = 2 * stats.norm.sf(Z_LIMIT)
    assert stats.kstest(drawn, stats.chi2(degrees).cdf).pvalue > smallest
    wrong = (drawn - degrees) * 1.1 + degrees if degrees > 100 else drawn * 1.1
    assert stats.kstest(wrong, stats.chi2(degrees).cdf).pvalue < smallest
    assert np.abs(z_score(drawn, degrees)) < Z_LIMIT
    assert np.abs(np.corrcoef(drawn[1:], drawn[:-1])[0, 1]) < Z_LIMIT / np.sqrt(len(drawn))


def test_there_is_no_chi_square_of_impossible_degrees():
    """And the search for one ends: no proposal would ever be accepted."""
    wanted = draw_chi_squares(KEY, jnp.array([3.0, 1.0, 1.0, 1.0, 1.0, 7.0]))
    drawn = draw_chi_squares(KEY, jnp.array([3.0, -2.0, jnp.nan, jnp.inf, -1e300, 7.0]))
    assert np.isnan(np.asarray(drawn)).tolist() == [False, True, True, True, True, False]
    assert (drawn[0], drawn[-1]) == (wanted[0], wanted[-1]) and draw_chi_squares(KEY, jnp.zeros(1)) == 0


def test_chi_squares_follow_their_degrees_at_a_fixed_quantile():
    degrees = jnp.array([1.0, 5.0, 300.0])
    drawn, slope = jax.jvp(lambda degrees: draw_chi_squares(KEY, degrees), (degrees,), (jnp.ones(3),))
    ends = [stats.chi2.ppf(stats.chi2.cdf(drawn, degrees), degrees + h) for h in (1e-4, -1e-4)]
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / 2e-4, rtol=1e-4)


def test_two_tasks_are_drawn_independently():
    moments = draw_many(TASKS, jax.random.split(KEY, N_SEEDS))
    first, second = (np.concatenate([np.asarray(leaf).reshape(N_SEEDS, -1) for leaf in of(moments, i)], 1) for i in range(2))
    first, second = first - first.mean(0), second - second.mean(0)
    assert np.abs(z_score(np.einsum("sa,sb->sab", first, second), 0)).max() < Z_LIMIT


@pytest.mark.parametrize("n", [1, 3, D, D + 1, 50, 10**9])
def test_factor_scores_and_energy_fit_together(n):
    many = jax.tree.map(np.asarray, draw_many(with_samples(TASKS, n, 3), jax.random.split(KEY, N_SEEDS)))
    for seed in range(50):
        m = jax.tree.map(lambda leaf, seed=seed: leaf[seed, 0], many)
        close(m.gram, m.factor @ m.factor.T)
        close(m.cross, m.factor @ m.scores)
        assert np.linalg.matrix_rank(m.factor) == min(n, D)
        assert not np.any(m.factor[:, n:]) and not np.any(m.scores[n:])
        left = float(m.energy - m.scores @ m.scores)
        if n <= D:
            assert abs(left) <= 1e-14 * m.energy  # as many directions as rows: interpolated
        else:
            assert left > 0


def test_without_noise_the_labels_are_explained_entirely():
    tasks = dataclasses.replace(TASKS, noise=jnp.zeros(2))
    m = mtl.draw_moments(tasks, key=KEY)
    for i in range(2):
        close(m.energy[i], m.scores[i] @ m.scores[i])
        close(m.cross[i], m.gram[i] @ tasks.parameters[i])


def test_shared_covariates_share_one_gram_and_one_factor():
    recipe = mtl.LinearTasks(n_features=D, n_samples=(9, 9, 9), noise=(0.0, 0.5, 2.0), shared_covariates=True)
    tasks = recipe.draw(key=KEY)
    m = mtl.draw_moments(tasks, key=KEY)
    assert m.shared_covariates and m.n_tasks == 3
    assert m.gram.shape == m.factor.shape == (D, D) and m.cross.shape == (3, D)
    close(m.gram, m.factor @ m.factor.T)
    close(m.cross, m.scores @ m.factor.T)
    close(m.cross[0], m.gram @ tasks.parameters[0])
    for i in range(3):
        close(m[i].cross, m.cross[i])
        close(m[i].gram, m.gram)
    X = [task.X for task in mtl.draw_data(tasks, (9, 9, 9), key=KEY)]
    np.testing.assert_array_equal(X[0], X[1])


def test_one_compile_serves_every_number_of_rows_and_every_noise():
    f = jax.jit(lambda tasks, key: mtl.draw_moments(tasks, key=key).energy)
    for n in (1, 3, D, 9, 10**4, 10**9):
        assert np.isfinite(f(with_samples(TASKS, n, n), KEY)).all()
    assert f._cache_size() == 1


def test_a_changed_number_does_not_move_the_other_draws():
    base = mtl.draw_moments(TASKS, key=KEY)
    other = mtl.draw_moments(dataclasses.replace(TASKS, n_samples=jnp.array([90.0, 3.0]), noise=jnp.array([9.0, NOISE])), key=KEY)
    for name in ("gram", "cross", "energy", "factor", "scores"):
        np.testing.assert_array_equal(getattr(base, name)[1], getattr(other, name)[1])


def test_another_source_does_not_move_the_draws_of_the_tasks_that_were_there():
    two = mtl.LinearTasks(n_samples=(20, 30), **RECIPE).draw(key=KEY)
    three = mtl.LinearTasks(n_samples=(20, 7, 30), **RECIPE).draw(key=KEY)
    explicit_rows = lambda tasks: [task.y for task in mtl.draw_data(tasks, (20,) * tasks.n_tasks, key=KEY)]
    for few, many in (
        (mtl.draw_moments(two, key=KEY).gram, mtl.draw_moments(three, key=KEY).gram),
        (explicit_rows(two), explicit_rows(three)),
    ):
        np.testing.assert_array_equal(few[0], many[0])
        np.testing.assert_array_equal(few[1], many[2])
        assert np.all(np.asarray(many[1]) != np.asarray(many[2]))


@pytest.mark.parametrize("law", ["gaussian", "rademacher", "student", "sphere"])
def test_entries_are_uncorrelated_with_variance_one(law):
    entries = np.asarray(draw_entries(KEY, law, 20_000, 3))
    assert entries.shape == (20_000, 3)
    assert np.abs(z_score(entries, 0)).max() < Z_LIMIT
    assert np.abs(z_score(np.einsum("na,nb->nab", entries, entries), np.eye(3))).max() < Z_LIMIT
    fourth = {"gaussian": 3, "rademacher": 1, "student": 9, "sphere": 9 / 5}[law]  # student t5: the excess is 6
    if law != "student":  # whose fourth moment has no variance
        assert np.abs(z_score(entries**4, fourth)).max() < Z_LIMIT
    if law == "sphere":
        close(np.linalg.norm(entries, axis=1), np.full(20_000, np.sqrt(3)))
    if law == "rademacher":
        assert set(np.unique(entries)) == {-1.0, 1.0}
    if law == "student":
        assert stats.kstest(entries.ravel() / np.sqrt(3 / 5), stats.t(5).cdf).pvalue > 1e-4


@pytest.mark.parametrize("law", ["rademacher", "student", "sphere"])
def test_other_rows_come_in_blocks_with_a_partial_last_one(law, monkeypatch):
    """Mean of the gram n Sigma, of the cross n Sigma theta, of the energy n (theta' Sigma theta + 1); 3 blocks of 16 for 40."""
    monkeypatch.setattr(wishart, "BLOCK_ROWS", 16)
    recipe = mtl.LinearTasks(n_features=D, n_samples=(40, 16), design=mtl.FromMatrix(MIXING @ MIXING.T), rows=law)
    tasks = recipe.draw(key=KEY)
    sigma = np.asarray(tasks.covariances[0].matrix())  # of both tasks
    many = draw_many(tasks, jax.random.split(KEY, 800))
    assert many.factor is None
    for i, n in enumerate((40, 16)):
        gram, cross, energy = (np.asarray(leaf) for leaf in of(many, i))
        theta = np.asarray(tasks.parameters[i])
        assert np.abs(z_score(gram, n * sigma)).max() < Z_LIMIT
        assert np.abs(z_score(gram, 1.1 * n * sigma)).max() > Z_LIMIT
        assert np.abs(z_score(cross, n * sigma @ theta)).max() < Z_LIMIT
        assert np.abs(z_score(energy, n * (theta @ sigma @ theta + 1))) < Z_LIMIT
        np.testing.assert_array_equal(many.n_samples[:, i], n)
        assert np.all(np.linalg.matrix_rank(gram) == D)
    if law != "student":  # blocks are not copies of each other: variances grow as the number of rows, not as its square
        spread = np.asarray(many.gram).var(0).sum((1, 2)) / [40, 16]
        assert 0.8 < spread[0] / spread[1] < 1.25


def test_explicit_data_follow_the_linear_model():
    tasks = mtl.LinearTasks(n_features=D, noise=(0.0, 2.0), alignment=0.8).draw(key=KEY)
    first, second = mtl.draw_data(tasks, (60, 4000), key=KEY)
    assert first.X.shape == (60, D) and first.y.shape == (60,)
    close(first.y, np.asarray(first.X) @ np.asarray(tasks.parameters[0]))
    rows = np.asarray(second.X)
    noise = np.asarray(second.y) - rows @ np.asarray(tasks.parameters[1])
    assert np.abs(z_score(noise**2, 4.0)) < Z_LIMIT < np.abs(z_score(noise**2, 4.84))
    products = np.einsum("na,nb->nab", rows, rows)
    sigma = np.asarray(tasks.covariances[1].matrix())
    assert np.abs(z_score(products, sigma)).max() < Z_LIMIT < np.abs(z_score(products, 1.21 * sigma)).max()
    assert np.abs(z_score(rows * noise[:, None], 0)).max() < Z_LIMIT


def some_arrays(m=37, d=5, dtype=float):
    rng = np.random.default_rng(m)
    return rng.normal(size=(m, d)).astype(dtype), rng.normal(size=m).astype(dtype)


@pytest.mark.parametrize("block_rows", [1, 10, 37, 1000])
def test_moments_of_arrays_are_their_sums_whatever_the_block(block_rows, monkeypatch):
    X, y = some_arrays()
    monkeypatch.setattr(moments_module, "BLOCK_BYTES", block_rows * 5 * 8)
    m = mtl.Moments.from_data(X, y)
    close(m.gram, X.T @ X)
    close(m.cross, X.T @ y)
    close(m.energy, y @ y)
    assert m.n_samples == 37 and not m.rank_known and m.n_tasks == 1 and m.n_features == 5
    close(m.factor, np.linalg.cholesky(X.T @ X))
    close(m.factor @ m.scores, X.T @ y)
    parts = mtl.Moments.from_data(X[:20], y[:20]) + mtl.Moments.from_data(X[20:], y[20:])
    jax.tree.map(close, parts, m.without_factor())


def test_memory_mapped_arrays_jax_arrays_and_traced_arrays_give_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(moments_module, "BLOCK_BYTES", 8 * 5 * 8)
    X, y = some_arrays(dtype=np.float32)
    on_disk = np.memmap(tmp_path / "X.bin", np.float32, "w+", shape=X.shape)
    on_disk[:] = X
    labels = np.memmap(tmp_path / "y.bin", np.float32, "w+", shape=y.shape)
    labels[:] = y
    wanted = mtl.Moments.from_data(X.astype(float), y.astype(float))
    for rows, column in ((on_disk, labels), (jnp.asarray(X, float), jnp.asarray(y, float)), (X.tolist(), y.tolist())):
        jax.tree.map(close, mtl.Moments.from_data(rows, column), wanted)
    traced = jax.jit(mtl.Moments.from_data)(X.astype(float), y.astype(float))
    jax.tree.map(close, traced, wanted.without_factor())


def test_stacking_and_taking_apart():
    tasks = [mtl.Moments.from_data(*some_arrays(m)) for m in (10, 20, 30)]
    both = stack(tasks)
    assert both.n_tasks == 3 and both.n_features == 5 and not both.shared_covariates
    jax.tree.map(np.testing.assert_array_equal, both[1], tasks[1])
    assert stack(both) is both
    assert stack(tasks[0]).cross.shape == (1, 5)
    both = mtl.draw_moments(TASKS, key=KEY)
    jax.tree.map(np.testing.assert_array_equal, stack([both[0], both[1]]), both)
    assert stack([both[0], mtl.Moments.from_data(*some_arrays(9, D))]).rank_known is False  # drawn and observed tasks together


BAD_ARRAYS = [
    (np.ones(5), np.ones(5), r"X must be of shape \(m, d\), but is of shape \(5,\); pass one row per sample"),
    (
        np.ones((5, 2)),
        np.ones((5, 1)),
        r"y must be of shape \(m,\), but is of shape \(5, 1\); pass one label per row, numpy.ravel\(y\)",
    ),
    (np.ones((5, 2)), np.ones(4), "y must be as long as X, 5 rows, but is of length 4; drop the rows without a label"),
    (np.ones((0, 2)), np.ones(0), r"X must be at least one row and one column, but is of shape \(0, 2\); load some rows"),
    (
        np.array([[1.0, np.nan], [1, 2], [np.inf, 1]]),
        np.ones(3),
        "X must be finite, but holds NaN or infinity in 2 of 3 rows; drop or impute",
    ),
    (np.ones((3, 2)), np.array([1, np.nan, 3]), "y must be finite, but holds NaN or infinity in 1 of 3 rows"),
]


@pytest.mark.parametrize("X, y, sentence", BAD_ARRAYS)
def test_bad_arrays_are_refused_in_one_sentence(X, y, sentence):
    with pytest.raises(ValueError, match=sentence):
        mtl.Moments.from_data(X, y)


def test_nan_is_counted_over_all_rows_and_not_one_block(monkeypatch):
    monkeypatch.setattr(moments_module, "BLOCK_BYTES", 10 * 5 * 8)
    X, y = some_arrays()
    X[[3, 25, 30]] = np.nan
    with pytest.raises(ValueError, match="X must be finite, but holds NaN or infinity in 3 of 37 rows"):
        mtl.Moments.from_data(X, y)


def test_tasks_to_stack_need_the_same_columns():
    with pytest.raises(
        ValueError, match=r"moments must be of one number of features, but is of \[4, 5\]; give all tasks the same columns"
    ):
        stack([mtl.Moments.from_data(*some_arrays(9, 4)), mtl.Moments.from_data(*some_arrays(9, 5))])
    with pytest.raises(ValueError, match="moments must be at least one task, but is empty"):
        stack([])
