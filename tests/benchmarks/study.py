"""What `compare_tasks` is worth: its verdicts against known truth, what its advice earns, and how long it takes beside peers.

    python tests/benchmarks/study.py [--truth SETS] [--curve SETS] [--intervals TARGETS [--kinds NAME ...]] [--time]

--truth: sets of six tasks with 60 to 1000 rows of 20 or 60 features, four of them alike to a degree and two that are not. The
truth of a target's gain is the mean over independent targets of the same size with the same sources, of the same learners; twelve
targets each are asked, and the others of them tell the truth too. Printed: how often the interval covers, the sign is right where
the gain is beyond 0.5 % of the risk alone, and the verdict is decided; what share can be decided at most; and what learning by
the mixture, always or as `Study.best` advises, by the single way of least leave-one-out error, by the best way of each draw and by
that on the average over draws, which are known only afterwards, earn over learning alone, whose strengths are mixed too; and over
the ridge regression of least leave-one-out error.
--curve: sets of two sources, one like the target and one not, and the target's gain at 10 to 300 rows: how often intervals cover
and joint signs are wrong, and where pooling turns from help to harm.
--intervals: so many targets each of 20, 42 and 130 rows of thirteen kinds of pairs, among them rows of unequal lengths, noise with
heavy or skewed tails, and labels of two values, for which the log loss is printed too: how often the interval covers, lies wholly
above and wholly below the mean gain, and its mean width over that of an interval of the estimates' own spread.
--time: three shapes, beside scikit-learn's RidgeCV and MultiTaskLassoCV.
"""

import argparse
import os
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import jax
import numpy as np
from scipy import stats
from smoke import sized

import mtlsim as mtl
from mtlsim.arrays.curve import LEARNERS, crossing
from mtlsim.arrays.gather import gather
from mtlsim.arrays.learners import METHODS, left_out, mixed, see, spectrum, weights_of
from mtlsim.arrays.metrics import log_losses, logistic_curve
from mtlsim.arrays.together import Table, Together, mixture

jax.config.update("jax_enable_x64", True)
# features, sources (rows, cosine with the target, noise), noise of the target, spread of the logarithm of rows' lengths, labels
KINDS = {
    "alike": (10, [(150, 1.0, 1.0)], 1.0, 0.0, "real"),
    "one of three alike": (15, [(150, 1.0, 1.0), (150, 0.0, 1.0), (150, 0.0, 1.0)], 1.0, 0.0, "real"),
    "lengths exp(z / 4)": (10, [(150, 1.0, 1.0)], 1.0, 0.25, "real"),
    "lengths exp(z / 2)": (10, [(150, 1.0, 1.0)], 1.0, 0.5, "real"),
    "lengths, one of three": (10, [(150, 1.0, 1.0), (150, 0.0, 1.0), (150, 0.0, 1.0)], 1.0, 0.5, "real"),
    "Student noise": (10, [(150, 0.9, 1.0)], 1.0, 0.0, "student"),
    "skewed noise": (10, [(150, 0.9, 1.0)], 1.0, 0.0, "skewed"),
    "not alike": (10, [(150, 0.0, 1.0), (150, -0.3, 1.0)], 0.5, 0.0, "real"),
    "classes": (4, [(100, 1.0, 0.1)], 0.1, 0.0, "classes"),
    "classes, noisy": (4, [(100, 1.0, 1.0)], 1.0, 0.0, "classes"),
    "classes, lengths": (6, [(150, 0.95, 0.5)], 0.5, 0.5, "classes"),
    "classes, 1 in 7": (6, [(300, 0.95, 0.5)], 0.5, 0.0, "rare"),
    "classes, not alike": (6, [(150, 0.0, 0.5)], 0.5, 0.0, "classes"),
}
ROWS = sized((20, 42, 130), (20,))
BORDERS = {"classes": 0.0, "rare": 1.1}  # above which a label is one
LEAST_OF_A_LABEL = 3
N_TESTED, N_TRUTH, N_TARGETS = 1000, sized(20, 3), sized(12, 3)


def make_tasks(rng: np.random.Generator):
    """Six tasks as functions that draw so many rows."""
    d, spread, decay = int(rng.choice([20, 60])), float(rng.choice([0.0, 0.3, 0.7, 1.5])), rng.uniform(0, 1)
    scales, centre, tasks = np.arange(1, d + 1) ** -decay, rng.normal(size=d), []
    for k in range(6):
        theta = rng.normal(size=d) if k >= 4 else centre + spread * rng.normal(size=d)
        theta *= rng.choice([0.3, -1.0, 2.0]) if rng.random() < 0.3 else 1.0
        theta /= np.sqrt(np.sum((scales * theta) ** 2))
        noise = float(rng.choice([0.3, 1.0, 2.0]))

        def draw(rng, n, theta=theta, noise=noise):
            X = rng.normal(size=(n, d)) * scales
            return X, X @ theta + noise * rng.normal(size=n)

        tasks.append(draw)
    return tasks


def risks_of(rows, y, n_train):
    """On the rows after the first n_train: alone, mixture, the least leave-one-out error, the best of all, and each way; then each
    way at the one strength of least leave-one-out error, learning alone first."""
    train, test = np.arange(n_train), np.arange(n_train, len(y))
    fits = rows.everything(y, train)
    risk = lambda theta: np.mean((rows.predict(theta, y, train, test) - y[test]) ** 2)
    risks, seen = (
        [risk(fit.theta) for fit in fits],
        [rows.seen(chosen) for chosen in dict.fromkeys(fit.way.sources for fit in fits)],
    )
    found = [pair for some in seen for one in some for pair in at_one_strength(one, y, train)]
    chosen = [risk(theta) for _, theta in found]
    picked = chosen[int(np.argmin([error for error, _ in found]))]
    return np.array([risks[0], risk(mixture(fits)), picked, min(risks), *risks, *chosen])


def at_one_strength(seen, y, train):
    """(leave-one-out error, theta) of each way, its strength that of the least error."""
    spread = y[train].std()
    for Z, centre, way in zip(seen.rows[:, train], seen.centres[:, train], seen.ways, strict=True):
        Z, rest = Z - Z.mean(0), y[train] / spread - centre
        known, rest = spectrum(Z), rest - rest.mean()
        errors = np.mean(left_out(known, rest, way.strengths) ** 2, 1)
        best = int(np.argmin(errors))
        step = Z.T @ (known.left @ (known.left.T @ rest / (known.squares + way.strengths[best])))
        step = step if way.factor is None else way.factor @ step
        yield spread**2 * errors[best], spread * (step if way.centre is None else step + way.centre)


def best_of(direct: np.ndarray, others: np.ndarray) -> float:
    """The true gain, from gains of independent draws and from the means over splits of other targets, by their variances."""
    variances = [max(one.var(ddof=1) / len(one), 1e-300) for one in (direct, others)]
    return float(np.average([direct.mean(), others.mean()], weights=1 / np.asarray(variances)))


def against_truth(n_sets: int) -> None:
    rows, earned = [], []
    for seed in range(n_sets):
        rng = np.random.default_rng(seed)
        draws, sizes = make_tasks(rng), rng.choice([60, 130, 300, 1000], 6)
        data = [draw(rng, int(n)) for draw, n in zip(draws, sizes, strict=True)]
        target, n = int(rng.integers(6)), int(rng.choice([42, 130]))
        told = []
        for again in range(N_TARGETS):
            data[target] = draws[target](rng, n)
            tasks = {f"task {k}": pair for k, pair in enumerate(data)}
            name = f"task {target}"
            study = mtl.compare_tasks(tasks, targets=name, key=jax.random.key(N_TARGETS * seed + again))
            own, advised = study.data.isel(task=0), float(len(study.best(name).sources) > 0)
            told.append([*(float(own[name]) for name in ("gain", "low", "high", "sign")), advised])
        gathered = gather(tasks)
        table, n_train, found = Table(gathered, METHODS), round(0.8 * n), []
        together, unit = Together(table, target), gathered.units[target]
        for _ in range(N_TRUTH):
            X, y = draws[target](rng, n_train + N_TESTED)
            found.append(unit**2 * risks_of(together.on(X / (table.scale * gathered.columns)), y / unit, n_train))
        risks, told = np.asarray(found), np.asarray(told)
        spread = told[:, 0].std(ddof=1)
        for i, one in enumerate(told):
            truth = best_of(risks[:, 0] - risks[:, 1], np.delete(told[:, 0], i))
            rows.append((seed, n, X.shape[1], truth / risks[:, 0].mean(), *one, truth, spread))
        n_ways = (risks.shape[1] - 4) // 2
        gains, plain = (
            (1 - risks / risks[:, one : one + 1]).mean(0) for one in (0, 4 + n_ways)
        )  # learning alone, and at one strength
        of_each, of_one = slice(4, 4 + n_ways), slice(4 + n_ways, None)
        earned.append((*gains[1:4], gains[of_each].max(), plain[0], plain[1], plain[2], plain[of_one].max()))
    every = np.array(rows)
    print(f"{n_sets} sets of tasks, {N_TARGETS} targets each")
    print("rows, features: covered (standard error), sign right (at most), decided, of gains beyond 5 %, at most; wrong")
    for name, kept in (
        *((f"{n}, {d}", (every[:, 1] == n) & (every[:, 2] == d)) for n in (42, 130) for d in (20, 60)),
        *((f"{n}", every[:, 1] == n) for n in (42, 130)),
        ("all", every[:, 0] >= 0),
    ):
        if kept.any():
            print(f"  {name:<8} {told_of(every[kept])}")
    for name, kept in (("42", every[:, 1] == 42), ("130", every[:, 1] == 130), ("all", every[:, 0] >= 0)):
        shares, advised = every[kept][:, 3], every[kept][:, 8] > 0
        for rule, gains in (("always together", shares), ("as advised", np.where(advised, shares, 0))):
            if len(gains):
                below, sets = np.mean(gains < -0.01), every[kept][:, 0]
                by_set = np.array([gains[sets == one].mean() for one in np.unique(sets)])
                means = (
                    f"on the average over draws {100 * by_set.min():+.2f} % at worst, below -1 % in {np.mean(by_set < -0.01):.3f}"
                )
                print(f"  {name} rows, {rule}: earns {100 * gains.mean():+.2f} %, below -1 % in {below:.3f} of targets; {means}")
    names = "mixture", "least leave-one-out error", "best way of each draw", "best way on average"
    plain = "alone, strengths mixed", "mixture", "least leave-one-out error", "best way on average, one strength"
    over = ["alone"] * len(names) + ["alone at the ridge of least leave-one-out error"] * len(plain)
    for name, than, gains in zip(names + plain, over, np.array(earned).T, strict=True):
        about = f"worst target {100 * gains.min():+.2f} %, below -1 %: {np.mean(gains < -0.01):.3f}"
        print(f"{name:<33} earns {100 * gains.mean():+.2f} % over {than}; {about}")


def told_of(rows: np.ndarray) -> str:
    """How often what was told is right; at most: signs that errors of the estimates' own spread over targets leave right, and the
    share that intervals of this spread decide."""
    seeds, _, _, share, gain, low, high, sign, _, truth, spread = rows.T
    covers, clear, large = (low <= truth) & (truth <= high), np.abs(share) > 0.005, np.abs(share) > 0.05
    by_set = [covers[seeds == seed].mean() for seed in np.unique(seeds)]
    error = np.std(by_set, ddof=1) / np.sqrt(len(by_set)) if len(by_set) > 1 else np.nan
    decided, mean = sign != 0, lambda values: np.mean(values) if len(values) else np.nan
    most = mean(stats.norm.sf(1.96 - np.abs(truth[large]) / spread[large]))
    signs = mean(stats.norm.cdf(np.abs(truth[clear]) / spread[clear]))
    wrong = int(np.sum(sign[decided] != np.sign(truth[decided])))
    right = mean(np.sign(gain[clear]) == np.sign(truth[clear]))
    return (
        f"{covers.mean():.3f} ({error:.3f}), {right:.3f} ({signs:.3f}), {decided.mean():.3f}, "
        f"{mean(decided[large]):.3f}, {most:.3f}; {wrong} of {int(decided.sum())}"
    )


def against_curves(n_sets: int) -> None:
    d, rows, n = 10, (10, 20, 40, 80, 160, 300), 400
    covers, widths, wrong, found, truths = [], [], [], [], []
    for seed in range(n_sets):
        rng = np.random.default_rng(seed)
        theta = rng.normal(size=d) / np.sqrt(d)

        def draw(n, theta, rng=rng):
            X = rng.normal(size=(n, d))
            return X, X @ theta + rng.normal(size=n)

        near, far = theta + rng.uniform(0.3, 1) * rng.normal(size=d) / np.sqrt(d), rng.normal(size=d) / np.sqrt(d)
        tasks, told = {"near": draw(200, near), "far": draw(60, far)}, []
        for again in range(N_TARGETS):
            tasks["target"] = draw(n, theta)
            told.append(mtl.compare_tasks(tasks, targets="target", curve=rows, key=jax.random.key(N_TARGETS * seed + again)))
        gathered = gather(tasks)
        table = Table(gathered, METHODS)
        together, unit, direct = Together(table, 2), gathered.units[2], np.zeros((N_TRUTH, 2, len(rows)))
        (way,) = table.ways(2, ("weighted-rows",)).of((0, 1))
        for i in range(N_TRUTH):
            X, y = draw(max(rows) + N_TESTED, theta)
            drawn = together.on(X / (table.scale * gathered.columns))
            seen = see([way._replace(strengths=np.ones(1))], drawn.X)
            for j, m in enumerate(rows):
                train, test = np.arange(m), np.arange(max(rows), len(y))
                fits = drawn.everything(y / unit, train)
                thetas = fits[0].theta, mixture(fits), drawn.fit(seen, y / unit, train)[0].theta
                errors = [unit**2 * np.mean((drawn.predict(one, y / unit, train, test) - y[test] / unit) ** 2) for one in thetas]
                direct[i, :, j] = errors[0] - np.array(errors[1:])
        gains = np.stack([study.data.isel(task=0).curve_gain.values for study in told])
        for i, study in enumerate(told):
            own, others = study.data.isel(task=0), np.delete(gains, i, 0)
            truth = np.array([[best_of(direct[:, k, j], others[:, k, j]) for j in range(len(rows))] for k in range(2)])
            covers.append((own.curve_low.values <= truth) & (truth <= own.curve_high.values))
            widths.append((own.curve_high.values - own.curve_low.values) / own.curve_alone.values)
            wrong.append((own.curve_sign_joint.values * truth < 0).any(1))
            turns = crossing(np.asarray(rows, float), truth[1], np.zeros(len(rows), int)).at
            if np.isfinite(turns):
                truths.append(turns)
                found.append(study.crossing("target", "pooled")[1:3])
    print(f"{n_sets} sets of sources, {N_TARGETS} targets of {n} rows each, gains at {rows} of them")
    for name, cover, width, bad in zip(LEARNERS, np.mean(covers, 0), np.median(widths, 0), np.mean(wrong, 0), strict=True):
        print(
            f"{name}: intervals cover {', '.join(f'{share:.3f}' for share in cover)}; a joint sign is wrong in {bad:.3f} of curves"
        )
        print(f"  their width, % of the error alone: {', '.join(f'{100 * one:.1f}' for one in width)}")
    points, lows = np.reshape(found, (-1, 2)).T
    told = np.isfinite(points)
    near = int(np.sum(np.abs(np.log(points[told] / np.asarray(truths)[told])) < np.log(2)))
    about = f"a turn is found in {int(told.sum())}, within a factor of two in {near}, decided on both sides in"
    print(f"pooling turns in {len(truths)} of them: {about} {int(np.isfinite(lows).sum())}")


def make_kind(kind: str, rng: np.random.Generator):
    """The sources of a kind, and a function that draws rows of its target."""
    d, sources, noise, spread, labels = KINDS[kind]
    theta = rng.normal(size=d)
    theta /= np.linalg.norm(theta)

    def draw(rng, n, theta=theta, noise=noise):
        X = rng.normal(size=(n, d)) * np.exp(spread * rng.normal(size=(n, 1)))
        tails = {"student": lambda: rng.standard_t(3, size=n), "skewed": lambda: rng.exponential(size=n) - 1}
        y = X @ theta + noise * tails.get(labels, lambda: rng.normal(size=n))()
        return X, (y > BORDERS[labels]).astype(float) if labels in BORDERS else y

    given = {}
    for s, (n, cosine, own_noise) in enumerate(sources):
        away = rng.normal(size=d)
        away -= (away @ theta) * theta
        given[f"source {s}"] = draw(rng, n, cosine * theta + np.sqrt(1 - cosine**2) * away / np.linalg.norm(away), own_noise)
    return given, draw


def draw_both(draw, rng, n, n_train=None):
    """Rows of a target whose first n_train hold some of every label, where there are two."""
    while True:
        X, y = draw(rng, n)
        counts = np.unique(y[:n_train], return_counts=True)[1]
        if len(counts) > 2 or (len(counts) == 2 and counts.min() >= LEAST_OF_A_LABEL):
            return X, y


def gains_of(rows, y, n_train):
    """What the mixture of the first n_train rows gains on the others, in squared error and, for labels of two values, log loss."""
    train, test = np.arange(n_train), np.arange(n_train, len(y))
    fits, middle = rows.everything(y, train), np.unique(y).mean()
    shares, labels = weights_of(fits), y > middle
    left = fits[0].errors, sum(share * fit.errors for share, fit in zip(shares, fits, strict=True))
    said = [rows.predict(theta, y, train, test) for theta in (fits[0].theta, mixed(fits, shares))]
    found = [[np.mean((one - y[test]) ** 2) for one in said]]
    if len(np.unique(y)) == 2:
        curves = [logistic_curve(y[train] - errors, labels[train]) for errors in left]
        found.append([np.mean(log_losses(one, labels[test], curve)) for one, curve in zip(said, curves, strict=True)])
    return [alone - together for alone, together in found]


def against_kinds(n_targets: int, kinds: list[str], seed: int = 11) -> None:
    print(f"{n_targets} targets each: covers % (above, below), mean width over the ideal, decided %; gain over the risk together")
    for kind in kinds:
        given, draw = make_kind(kind, np.random.default_rng(seed))
        for n in ROWS:
            rng, told = np.random.default_rng([seed, n]), []
            for again in range(n_targets):
                tasks = {**given, "target": draw_both(draw, rng, n)}
                own = mtl.compare_tasks(tasks, targets="target", key=jax.random.key(again)).data.isel(task=0)
                told.append([[float(own[name]) for name in ("gain", "low", "high", "risk_together")]])
                if "measure_gain" in own:
                    log = own.sel(measure="log loss")
                    told[-1].append([float(log[f"measure_{name}"]) for name in ("gain", "low", "high", "together")])
            gathered = gather(tasks)
            table, n_train, target = Table(gathered, METHODS), round(0.8 * n), len(given)
            together, unit, direct = Together(table, target), gathered.units[target], []
            for _ in range(n_targets):
                X, y = draw_both(draw, rng, n_train + N_TESTED // 2, n_train)
                direct.append(gains_of(together.on(X / (table.scale * gathered.columns)), y / unit, n_train))
            for name, numbers, truths, scale in zip(
                ("squared error", "log loss"), np.moveaxis(np.array(told), 1, 0), np.array(direct).T, (unit**2, 1.0), strict=False
            ):
                gain, low, high, risk = numbers.T
                truth, ideal = best_of(scale * truths, gain), float(np.diff(np.quantile(gain, [0.025, 0.975]))[0])
                above, below = np.mean(low > truth), np.mean(high < truth)
                decided = np.mean((low > 0) | (high < 0))
                print(
                    f"{kind:24s}{n:4d} {name:14s} {100 * (1 - above - below):5.1f} ({100 * above:4.1f}, {100 * below:4.1f}), "
                    f"{np.mean(high - low) / ideal:5.2f}, {100 * decided:3.0f}; {100 * truth / risk.mean():+6.1f} %",
                    flush=True,
                )


def timed(name: str, run) -> None:
    start, cpu = time.perf_counter(), time.process_time()
    run()
    print(f"{name:<60} {time.perf_counter() - start:7.1f} s, {time.process_time() - cpu:7.1f} CPU s", flush=True)


def peers(tasks: dict) -> None:
    from sklearn.linear_model import MultiTaskLassoCV, RidgeCV

    timed(
        "  scikit-learn, RidgeCV of every task",
        lambda: [RidgeCV(10.0 ** np.arange(-2, 4.5, 0.5)).fit(X, y) for X, y in tasks.values()],
    )
    n = min(len(y) for _, y in tasks.values())
    X, Y = next(iter(tasks.values()))[0][:n], np.stack([y[:n] for _, y in tasks.values()], 1)
    timed("  scikit-learn, MultiTaskLassoCV on rows that all share", lambda: MultiTaskLassoCV(cv=3, alphas=10).fit(X, Y))


def time_it() -> None:
    rng = np.random.default_rng(0)

    def tasks_of(counts, d):
        centre = rng.normal(size=d) / np.sqrt(d)
        thetas = [centre + 0.5 * rng.normal(size=d) / np.sqrt(d) for _ in counts]
        rows = [rng.normal(size=(n, d)) for n in counts]
        return {str(k): (X, X @ theta + rng.normal(size=len(X))) for k, (X, theta) in enumerate(zip(rows, thetas, strict=True))}

    large, small = tasks_of([3000] * sized(6, 3), 384), tasks_of([130] * sized(6, 3), 384)

    def every_small_target():
        for name in large:
            mtl.compare_tasks({**large, name: small[name]}, targets=name)

    timed("30 ordered pairs, 3000 source and 130 target rows, 384 features", every_small_target)
    peers(small)
    for title, counts, d in (
        ("30 ordered pairs: 6 tasks of 130 rows, 384 features, and groups", [130] * 6, 384),
        ("139 tasks of 22 to 251 rows, 28 features", [int(n) for n in rng.integers(22, 251, 139)], 28),
        ("10 tasks of 130 rows, 64 features, all subsets", [130] * 10, 64),
    ):
        tasks = tasks_of(counts[: sized(139, 3)], d)
        timed(title, lambda tasks=tasks: mtl.compare_tasks(tasks))
        peers(tasks)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--truth", type=int, default=sized(60, 3))
    parser.add_argument("--curve", type=int, default=0)
    parser.add_argument("--intervals", type=int, default=0)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--time", action="store_true")
    given = parser.parse_args()
    if given.time:
        time_it()
    elif given.intervals:
        against_kinds(given.intervals, given.kinds)
    elif given.curve:
        against_curves(given.curve)
    else:
        against_truth(given.truth)
