"""`compare_tasks`: its ways of learning by refits and joint systems of NumPy, its verdicts on tasks of known truth, its doors."""

import itertools
import json
import os

import jax
import numpy as np
import pandas as pd
import pytest
from conftest import close, untyped
from scipy import optimize, sparse, special
from threadpoolctl import threadpool_info, threadpool_limits

import mtlsim as mtl
from mtlsim import cli
from mtlsim.arrays.gather import gather
from mtlsim.arrays.grouping import best_partition
from mtlsim.arrays.learners import METHODS, Ways, fit_ways, free_error, make_source, mixed, see, weights_of
from mtlsim.arrays.study import Study
from mtlsim.arrays.tables import read_tasks
from mtlsim.arrays.together import Table, Together
from mtlsim.solvers.partitions import partitions

RNG = np.random.default_rng(4)
D = 6


def rows(n, theta, noise=0.5, rng=RNG, d=D):
    X = rng.normal(size=(n, d)) + 3
    return X, X @ theta + noise * rng.normal(size=n) - 7


def centred(X, y):
    return X - X.mean(0), y - y.mean()


THETAS = RNG.normal(size=(3, D))
SOURCES = [centred(*rows(n, theta)) for n, theta in zip((15, 9, 4), THETAS, strict=True)]  # the last with fewer rows than features
MADE = {s: make_source(*pair) for s, pair in enumerate(SOURCES)}
EVERY = [Ways(MADE, 2.0).alone(), *Ways(MADE, 2.0).of((1,)), *Ways(MADE, 2.0).of((0, 1, 2))]


def by_hand(way, X, y, strength):
    """theta of the stated objective, from C^-1 itself."""
    X, y = centred(X, y)
    centre = np.zeros(D) if way.centre is None else way.centre
    spread = np.eye(D) if way.factor is None else way.factor @ way.factor.T
    inverse = np.linalg.inv(spread)
    return np.linalg.solve(X.T @ X + strength * inverse, X.T @ y + strength * inverse @ centre)


@pytest.mark.parametrize("n", [5, 30])
def test_every_way_is_its_equation_and_its_errors_are_those_of_refits(n):
    """With fewer and with more rows than features; a row is left out by leaving it out."""
    X, y = rows(n, THETAS[0])
    y, every = y / y.std(), np.arange(n)  # their unit stays while a row is left out
    for fit in fit_ways(see(EVERY, X), y, every):
        mixed_at = list(zip(fit.shares, fit.way.strengths, strict=True))
        learn = lambda kept: sum(w * by_hand(fit.way, X[kept], y[kept], s) for w, s in mixed_at)  # noqa: B023
        close(fit.theta, learn(every), 4)
        left = []
        for i in range(n):
            kept = np.delete(every, i)
            left.append(y[i] - y[kept].mean() - (X[i] - X[kept].mean(0)) @ learn(kept))
        close(fit.errors, np.array(left), 5)


def test_weighted_rows_and_mean_regularised_are_joint_least_squares_of_all_rows():
    """tau = 1: one parameter for all rows; and one per task, each pulled to a free mean, by one system of all of them."""
    X, y = rows(12, THETAS[1])
    Xc, yc = centred(X, y)
    ways = Ways(MADE, 2.0)
    ridge = sum(one.ridge for one in MADE.values()) / len(MADE)
    pairs = [*SOURCES, (Xc, yc)]
    pooled = np.linalg.solve(sum(a.T @ a for a, _ in pairs) + ridge * np.eye(D), sum(a.T @ b for a, b in pairs))
    for way in ways.of((0, 1, 2)):
        if way.method == "weighted-rows":
            close(by_hand(way, X, y, 1.0), pooled, 3)
        if way.method == "mean-regularised":
            pull = np.linalg.inv(way.factor @ way.factor.T)
            strongest = np.linalg.eigvalsh(pull).max()
            pull = next(p for p in (0.6, 6.0, 60.0) if p * 1.0000001 >= strongest)  # lambda bounds the pull from above
            blocks = [a.T @ a + one.ridge * np.eye(D) for (a, _), one in zip(SOURCES, MADE.values(), strict=True)] + [Xc.T @ Xc]
            K = len(blocks)
            system, right = np.zeros(((K + 1) * D, (K + 1) * D)), np.zeros((K + 1) * D)
            for k, (block, (a, b)) in enumerate(zip(blocks, pairs, strict=True)):
                own, mean = slice(k * D, (k + 1) * D), slice(K * D, (K + 1) * D)
                system[own, own] = block + pull * np.eye(D)
                system[own, mean] = system[mean, own] = -pull * np.eye(D)
                system[mean, mean] += pull * np.eye(D)
                right[own] = a.T @ b
            close(by_hand(way, X, y, 1.0), np.linalg.solve(system, right)[(K - 1) * D : K * D], 4)


def worth(errors, prior, noise, weights):
    """What weights on the simplex minimise, from the errors (p, m) themselves."""
    joint, own = weights @ errors, np.mean(errors**2, 1)
    cost = np.sum(np.where(weights > 0, weights * np.log(np.where(weights > 0, weights, 1) / prior), 0))
    return (np.mean(joint**2) + weights @ own) / 2 + 4 * noise / errors.shape[1] * cost


def test_strengths_and_ways_are_mixed_by_weights_that_no_others_beat():
    """Alone is as likely before as all else, methods alike, and ways of one method, and strengths. Against a search and against
    moves of weight between any two."""
    X, y = rows(20, THETAS[0], 0.1)
    fits = fit_ways(see(EVERY, X), y, np.arange(20))
    methods = [fit.way.method for fit in fits]
    prior = np.array([1 / 2 if method == "alone" else 1 / 6 / methods.count(method) for method in methods])
    errors, noise = np.stack([fit.errors for fit in fits]), min(fit.error for fit in fits)
    close(mixed(fits, weights_of(fits)), sum(w * fit.theta for w, fit in zip(weights_of(fits), fits, strict=True)))
    close(free_error(fits, noise), worth(errors, prior, noise, weights_of(fits)), 2)
    strongest = stronger_errors(EVERY[0], X, y)
    (alone,) = fit_ways(see(EVERY[:1], X), y, np.arange(20))
    even = np.full(len(strongest), 1 / len(strongest))
    nothing_is_worth_less(strongest, even, np.mean(strongest**2, 1).min(), alone.shares)
    nothing_is_worth_less(errors, prior, noise, weights_of(fits))


def nothing_is_worth_less(errors, prior, noise, weights):
    close(weights.sum(), 1.0)
    best = worth(errors, prior, noise, weights)
    at = lambda free: worth(errors, prior, noise, np.exp(free - special.logsumexp(free)))
    found = optimize.minimize(at, np.log(prior), method="BFGS").fun
    assert found * (1 - 1e-4) < best <= found * (1 + 1e-12)
    for i, j in itertools.permutations(range(len(weights)), 2):
        moved = weights.copy()
        moved[i], moved[j] = 0.99 * weights[i], weights[j] + 0.01 * weights[i]
        assert worth(errors, prior, noise, moved) >= best * (1 - 1e-12)


def stronger_errors(way, X, y):
    """Leave-one-out errors (T, m) at every strength of learning alone, by refits."""
    every, found = np.arange(len(y)), []
    for strength in way.strengths:
        kept = [np.delete(every, i) for i in every]
        thetas = [by_hand(way, X[k], y[k], strength) for k in kept]
        found.append([y[i] - y[k].mean() - (X[i] - X[k].mean(0)) @ t for i, k, t in zip(every, kept, thetas, strict=True)])
    return np.array(found)


@pytest.mark.parametrize("n_tasks", [1, 2, 4, 5])
def test_the_best_partition_is_the_best_of_all(n_tasks):
    worth = {
        (t, others): RNG.normal()
        for t in range(n_tasks)
        for r in range(n_tasks)
        for others in itertools.combinations([k for k in range(n_tasks) if k != t], r)
    }
    total = lambda groups: sum(worth[t, tuple(s for s in g if s != t)] for g in groups if len(g) > 1 for t in g)
    groups_of = lambda numbers: [tuple(np.flatnonzero(np.asarray(numbers) == g).tolist()) for g in sorted(set(numbers))]
    best = max(total(groups_of(numbers)) for numbers in partitions(n_tasks))
    found = best_partition(n_tasks, lambda t, others: worth[t, others])
    close(total(found), best)
    assert sorted(t for group in found for t in group) == list(range(n_tasks))


def test_more_tasks_are_joined_greedily():
    alike = [k % 2 for k in range(12)]
    worth = lambda t, others: sum(0.1 if alike[s] == alike[t] else -0.2 for s in others)
    assert best_partition(12, worth) == [tuple(range(0, 12, 2)), tuple(range(1, 12, 2))]


# ------------------------------------------------------------------------------------------------- tasks of known truth
def made_up(seed, n=60, d=20, noise=0.7):
    """Three tasks of one parameter and two of their own."""
    rng = np.random.default_rng(seed)
    one = rng.normal(size=d) / np.sqrt(d)
    thetas = [one, one, one, *(rng.normal(size=(2, d)) / np.sqrt(d))]
    return {name: rows(n, theta, noise, rng, d) for name, theta in zip("abcde", thetas, strict=True)}


TASKS = made_up(0)
FRAME, SERIES = pd.DataFrame(TASKS["b"][0]), pd.Series(TASKS["b"][1])
SHUFFLED = SERIES.sample(frac=1, random_state=1)
STUDY = mtl.compare_tasks(TASKS)


def test_tasks_that_are_one_are_found_and_others_left_alone():
    groups = [set(group) for group in STUDY.grouping() if len(group) > 1]
    assert any({"a", "b", "c"} == group for group in groups) and not any({"a", "d"} <= group for group in groups)
    data = STUDY.data
    for name in "abc":
        assert set(STUDY.best(name).sources) & {"a", "b", "c"} and data.gain.sel(task=name) > 0
        own = data.weight_of_source.sel(task=name)
        assert own.sel(source=[s for s in "abc" if s != name]).min() > own.sel(source=["d", "e"]).max()
    assert data.gain.sel(task=["a", "b", "c"]).sum() > 4 * abs(data.gain.sel(task=["d", "e"]).sum())
    assert (data.sign.sel(task=["d", "e"]) <= 0).all() and (np.abs(data.sign_joint) <= np.abs(data.sign)).all()
    assert (data.low <= data.gain).all() and (data.gain <= data.high).all()
    close((data.risk_alone - data.risk_together).values, data.gain.values, 2)
    close(data.weight.sum("way").values, np.ones(5))
    assert "leave alone" in str(STUDY) and "{a, b, c}" in str(STUDY)


@pytest.mark.skipif(os.cpu_count() == 1, reason="one core has one thread")
def test_small_decompositions_run_on_one_thread_each(monkeypatch):
    """Else BLAS threads under threads of its own wait for each other: ten tasks took 16 times longer."""
    seen = []

    class Counted(Table):
        def __init__(self, *everything):
            seen.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
            super().__init__(*everything)

    tasks = {"a": rows(20, np.ones(D)), "b": rows(20, np.ones(D))}
    monkeypatch.setattr("mtlsim.arrays.compare.Table", Counted)
    monkeypatch.setattr("mtlsim.arrays.estimators.Table", Counted)
    with threadpool_limits(2, user_api="blas"):
        mtl.compare_tasks(tasks, n_splits=2)
        mtl.SharingRegressor().fit(np.concatenate([X for X, _ in tasks.values()]), np.ones((40, 2)))
    assert len(seen) >= 2 and set(seen) == {1}


def test_predictions_are_in_the_units_of_the_labels():
    """Against least squares of all rows that are one task; other units of labels and columns change nothing else."""
    X, _ = rows(50, np.zeros(20), rng=np.random.default_rng(1), d=20)
    pooled = [np.concatenate(part) for part in zip(*(TASKS[name] for name in "abc"), strict=True)]
    least = np.linalg.lstsq(np.column_stack([pooled[0], np.ones(180)]), pooled[1], rcond=None)[0]
    said = STUDY.predict("a", X)
    assert np.corrcoef(said, np.column_stack([X, np.ones(50)]) @ least)[0, 1] > 0.9
    scale = 10.0 ** np.arange(-9, 11)
    other = mtl.compare_tasks({name: (A * scale, 1e6 * y) for name, (A, y) in TASKS.items()})
    close(other.predict("a", X * scale), 1e6 * said, 5)
    close(other.data.gain.values, 1e12 * STUDY.data.gain.values, 6)
    assert (other.data.sign.values == STUDY.data.sign.values).all() and other.grouping() == STUDY.grouping()


def test_the_order_of_tasks_changes_nothing_but_the_splits():
    turned = mtl.compare_tasks({name: TASKS[name] for name in "edcba"})
    assert set(map(frozenset, turned.grouping())) == set(map(frozenset, STUDY.grouping()))
    close(turned.data.coefficients.sel(task=list("abcde")).values, STUDY.data.coefficients.values, 5)


def test_what_is_saved_is_what_was_found(tmp_path):
    STUDY.save(tmp_path / "study.nc")
    back = Study.load(tmp_path / "study.nc")
    assert str(back) == str(STUDY) and back.to_dict() == STUDY.to_dict() and back.matrix.equals(STUDY.matrix)
    assert list(STUDY.to_frame().index) == list("abcde") and STUDY.to_frame().sources["a"] != "leave alone"
    json.dumps(STUDY.to_dict(), allow_nan=False)
    with pytest.raises(ValueError, match="path must be a new file"):
        STUDY.save(tmp_path / "study.nc")
    (tmp_path / "part.nc").write_bytes((tmp_path / "study.nc").read_bytes()[:900])
    with pytest.raises(ValueError, match="path must be a whole file of one study"):
        Study.load(tmp_path / "part.nc")
    assert cli.main(["plot", str(tmp_path / "study.nc")]) == 0 and (tmp_path / "study.png").stat().st_size > 10_000


def changed(data, **values):
    """A study with other numbers at places that are given: {name: [(place, value), ...]}."""
    data = data.copy(deep=True)
    for name, places in values.items():
        for place, value in places:
            data[name].loc[place] = value
    return Study(data)


def test_what_looks_like_a_contradiction_is_given_its_reason():
    """Each pair of answers that differ is made by hand, and its sentence stands in the words, in JSON and in the table."""
    data = STUDY.data
    source = STUDY.best("a").sources[0]
    cases = {
        "decided by itself but not jointly over the tasks: a": {"sign": [({"task": "a"}, 1)], "sign_joint": [({"task": "a"}, 0)]},
        "the mean over tasks is decided though no single": {"sign_joint": [({}, 0)]},
        f"a learns with {', '.join(STUDY.best('a').sources)} but is in no group": {"group": [({"task": "a"}, 7)]},
        "d is best left alone but is in a group": {"group": [({"task": "d"}, 9), ({"task": "e"}, 9)]},
        f"a loses with {source} as its only source": {"pair_sign": [({"source": source, "task": "a"}, -1)]},
        "d gains with b as its only source, but is best left alone": {"pair_sign": [({"source": "b", "task": "d"}, 1)]},
    }
    for sentence, values in cases.items():
        assert sentence not in str(STUDY) or "sign_joint" in values
        study = changed(data.assign_attrs(total_low=0.01), **({"gain": [({"task": "d"}, -1.0)]} | values))
        assert any(sentence in one for one in study.reasons) and f"  {sentence}" in str(study)
        assert study.to_dict()["reasons"] == study.reasons
        task = sentence.split()[0]
        assert task not in study.tasks or sentence in study.to_frame()["reasons"][task]
    alone = changed(data, weight=[({"task": "a"}, 0.0), ({"task": "a", "way": "alone"}, 1.0)], sign=[({"task": "a"}, 1)])
    assert alone.best("a").sources  # what is decided to help is not advised against
    assert not changed(alone.data, sign=[({"task": "a"}, 0)]).best("a").sources


def test_no_sign_is_given_where_nothing_is_shared():
    """Tasks of noise: over 12 studies of four, a joint sign is wrong in about one of twenty studies, 95 of 100 in at most two."""
    wrong = 0
    for seed in range(12):
        rng = np.random.default_rng(100 + seed)
        tasks = {str(k): (rng.normal(size=(30, 4)), rng.normal(size=30)) for k in range(4)}
        wrong += bool((mtl.compare_tasks(tasks, n_splits=10, key=jax.random.key(seed)).data.sign_joint > 0).any())
    assert wrong <= 2


def test_intervals_hold_what_targets_gain_on_the_average():
    """30 targets each of 42 rows and 60 features, the truth their mean gain: 59 of 60 intervals hold it. The rows of some say so
    little of the source that all their splits gain nothing and agree; without `unresolved` 50 hold it.
    """
    covered = []
    for n_source in (300, 60):
        rng = np.random.default_rng(0)
        theta = rng.normal(size=60) / np.sqrt(60)
        source, told = rows(n_source, theta + 0.3 * rng.normal(size=60) / np.sqrt(60), 2.0, rng, 60), []
        for again in range(30):
            tasks = {"source": source, "target": rows(42, theta, 2.0, rng, 60)}
            own = mtl.compare_tasks(tasks, targets="target", n_splits=10, key=jax.random.key(again)).data.isel(task=0)
            told.append([float(own[name]) for name in ("gain", "low", "high")])
        gain, low, high = np.array(told).T
        covered += ((low <= gain.mean()) & (gain.mean() <= high)).tolist()
    assert np.mean(covered) > 0.93, np.mean(covered)


def test_many_tasks_are_screened():
    rng = np.random.default_rng(3)
    one = rng.normal(size=10)
    tasks = {f"school {k}": rows(20, one if k < 10 else -one, 2.0, rng, 10) for k in range(14)}
    study = mtl.compare_tasks(tasks, n_splits=6)
    assert study.data.pair_gain.isnull().all() and "pairs were not looked at one by one" in " ".join(study.notes)
    assert study.data.attrs["total_low"] > 0  # many small gains are beyond doubt together
    groups = study.grouping()
    assert sum(len(group) > 1 for group in groups) >= 1 and all(len({int(t[7:]) < 10 for t in group}) == 1 for group in groups)


# ------------------------------------------------------------------------------------------------------- what people have
def test_labels_become_tasks():
    X = RNG.normal(size=(40, 3))
    words = np.array(["yes", "no"])[(X[:, 0] > 0).astype(int)]
    kinds = pd.Series(np.array(["cat", "dog", "owl"])[np.arange(40) % 3])
    amounts = np.column_stack([X[:, 0], np.where(np.arange(40) < 30, X[:, 1], np.nan)])
    found = gather({"word": (X, words), "kind": (X + 1, kinds), "both": (X + 2, amounts), "code": (X + 3, np.arange(40) % 4)})
    names = ["word", "kind=cat", "kind=dog", "kind=owl", "both[0]", "both[1]", "code=0", "code=1", "code=2", "code=3"]
    assert found.names == names
    said = " ".join(found.notes)
    for part in (
        "word: 'yes' is 1, 'no' is -1",
        "kind: its 3 classes are 3 tasks",
        "both[1]: 10 of 40 rows have no label",
        "both: its 2 columns of labels are 2 tasks",
        "code: 4 whole numbers are taken as classes",
        "share rows with labels of their own",
    ):
        assert part in said, said
    assert len(found.tasks[5][1]) == 30 and set(found.origins[0].y) == {-1.0, 1.0}
    assert (found.origins[0].y == np.where(words == "yes", 1, -1)).all()


def test_columns_go_by_name_and_rows_of_the_target_teach_nothing():
    frame = pd.DataFrame(TASKS["a"][0], columns=[f"f{i}" for i in range(20)])
    shuffled = pd.DataFrame(TASKS["b"][0], columns=frame.columns)[frame.columns[::-1]]
    named = mtl.compare_tasks({"a": (frame, TASKS["a"][1]), "b": (shuffled, TASKS["b"][1])}, n_splits=4)
    plain = mtl.compare_tasks({name: TASKS[name] for name in "ab"}, n_splits=4)
    close(named.data.gain.values, plain.data.gain.values)
    assert "b: columns were matched to those of a by name" in named.notes
    close(named.predict("b", shuffled), plain.predict("b", TASKS["b"][0]))
    (X, y), (Z, z) = TASKS["d"], TASKS["e"]
    copied = np.concatenate([Z, X[:40]]), np.concatenate([z, y[:40]])
    mixed_in = mtl.compare_tasks({"d": (X, y), "e": copied}, targets="d")
    clean = mtl.compare_tasks({"d": (X, y), "e": (Z, z)}, targets="d")
    assert any("e: 40 of 100 rows are in d too, label included, and teach it nothing" in note for note in mixed_in.notes)
    assert abs(float(mixed_in.data.gain[0]) - float(clean.data.gain[0])) < 0.02 * float(clean.data.risk_alone[0])
    nearly = np.concatenate([Z[:6], X[:55]]), np.concatenate([z[:6], y[:55]])
    gains = {way: mtl.compare_tasks({"d": (X, y), "e": nearly}, targets="d", duplicates=way).data for way in ("auto", "keep")}
    share = {way: float(data.gain[0] / data.risk_alone[0]) for way, data in gains.items()}
    assert share["keep"] > 0.05 > 0.02 > share["auto"]  # what it would have said


def test_a_label_that_was_corrected_is_still_a_copy():
    """Nearly the same table twice: refused where hardly any row of its own is left, and never learned from."""
    X, y = TASKS["d"]
    other = y.copy()
    other[0] += 0.5
    with pytest.raises(ValueError, match="d must be made of other rows than e, but is rows of it in 59 of 60"):
        mtl.compare_tasks({"d": (X, y), "e": (X, other)})
    signs, flipped = np.sign(y - y.mean()), np.sign(y - y.mean())
    flipped[0] *= -1
    with pytest.raises(ValueError, match="d must be made of other rows than e"):
        mtl.compare_tasks({"d": (X, signs), "e": (X, flipped)})


def test_labels_of_test_rows_change_nothing_that_is_learned():
    X, y = TASKS["a"]
    gathered = gather({"a": (X, y), "b": TASKS["b"]})
    train = np.arange(40)
    learned = []
    for shift in (0.0, 30.0):
        table = Table(gathered, METHODS)
        table.labels[0] = table.labels[0] + shift * (np.arange(60) >= 40)
        fits = Together(table, 0).on(table.rows[0]).everything(table.labels[0], train)
        learned.append(mixed(fits, weights_of(fits)))
    np.testing.assert_array_equal(*learned)


def test_names_are_matched_whoever_has_them():
    X, w = TASKS["a"][0][:, :3], np.array([3.0, 0, 0])
    frame = pd.DataFrame(X, columns=list("xyz"))
    tasks = {"a": (X + 1, X @ w), "b": (frame, X @ w), "c": (frame[list("zyx")] + 0.1, X @ w)}
    study = mtl.compare_tasks(tasks, n_splits=3)
    assert np.abs(study.data.coefficients.values - w).max() < 0.05
    assert "a: columns were matched by position, as it has no names" in study.notes
    close(study.predict("c", frame[list("yzx")].assign(more=1.0)), study.predict("c", X))
    numbered = frame.set_axis([10, 20, 30], axis=1)
    again = mtl.compare_tasks({"a": (numbered, X @ w), "b": (numbered + 0.1, X @ w)}, n_splits=3)
    close(again.predict("a", numbered), again.predict("a", X))
    for given, sentence in (
        (frame[["x", "y"]], "X must be a frame with the columns that were learned from, but is without 'z'"),
        (frame.assign(x=frame.x.mask(frame.index == 2)), "X must be finite, but holds NaN or infinity in 1 of 60 rows"),
    ):
        with pytest.raises(ValueError, match=sentence):
            study.predict("c", given)
    close(study.predict("c", sparse.csr_matrix(X)), study.predict("c", X))


def test_missing_labels_of_every_kind_are_left_out():
    X = pd.DataFrame(TASKS["a"][0])
    third = X.index == 3
    words = pd.Series(np.where(X[0] > 3, "p", "q"), dtype="string").mask(third)
    for labels in (words, words.astype(object), (X[0] > 3).astype("boolean").mask(third), pd.Series(X[0]).mask(third)):
        found = gather({"a": (X, labels), "b": TASKS["b"]})
        assert len(found.tasks[0][1]) == 59 and "a: 1 of 60 rows has no label and was left out" in found.notes


def test_targets_keep_the_order_of_the_tasks():
    few = {name: TASKS[name] for name in "abd"}
    some = mtl.compare_tasks(few, targets=["d", "a", "b"], n_splits=3)
    assert some.tasks == ["a", "b", "d"] and some.data.equals(mtl.compare_tasks(few, n_splits=3).data)


def test_sparse_rows_and_frames_are_rows():
    X, y = TASKS["a"]
    plain = mtl.compare_tasks({"a": (X, y), "b": TASKS["b"]}, n_splits=3)
    other = mtl.compare_tasks(
        {"a": (sparse.csr_matrix(X), y), "b": (pd.DataFrame(TASKS["b"][0]), pd.Series(TASKS["b"][1]))}, n_splits=3
    )
    close(other.data.gain.values, plain.data.gain.values)


@pytest.mark.parametrize(
    ("tasks", "options", "sentence"),
    [
        ([TASKS["a"]], {}, "tasks must be a dict {name: (X, y)}, but is a list"),
        ({"a": TASKS["a"]}, {}, "tasks must be two or more, but is 1"),
        ({"a": TASKS["a"], "b": TASKS["b"][0]}, {}, "b must be a pair"),
        ({"a": TASKS["a"], "b": (TASKS["b"][0][:, :5], TASKS["b"][1])}, {}, "b must be of 20 features like a, but is of 5"),
        ({"a": TASKS["a"], "b": (TASKS["b"][0], np.ones(60))}, {}, "b's y must be of labels that differ"),
        ({"a": TASKS["a"], "b": (TASKS["b"][0][:4], TASKS["b"][1][:4])}, {}, "b's X must be at least 5 rows"),
        ({"a": TASKS["a"], "b": (TASKS["b"][0], TASKS["b"][1][:50])}, {}, "b's y must be as long as X"),
        ({"a": TASKS["a"], "b": TASKS["a"]}, {}, "a must be made of other rows than b"),
        ({"a": TASKS["a"], 1: TASKS["b"], "1": TASKS["d"]}, {}, "tasks must be of different names, but is '1' twice"),
        (
            {"a": TASKS["a"], "b": (FRAME, pd.Series(np.where(SHUFFLED > 0, "p", "q"), SHUFFLED.index))},
            {},
            "b's y must be a series with the index of b's X",
        ),
        ({"a": TASKS["a"], "b": (FRAME, [f"{v:.2f}" for v in SERIES])}, {}, "b's y must be numbers or classes"),
        (
            {"a": TASKS["a"], "b": (FRAME, ["?", *SERIES[1:]])},
            {},
            "b's y must be numbers or classes, but is 1 words ('?') among 59",
        ),
        ({"a": TASKS["a"], "b": (FRAME, [f"w{i}" for i in range(60)])}, {}, "b's y must be of at most 20 classes, but is of 60"),
        (TASKS, {"targets": ["a", "a"]}, "targets must be names of one task or more, each once"),
        (TASKS, {"targets": []}, "targets must be names of one task or more, each once"),
        (TASKS, {"methods": ["layer", "layer"]}, "methods must be one or more, each once"),
        (TASKS, {"targets": "f"}, "targets must be one of the known names"),
        (TASKS, {"methods": "weighed-rows"}, "did you mean 'weighted-rows'"),
        (TASKS, {"methods": ()}, "methods must be one or more"),
        (TASKS, {"n_splits": 1}, "n_splits must be a whole number, at least 2"),
        (TASKS, {"target_samples": 60}, "target_samples must be a whole number from 3 to 59"),
        (TASKS, {"level": 1.0}, "level must be between 0 and 1"),
        (TASKS, {"duplicates": "no"}, "duplicates must be one of the known names"),
    ],
)
def test_bad_input_is_one_sentence(tasks, options, sentence):
    with pytest.raises(ValueError) as error:
        untyped(mtl.compare_tasks)(tasks, **options)
    assert sentence in str(error.value)


def test_from_files_to_a_decision(tmp_path, capsys):
    for name in "ab":
        np.savez(tmp_path / f"{name}.npz", X=TASKS[name][0], y=TASKS[name][1])
    parts = [pd.DataFrame(TASKS[name][0]).assign(score=TASKS[name][1], school=name) for name in "abd"]
    pd.concat(parts).to_csv(tmp_path / "all.csv", index=False)
    assert cli.main(["compare", str(tmp_path / "a.npz"), str(tmp_path / "b.npz"), "--splits", "4", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    study = lambda names, **options: mtl.compare_tasks({name: TASKS[name] for name in names}, n_splits=4, **options).to_dict()
    pair, three, one = study("ab"), study("abd"), study("abd", targets=["a"])["advice"]["a"]
    for part in ("tasks", "advice", "groups"):
        assert told[part] == pair[part]
    table = ["compare", str(tmp_path / "all.csv"), "--labels", "score", "--task", "school", "--splits", "4"]
    assert cli.main([*table, "--out", str(tmp_path / "study.nc")]) == 0
    said = capsys.readouterr().out
    assert "best groups: " in said and all(f"{{{', '.join(group)}}}" in said for group in three["groups"] if len(group) > 1)
    assert (tmp_path / "study.nc").exists()
    assert cli.main([*table, "--target", "a", "--out", str(tmp_path / "study.csv")]) == 0
    written = pd.read_csv(tmp_path / "study.csv", index_col="task").loc["a"]
    assert one["sources"] in ([], str(written["sources"]).split(", ")) and written["method"] == one["method"]
    assert "reasons" in written.index
    capsys.readouterr()
    frame = pd.concat(parts)
    frame.to_csv(tmp_path / "index.csv")
    frame.assign(school=frame.school.mask(frame.index == 3)).to_csv(tmp_path / "gaps.csv", index=False)
    frame[:0].to_csv(tmp_path / "empty.csv", index=False)
    frame.to_csv(tmp_path / "tabs.tsv", index=False, sep="\t")
    assert read_tasks([tmp_path / "tabs.tsv"], "score", "school").keys() == {"a", "b", "d"}
    of = lambda file, *more: ["compare", str(tmp_path / file), "--labels", "score", *more]
    for words, sentence in (
        (of("index.csv"), "files must be tables whose columns have names"),
        (of("gaps.csv", "--task", "school"), "task must be given in every row, but is"),
        (of("empty.csv"), "files must be tables with rows"),
        (of("all.csv", "--task", "shool"), "task must be a column of"),
        ([*table, "--out", str(tmp_path / "study.nc")], "out must be a new file"),
        ([*table, "--out", str(tmp_path / "study.txt")], "out must be a name that ends in .nc or .csv"),
        (["compare", str(tmp_path / "all.csv"), "--labels", "scores"], "did you mean 'score'"),
        (["compare", str(tmp_path / "none.csv")], "files must be files that are there"),
        (["compare", str(tmp_path / "study.nc")], "files must be of a known kind"),
    ):
        assert cli.main(words) == 2 and sentence in capsys.readouterr().err


HEAD, GOOD = "a,b,y", "1,2,3"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ([HEAD, GOOD, "1,,3", "", ",5,6"], "t.csv, where nothing stands in line 5, column 'a'; fill that cell in"),
        ([HEAD, GOOD, "", "1,oops,3", "1,worse,4"], "where 'oops' stands in line 4, column 'b', and 1 more in that column"),
        ([HEAD, GOOD, "1,inf,3"], "where inf stands in line 3, column 'b'; mend that cell"),
        ([HEAD, "1,red,3", "2,blue,4"], "column 'b', and 1 more in that column; give each word a column of 0 and 1"),
        ([HEAD, GOOD, "4,5,6", "7,8,9", "7,8,nein"], "where 'nein' stands in line 5, column 'y'; mend that cell"),
        ([HEAD, GOOD, "1,2,3,4"], "tables with 3 cells in every line like the first, but is"),
        ([HEAD, GOOD, "1,2,3,4"], "t.csv, whose line 3 has 4 cells; mend that line; where commas are decimal, write points"),
        ([HEAD, "1,2,3,4", "1,2,3,4"], "whose line 2 has 4 cells"),  # which pandas takes for an index, in silence
        ([HEAD, GOOD, "1,2"], "whose line 3 has 2 cells; mend that line."),  # which it fills up
        (["a;b;y", "1,5;2;3", "2,5;2;4"], "where '1,5' stands in line 2, column 'a', and 1 more in that column; write decimal"),
    ],
)
def test_a_table_that_is_wrong_somewhere_says_where(text, sentence, tmp_path):
    (tmp_path / "t.csv").write_text("\n".join(text))
    with pytest.raises(ValueError, match="^files must be ") as error:
        read_tasks([tmp_path / "t.csv"])
    assert sentence in str(error.value) and "\n" not in str(error.value)


def test_a_frame_that_is_wrong_somewhere_says_where():
    frame = pd.DataFrame(TASKS["a"][0]).rename(columns=str)
    holed = frame.mask((frame.index == 7)[:, None] & (frame.columns == "2")[None])
    with pytest.raises(ValueError, match=r"b.s X .* in 1 of 60 rows \(the first in row 7, column .2.\); drop"):
        mtl.compare_tasks({"a": TASKS["a"], "b": (holed, TASKS["b"][1])})


def test_separators_are_recognised(tmp_path):
    """Semicolons and tabs, whatever the file is called; a byte order mark, a quoted separator, classes, labels that are missing."""
    lines = [["a, in m", "b", "y"], ["1", "2.5", "up"], ["3", "4", ""], ["5", "6", "down"]]
    for sign, ending in ((";", "csv"), ("\t", "csv"), (";", "tsv"), (",", "csv"), ("\t", "tsv")):
        text = "\n".join(sign.join(f'"{cell}"' if "," in cell else cell for cell in line) for line in lines)
        (tmp_path / f"t.{ending}").write_text(text + "\n\n", encoding="utf-8-sig")
        ((X, y),) = read_tasks([tmp_path / f"t.{ending}"]).values()
        assert list(X.columns) == ["a, in m", "b"] and X.to_numpy().tolist() == [[1, 2.5], [3, 4], [5, 6]]
        assert y.isna().tolist() == [False, True, False] and y[0] == "up"


def test_a_stray_word_stands_in_the_line_where_its_cells_begin(tmp_path):
    (tmp_path / "t.csv").write_text('x,name,y\n1,"a\nb",2\noops,"c\nd",4\n5,"e",6\n')
    with pytest.raises(ValueError, match=r"'oops' stands in line 4"):
        read_tasks([tmp_path / "t.csv"], task="name")


def test_methods_may_be_fewer():
    for method in METHODS:
        one = mtl.compare_tasks({name: TASKS[name] for name in "ab"}, methods=method, n_splits=3)
        assert list(one.data.way.values) == ["alone", method] and np.isfinite(one.data.gain).all()
        close(one.data.gain, one.data.risk_alone - one.data.risk_together)


def test_a_column_of_labels_given_twice_is_refused():
    """It would lend its own test labels; two columns that differ are two tasks."""
    X, y = TASKS["b"]
    with pytest.raises(ValueError, match=r"a\[0\] must be made of other rows than a\[1\]"):
        mtl.compare_tasks({"a": (X, np.column_stack([y, y]))})
    other = np.column_stack([y, y + RNG.normal(size=len(y))])
    assert mtl.compare_tasks({"a": (X, other)}, n_splits=2).tasks == ["a[0]", "a[1]"]


def test_missing_labels_among_codes_and_words_are_missing():
    X, _ = TASKS["b"]
    codes = np.resize([0.0, 1.0, 2.0, 3.0], len(X))
    codes[3] = np.nan
    notes = json.loads(mtl.compare_tasks({"a": (X, codes), "b": TASKS["c"]}, n_splits=2).data.attrs["notes"])
    assert any("taken as amounts" in note for note in notes) and any("no label" in note for note in notes)
    for words in (np.resize(["cat", "dog", "nan"], len(X)), np.resize(["cat", "dog", ""], len(X))):
        assert mtl.compare_tasks({"a": (X, words), "b": TASKS["c"]}, n_splits=2).tasks == ["a", "b"]


def test_a_row_that_hides_all_others_is_one_sentence():
    X, y = TASKS["b"][0].copy(), TASKS["b"][1]
    X[0] *= 1e60
    with pytest.raises(ValueError, match="tasks must be of rows beside which float64 sees the others"):
        mtl.compare_tasks({"a": TASKS["a"], "b": (X, y)})
    for name in ("None", "some"):  # a class, and no missing label
        labels = np.resize([name, "all"], len(y))
        assert (
            mtl.compare_tasks({"a": TASKS["a"], "b": (TASKS["b"][0], labels)}, n_splits=2).data.attrs["notes"].count("no label")
            == 0
        )


def test_a_table_with_a_column_twice_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text("p,q,y,y\n1,2,3,3\n2,1,4,4\n")
    with pytest.raises(ValueError, match="the column 'y' stands in it twice"):
        read_tasks([tmp_path / "t.csv"])
