"""Tasks given as arrays: columns by name, copies of the target's rows, class codes, and scales that no precision may drop."""

import dataclasses
import json

import jax
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from conftest import untyped

import mtlsim as mtl
from mtlsim import cli
from mtlsim.arrays import pairs as arrays
from mtlsim.arrays.intake import make_ready, sources_of
from mtlsim.arrays.pairs import transfer_between_arrays

D, N_SOURCE, N_TARGET = 8, 300, 60  # the shapes of tests/test_arrays.py
NAMES = [f"feature {i}" for i in range(D)]
few = lambda *tasks, **options: transfer_between_arrays(*tasks, **({"n_splits": 4} | options))


def make_pair(seed=0, noise=(0.3, 1.0)):
    random = np.random.default_rng(seed)
    theta, tasks = random.normal(size=D) * np.arange(1, D + 1), []
    for n, sigma in zip((N_SOURCE, N_TARGET), noise, strict=True):
        X = random.normal(size=(n, D))
        tasks.append((X, X @ theta + sigma * random.normal(size=n)))
    return tasks


SOURCE, TARGET = make_pair()


def same(one, other, rtol=1e-9):
    np.testing.assert_allclose(one.gains, other.gains, rtol=rtol, atol=rtol * abs(other.risk_single))
    np.testing.assert_allclose(one.cosine, other.cosine, rtol=rtol, atol=1e-9)
    assert one.word == other.word


# columns and rows by name


def frame(X, names=NAMES):
    return pd.DataFrame(X, columns=names)


def test_columns_in_another_order_are_matched_by_name():
    wanted = few(SOURCE, TARGET)
    shuffled = frame(SOURCE[0])[NAMES[::-1]]
    found = few((shuffled, pd.Series(SOURCE[1])), (frame(TARGET[0]), TARGET[1]))
    same(found, wanted)
    assert found.notes == ("source: columns were matched to those of target by name",)
    by_position = few((SOURCE[0][:, ::-1], SOURCE[1]), TARGET)
    assert abs(by_position.risk_multi - wanted.risk_multi) > 0.5  # what became of a shuffled frame


def test_frames_without_the_same_names_are_refused():
    with pytest.raises(
        ValueError, match=r"source's X must be of the columns of target's X, but is without 'feature 0', .* and with 0, 1"
    ):
        few((pd.DataFrame(SOURCE[0], columns=range(D)).rename(columns={7: "last"}), SOURCE[1]), (frame(TARGET[0]), TARGET[1]))
    twice = frame(SOURCE[0], ["feature 0", *NAMES[:-1]])
    with pytest.raises(ValueError, match="source's X must be of columns with different names"):
        few((twice, SOURCE[1]), (frame(TARGET[0]), TARGET[1]))


def test_a_frame_beside_an_array_says_that_position_decides():
    for source, target, who in ((frame(SOURCE[0]), TARGET[0], "source"), (SOURCE[0], frame(TARGET[0]), "target")):
        result = few((source, SOURCE[1]), (target, TARGET[1]))
        assert result.notes == (f"source: columns were matched by position, since {who} alone has names",)
        assert result.notes[0] in str(result) and result.to_dict()["notes"] == list(result.notes)
    assert few(SOURCE, (pd.DataFrame(TARGET[0]), pd.Series(TARGET[1]))).notes == ()


def test_labels_in_another_order_than_the_rows_are_refused():
    y = pd.Series(TARGET[1]).sample(frac=1, random_state=0)
    with pytest.raises(ValueError, match="target's y must be a series with the index of target's X"):
        few(SOURCE, (frame(TARGET[0]), y))
    same(few(SOURCE, (frame(TARGET[0]), y.loc[frame(TARGET[0]).index])), few(SOURCE, TARGET))


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ((np.ma.array(TARGET[0], mask=TARGET[0] > 2), TARGET[1]), "target's X must be without masked entries"),
        (
            (TARGET[0], np.ma.array(TARGET[1], mask=np.arange(N_TARGET) == 3)),
            "target's y must be without masked entries, but is masked in 1",
        ),
        (
            (scipy.sparse.csr_matrix(TARGET[0]), TARGET[1]),
            r"target's X must be a dense array, but is a sparse one; pass X.toarray\(\)",
        ),
        ((TARGET[0], np.where(TARGET[1] > 0, "cat", "dog")), "make one class 1 and all others -1"),
        ((TARGET[0], np.c_[TARGET[1], TARGET[1]]), r"target's y must be of shape \(m,\).*numpy.asarray\(y\)\[:, 0\]"),
        ({"X": TARGET[0], "y": TARGET[1]}, r"target must be a pair \(X, y\), but is of type dict"),
        (mtl.Moments.from_data(*TARGET), r"target must be a pair \(X, y\), but is of type Moments"),
    ],
)
def test_other_containers_are_one_sentence(target, says):
    with pytest.raises(ValueError, match=says):
        untyped(transfer_between_arrays)(SOURCE, target)


def test_several_sources_may_be_lists():
    for several in ([SOURCE, SOURCE], [tuple(SOURCE), list(SOURCE)], [mtl.Data(*map(jax.numpy.asarray, SOURCE)), SOURCE]):
        ready = make_ready(sources_of(several), TARGET, float, "auto")
        assert [len(X) for X, _ in ready.tasks] == [N_SOURCE, N_SOURCE, N_TARGET]
    for one in (SOURCE, list(SOURCE), tuple(part.tolist() for part in SOURCE), (frame(SOURCE[0]), pd.Series(SOURCE[1]))):
        assert len(sources_of(one)) == 1


# rows of the target inside a source


def noise(n, seed):
    random = np.random.default_rng(seed)
    return random.normal(size=(n, D)), random.normal(size=n)


def together(*tasks):
    return tuple(np.concatenate(parts) for parts in zip(*tasks, strict=True))


def test_rows_of_the_target_in_a_source_are_left_out_and_said():
    """Tasks of noise: with its copies left out, a source gives to the last digits what it gives without them."""
    source, target = noise(N_SOURCE, 1), noise(N_TARGET, 2)
    leaking = few(together(*[target] * 5), target, duplicates="keep")
    assert any("300 of 300 rows are in target too, label included, and were kept" in note for note in leaking.notes)
    clean, pooled = few(source, target), together(source, target)
    stored = [(pooled, target), ((frame(pooled[0]), pooled[1]), (frame(target[0]), target[1]))]
    stored.append(((pooled[0].astype(np.float32), pooled[1].astype(np.float32)), target))
    for with_copies, goal in stored:
        mended = few(with_copies, goal)
        np.testing.assert_allclose(mended.gains, clean.gains, rtol=1e-4, atol=1e-5)
        assert mended.notes == ("source: 60 of 360 rows are in target too, features and label alike, and were left out",)
        assert mended.notes[0] in str(mended) and mended.n_sources == (N_SOURCE,)


def test_a_source_of_the_targets_rows_alone_is_refused_in_any_order():
    (X, y), order = TARGET, np.random.default_rng(0).permutation(N_TARGET)
    for rows in (order, order[:30]):
        with pytest.raises(
            ValueError, match="source must be made of other rows than target, but is the same rows and labels; keep the"
        ):
            few((X[rows], y[rows]), TARGET)
    one_more = np.vstack([X, X[:1] + 1]), np.append(y, 0.0)
    with pytest.raises(ValueError, match="but is rows of target in 60 of 61 rows"):
        few(one_more, TARGET)


def notes_on(source, target, duplicates="auto"):
    ready = make_ready([source], target, float, duplicates)
    return len(ready.tasks[0][0]), ready.notes


def test_rows_of_few_values_repeat_by_chance_and_are_kept():
    random = np.random.default_rng(2)
    tasks = [(random.integers(0, 2, (n, D)).astype(float), random.integers(0, 2, n)) for n in (N_SOURCE, N_TARGET)]
    n_kept, notes = notes_on(*tasks)
    assert n_kept == N_SOURCE and any("were kept, as rows of few distinct values can be by chance" in note for note in notes)
    n_kept, notes = notes_on(*tasks, "drop")
    assert n_kept < N_SOURCE and "were left out" in "".join(notes)
    with pytest.raises(ValueError, match="duplicates must be one of the known names, but is 'no'"):
        few(*tasks, duplicates="no")


def test_copies_of_rows_that_a_source_has_twice_are_still_copies():
    n_kept, notes = notes_on(together(SOURCE, TARGET, TARGET), TARGET)
    assert n_kept == N_SOURCE and "120 of 420 rows are in target too" in notes[0]


def test_the_same_rows_with_other_labels_and_repeated_rows_of_the_target_are_said():
    _, notes = notes_on((np.vstack([SOURCE[0][:-20], TARGET[0][:20]]), SOURCE[1]), TARGET)
    assert notes[0].startswith("source: 20 of 300 rows are in target too with another label") and len(notes) == 1
    X, y = TARGET
    _, notes = notes_on(SOURCE, (np.vstack([X[:-6], X[:6]]), np.append(y[:-6], y[:6])))
    assert notes[0].startswith("target: 10 % of its rows repeat another one") and len(notes) == 1
    assert notes_on(SOURCE, TARGET) == (N_SOURCE, ())


# codes of classes


def test_codes_of_classes_are_said_and_amounts_are_not():
    codes = np.tile(np.arange(4), 15)
    for y in (codes, codes.astype(float)):
        (note,) = few(SOURCE, (TARGET[0], y)).notes
        assert note.startswith("target's y holds 4 whole numbers (0, 1, 2, 3), taken as amounts: if they are codes of classes")
    assert few(SOURCE, (TARGET[0], codes > 1)).notes == ()


# scales


UNITS = {True: [1e-200, 1e200], False: [1e-23, 1e20]}


@pytest.mark.parametrize("x64", [True, False])
def test_units_of_features_and_labels_drop_nothing_in_any_precision(x64):
    """Columns and labels near the ends of what squares allow give what they give in ordinary units."""
    units, wanted = np.repeat(UNITS[x64], D // 2), few(SOURCE, TARGET)
    dtype, size = (float, 1e140) if x64 else (np.float32, 1e30)
    with jax.enable_x64(x64):
        pair = [((X * units).astype(dtype), (y * u).astype(dtype)) for (X, y), u in ((SOURCE, 1 / size), (TARGET, size))]
        found = few(*pair)
    np.testing.assert_allclose(found.gains / size**2, wanted.gains, rtol=1e-9 if x64 else 0.02, atol=0.01 * wanted.risk_single)
    np.testing.assert_allclose(found.risk_multi / size**2, wanted.risk_multi, rtol=1e-9 if x64 else 0.01)
    np.testing.assert_allclose(found.gain.low / size**2, wanted.gain.low, rtol=1e-9 if x64 else 0.05)
    assert found.word == wanted.word and found.precision == ("float64" if x64 else "float32")


def test_offsets_lose_no_digits_in_single_precision():
    (X, y) = make_ready([SOURCE], (TARGET[0] + 1e8, TARGET[1] - 1e6), np.float32, "auto").tasks[1]
    for found, wanted in ((X, TARGET[0]), (y[:, None], TARGET[1][:, None])):
        moved = wanted - wanted[0]
        ratios = np.log2(np.abs(found[1:]).max(0) / np.abs(moved[1:]).max(0))
        np.testing.assert_allclose(found, moved * 2.0 ** np.round(ratios), atol=1e-6)


@pytest.mark.parametrize("size", [1e160, 1e-160])
def test_labels_whose_squares_no_number_holds_have_a_cause_and_a_cure(size):
    target = TARGET[0], TARGET[1] * size
    with pytest.raises(ValueError, match="target's y must be of labels whose squares float64 can hold.*about 1e-?1[56]") as error:
        few(SOURCE, target)
    assert "divide it by numpy.abs(y).max()" in str(error.value)
    assert few(SOURCE, (target[0], target[1] / np.abs(target[1]).max())).word == few(SOURCE, TARGET).word
    few((SOURCE[0], SOURCE[1] * size), TARGET)  # a source's unit is its own matter


def test_columns_constant_up_to_rounding_are_said():
    X = np.column_stack([SOURCE[0][:, :-1], np.full(N_SOURCE, 0.1)]), np.column_stack([TARGET[0][:, :-1], np.full(N_TARGET, 0.3)])
    ready = make_ready([(X[0], SOURCE[1])], (X[1], TARGET[1]), float, "auto")
    assert ready.notes == ("1 of 8 columns is constant up to rounding in every task and has no effect",)
    assert not ready.tasks[0][0][:, -1].any()


# the command line


def test_the_command_line_says_the_cause_and_exits_so(tmp_path, capsys):
    def save(name, X, y):
        np.savez(tmp_path / name, X=X, y=y)
        return str(tmp_path / f"{name}.npz")

    source, target, huge = save("s", *SOURCE), save("t", *TARGET), save("h", TARGET[0], TARGET[1] * 1e160)
    both = save("b", *together(SOURCE, TARGET))
    assert cli.main(["transfer", source, huge]) == 2
    assert "target's y must be of labels whose squares" in capsys.readouterr().err
    assert cli.main(["transfer", both, target, "--splits", "4", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n_sources"] == [300] and "60 of 360 rows are in target too" in found["notes"][0]
    assert cli.main(["transfer", target, target, "--duplicates", "drop"]) == 2
    assert "made of other rows than target" in capsys.readouterr().err


def test_no_finite_answer_is_no_success(capsys, monkeypatch):
    nothing = few(SOURCE, TARGET)
    none = dataclasses.replace(nothing, gain=dataclasses.replace(nothing.gain, mean=np.nan, n_seeds=0))
    monkeypatch.setattr(arrays, "compare_files", lambda *options: none)
    assert cli.main(["transfer", "a.npz", "b.npz"]) == 1
    assert "no split gave a finite answer" in capsys.readouterr().out


def test_columns_that_are_counted_are_matched_where_another_frame_has_them_in_another_order():
    rng = np.random.default_rng(0)
    theta = np.array([3.0, 0.0, -3.0])
    (X, y), (Z, v) = ((rows, rows @ theta + 0.5 * rng.normal(size=len(rows))) for rows in rng.normal(size=(2, 40, 3)))
    counted, turned = pd.DataFrame(Z), pd.DataFrame(X)[[2, 1, 0]]
    for source, target in (((counted, v), (turned, y)), ((turned, y), (counted, v))):
        found = mtl.transfer_between_arrays(source, target, n_splits=2)
        assert found.cosine[0] > 0.9 and "by name" in found.notes[0]
    named = turned.set_axis(["a", "b", "c"], axis=1)
    assert mtl.transfer_between_arrays((counted, v), (named, y), n_splits=2).cosine[0] < 0  # no name in common: by position
    with pytest.raises(ValueError, match="is without 5 and with 2"):
        mtl.transfer_between_arrays((counted, v), (turned.rename(columns={2: 5}), y))
