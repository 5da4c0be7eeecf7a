"""Numbers in what people keep them in: frames, series, masked, sparse and labelled arrays, words, dates; what is no task."""

import datetime
from collections import namedtuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import xarray as xr
from conftest import untyped

import mtlsim as mtl
from mtlsim.core.containers import column_names, numbers_of
from mtlsim.core.labels import class_codes
from mtlsim.core.words import counted
from mtlsim.samples.moments import stack

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(12, 3)), RNG.normal(size=12)
FRAME = pd.DataFrame(X, columns=["a", "b", "c"])
MASK = np.arange(12) == 4


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (X.tolist(), X),
        (jnp.asarray(X), X),
        (FRAME, X),
        (pd.Series(Y), Y),
        (pd.DataFrame({"a": [True, False], "b": [0.5, 2.0]}), [[1, 0.5], [0, 2]]),
        (pd.Series([1, 2, 3], dtype="Int64"), [1, 2, 3]),
        (pd.Series([1, None, 3], dtype="Int64"), [1, np.nan, 3]),
        (pd.DataFrame({"a": pd.array([1, None], dtype="Float64"), "b": [1, 2]}), [[1, 1], [np.nan, 2]]),
        (pd.Series(["1.5", "2.5"]).astype(float), [1.5, 2.5]),
        (xr.DataArray(X, dims=("row", "feature")), X),
        (np.ma.array(X, mask=np.zeros_like(X)), X),
        (X.astype(">f4"), X.astype(np.float32)),
    ],
)
def test_numbers_are_what_the_container_holds(values, wanted):
    np.testing.assert_array_equal(np.asarray(numbers_of(values, "X")), wanted)


def words(array, labels=False):
    with pytest.raises(ValueError) as error:
        numbers_of(array, "task's y" if labels else "task's X", labels)
    text = str(error.value)
    assert text.endswith(".") and "\n" not in text
    return text


@pytest.mark.parametrize(
    ("values", "says", "cured"),
    [
        (scipy.sparse.csr_matrix(X), "a dense array, but is a sparse one; pass X.toarray()", lambda X: X.toarray()),
        (scipy.sparse.coo_array(X), "pass X.toarray()", lambda X: X.toarray()),
        (
            [scipy.sparse.csr_array(row[None]) for row in X],
            "a list of sparse one; pass scipy.sparse.vstack(rows).toarray()",
            lambda rows: scipy.sparse.vstack(rows).toarray(),
        ),
        (X.astype(str), "of type <U32; convert it with .astype(float)", lambda X: X.astype(float)),
        (X.astype(object), "of type object; convert it with .astype(float)", lambda X: X.astype(float)),
        (X + 1j, "of type complex128; pass X.real", lambda X: X.real),
        (
            np.array(["2024-01-01", "2024-01-03"], "M8[D]"),
            "pass days since the first, (X - X.min()) / numpy.timedelta64(1, 'D')",
            lambda X: (X - X.min()) / np.timedelta64(1, "D"),
        ),
        (np.array([1, 2], "m8[h]"), "pass days, X / numpy.timedelta64(1, 'D')", lambda X: X / np.timedelta64(1, "D")),
        (
            np.array([(1.0, 2.0)], dtype=[("a", float), ("b", float)]),
            "pass numpy.array(X.tolist())",
            lambda X: np.array(X.tolist()),
        ),
        (pd.DataFrame({"a": [1.0], "city": ["x"]}), "task's X's column 'city' must be made of real numbers", None),
        (pd.DataFrame({"a": ["u", "v"]}), "as pandas.get_dummies does, or leave it out", pd.get_dummies),
        (pd.DataFrame({"day": [datetime.date(2024, 1, 1)]}), "column 'day' must be", None),
        ([[1, 2], [3]], "its rows have different lengths", None),
        ({"a": 1}, "made of real numbers, but is a dict; pass an array", None),
        (None, "made of real numbers, but is a NoneType; pass an array", None),
    ],
)
def test_what_is_no_number_is_one_sentence_whose_cure_cures(values, says, cured):
    assert says in words(values)
    if cured is not None:
        assert np.isfinite(np.asarray(numbers_of(cured(values), "X"), float)).all()


def test_names_of_classes_get_a_cure_that_cures():
    y = np.array(["cat", "dog", "cat"])
    text = words(y, labels=True)
    assert "make one class 1 and all others -1" in text and "== 'cat'" in text and "astype" not in text
    formula = text.split("-1, ", 1)[1].removesuffix(".")
    for labels in (y, y.tolist(), pd.Series(y), pd.Series(y, dtype="category")):
        np.testing.assert_array_equal(eval(formula, {"numpy": np, "y": labels}), [1, -1, 1])
        words(labels, labels=True)


@pytest.mark.parametrize("masked", [np.ma.array(X, mask=MASK[:, None] & np.ones(3, bool)), [np.ma.array(X[0], mask=[1, 0, 0])]])
def test_masked_entries_are_never_used(masked):
    assert f"masked in 1 of {counted(len(masked), 'row')}; leave those rows out of X and y alike" in words(masked)
    if len(masked) > 1:
        keep = ~np.ma.getmaskarray(masked).any(1)
        np.testing.assert_array_equal(numbers_of(masked[keep], "X"), X[~MASK])
    assert "keep = ~numpy.ma.getmaskarray(y), then" in words(np.ma.array(Y, mask=MASK), labels=True)


@pytest.mark.parametrize(
    "door",
    [
        lambda X, y: mtl.Moments.from_data(X, y),
        lambda X, y: mtl.Moments.from_shared_rows(X, np.asarray(y)[:, None]),
        lambda X, y: mtl.svd_task_weights([X, X], [y, y], 1),
        lambda X, y: mtl.from_data(X),
        lambda X, y: mtl.covariance_similarity(X, X),
    ],
)
def test_every_door_takes_lists_and_frames_and_refuses_masks_sparse_rows_and_words(door):
    plain = door(X, Y)
    for rows, labels in ((X.tolist(), Y.tolist()), (pd.DataFrame(X), pd.Series(Y))):
        for one, other in zip(jax.tree.leaves(door(rows, labels)), jax.tree.leaves(plain), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)
    for bad, says in (
        (np.ma.array(X, mask=MASK[:, None] & np.ones(3, bool)), "without masked entries"),
        (scipy.sparse.csr_matrix(X), "a dense array"),
        (X.astype("U9"), "made of real numbers"),
        (None, "a NoneType"),
    ):
        with pytest.raises(ValueError, match=says):
            untyped(door)(bad, Y)


def test_named_columns_are_refused_where_names_are_not_kept():
    assert column_names(FRAME) == ("a", "b", "c") and column_names(X) is None and column_names(pd.DataFrame(X)) is None
    assert column_names(xr.DataArray(X, dims=("r", "f"), coords={"f": ["u", "v", "w"]})) == ("u", "v", "w")
    for door in (lambda: mtl.Moments.from_data(FRAME, Y), lambda: mtl.from_data(FRAME), lambda: mtl.Moments.of_rows(FRAME)):
        with pytest.raises(ValueError, match="a frame with the columns 'a', 'b', 'c'; pass X.columns..to_numpy"):
            door()
    columns = ["a", "b", "c"]
    jax.tree.map(
        np.testing.assert_allclose,
        mtl.Moments.from_data(FRAME[["c", "b", "a"]][columns].to_numpy(), Y),
        mtl.Moments.from_data(X, Y),
    )


def test_a_series_in_another_order_than_its_frame_is_refused():
    y = pd.Series(Y)
    shuffled = y.sample(frac=1, random_state=1)
    with pytest.raises(ValueError, match=r"y must be a series with the index of X.*pass y.loc\[X.index\]"):
        mtl.Moments.from_data(pd.DataFrame(X), shuffled)
    cured = mtl.Moments.from_data(pd.DataFrame(X), shuffled.loc[pd.DataFrame(X).index])
    np.testing.assert_allclose(cured.cross, mtl.Moments.from_data(X, Y).cross)


@pytest.mark.parametrize(
    ("y", "cure"),
    [(Y[:, None], "numpy.ravel(y)"), (np.c_[Y, Y], "numpy.asarray(y)[:, 0]"), (pd.DataFrame({"u": Y}), "numpy.ravel(y)")],
)
def test_columns_of_labels_have_a_cure_that_cures(y, cure):
    with pytest.raises(ValueError, match="y must be of shape") as error:
        mtl.Moments.from_data(X, y)
    assert cure in str(error.value)
    mtl.Moments.from_data(X, eval(cure, {"numpy": np, "y": y}))


# scales


@pytest.mark.parametrize("size", [1e-23, 1e20])
def test_squares_that_float32_cannot_hold_are_refused_and_not_dropped(size):
    with jax.enable_x64(False):
        scales = np.array([1, size, 1])
        for bad, whose in (((X * scales, Y), "X"), ((X, Y * size), "y")):
            with pytest.raises(ValueError, match=f"^{whose} must be of squares that") as error:
                mtl.Moments.from_data(*bad)
            assert "divide" in str(error.value)
        with pytest.raises(ValueError, match="^X must be of squares that float32 can hold"):
            mtl.from_data(X * scales)
        cured = mtl.Moments.from_data(X * scales / np.abs(X * scales).max(0), Y)
        assert (np.diagonal(cured.gram) > 0.1).all()
    with pytest.raises(ValueError, match="^X must be of squares"):
        mtl.Moments.from_data(X * 1e-200, Y)
    mtl.Moments.from_data(X * 1e-150, Y * 1e-150)
    mtl.Moments.from_data(X * [0, 1, 1], 0 * Y)


def test_squares_of_whole_numbers_do_not_overflow():
    rows = np.array([[200, 1], [100, 3]], np.uint8)
    np.testing.assert_allclose(mtl.from_data(rows).matrix, rows.astype(float).T @ rows.astype(float) / 2)
    np.testing.assert_allclose(mtl.Moments.from_data(rows, [1.0, 2.0]).gram, rows.astype(float).T @ rows.astype(float))


# classes


def test_codes_of_classes_are_told_from_amounts():
    digits = np.repeat(np.arange(10), 6)
    assert class_codes(digits) == class_codes(digits.astype(float)) == tuple(range(10))
    for amounts in (Y, np.arange(60), np.repeat([0, 1], 30), digits + 0.5, np.repeat(np.arange(30), 6), digits[:12]):
        assert class_codes(amounts) == ()
    assert len(class_codes(np.tile(np.arange(4), 10**5))) == 4


def test_codes_of_classes_are_not_regressed_on_without_a_word():
    rows, codes = np.tile(X, (4, 1)), np.tile(np.arange(4), 12)
    with pytest.warns(UserWarning, match=r"y holds 4 whole numbers \(0, 1, 2, 3\).*pass y.astype\(float\) where they are amounts"):
        mtl.Moments.from_data(rows, codes)
    with pytest.warns(UserWarning, match="Y holds 4 whole numbers"):
        mtl.Moments.from_shared_rows(rows, np.c_[codes % 2, codes])
    mtl.Moments.from_data(rows, codes.astype(float))  # no warning: the caller has decided
    mtl.Moments.from_data(rows, codes % 2)


# tasks that are none

MOMENTS = mtl.Moments.from_data(X, Y)
Pair = namedtuple("Pair", "rows labels")


@pytest.mark.parametrize("verb", [mtl.solve, stack, lambda tasks, *_: mtl.align_covariances(tasks, 1)])
@pytest.mark.parametrize(
    ("tasks", "says"),
    [
        ([(X, Y), (X, Y)], r"moments\[0\] must be the Moments of one task, but is a tuple; pass Moments.from_data\(X, y\)"),
        ((X, Y), r"moments\[0\] must be the Moments of one task, but is an ndarray; pass"),
        ([MOMENTS, Pair(X, Y)], r"moments\[1\] must be the Moments of one task, but is a Pair"),
        (
            [MOMENTS, stack([MOMENTS, MOMENTS])],
            r"moments\[1\] must be the Moments of one task, but is that of 2; pass its tasks one",
        ),
        ([], "moments must be at least one task"),
        (None, "moments must be Moments, or several in a list, but is a NoneType"),
        (X, r"moments\[0\] must be the Moments of one task, but is an ndarray"),
    ],
)
def test_what_is_no_task_is_one_sentence(verb, tasks, says):
    with pytest.raises(ValueError, match=says):
        untyped(verb)(tasks, 1) if verb is not stack else verb(tasks)


def test_training_takes_a_list_of_moments_and_refuses_pairs():
    training, key = mtl.WeightedTraining(n_steps=2), jax.random.key(0)
    scheme = mtl.weighting.find_scheme("equal")()
    several = mtl.train_weighted([MOMENTS, MOMENTS], scheme, 1, training, key)
    np.testing.assert_array_equal(several.losses, mtl.train_weighted(stack([MOMENTS, MOMENTS]), scheme, 1, training, key).losses)
    for verb in (lambda t: untyped(mtl.train_weighted)(t, scheme, 1, training, key), lambda t: untyped(mtl.solve_single)(t)):
        with pytest.raises(ValueError, match="the Moments of one task, but is a"):
            verb([(X, Y)])
    with pytest.raises(ValueError, match="Moments of one task"):
        untyped(mtl.solve_single)(stack([MOMENTS, MOMENTS]))


def test_moments_of_other_columns_are_not_added_up():
    one, other = (mtl.Moments.from_data(X[:, :d], Y) for d in (1, X.shape[1]))
    with pytest.raises(ValueError, match=r"other must be of a gram of shape \(1, 1\)"):
        one + other
    with pytest.raises(ValueError, match="other must be Moments, but is an int"):
        one + 1


def test_sums_that_no_rows_have_are_never_exact_and_weights_keep_their_digits():
    made_up = [mtl.Moments(k * jnp.eye(2), jnp.ones(2), jnp.array(0.01), jnp.array(5.0)) for k in (1.0, 2.0)]
    found = mtl.solve(made_up, 1)
    assert found.status == mtl.Status.ill_conditioned and found.certificate == mtl.Certificate.none
    moments = [MOMENTS, MOMENTS]
    with pytest.raises(ValueError, match=r"weights must be between 1e-100 and 1e\+100 at the largest"):
        mtl.solve(moments, 1, weights=[1e-310, 1e-310])
