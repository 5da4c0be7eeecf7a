"""Numbers of the mechanisms beside numbers known from elsewhere: `python tests/benchmarks/mechanisms.py`.

Each row is a number of plain NumPy simulations that were run apart from this code, or of a formula, and ours, with standard errors
where it is a mean of draws. A row is met if the two are within three standard errors and the rounding of what is known.
"""

import jax
import jax.numpy as jnp
import numpy as np
from smoke import SMOKE, sized

jax.config.update("jax_enable_x64", True)

from mtlsim.cells.aspects import Aspects  # noqa: E402
from mtlsim.cells.diagonal_network import DiagonalNetwork, shared_feature_wins  # noqa: E402
from mtlsim.cells.extra_label import ExtraLabel, boundary  # noqa: E402
from mtlsim.cells.hermite_students import HermiteStudents, overlap_flow, waiting_time  # noqa: E402
from mtlsim.cells.marginal_screening import MarginalScreening  # noqa: E402
from mtlsim.cells.orthonormal_rows import OrthonormalRows  # noqa: E402
from mtlsim.cells.stopped_flow import StoppedFlow  # noqa: E402
from mtlsim.cells.two_gates import TwoGates, pull_at_start  # noqa: E402
from mtlsim.experiments.shared_width import KINDS, ModesKept, expected_risk  # noqa: E402
from mtlsim.sweeps.instances import over_instances  # noqa: E402
from mtlsim.theory.statements.amplified_direction import amplified  # noqa: E402
from mtlsim.theory.statements.escape_barrier import STEEPEST  # noqa: E402
from mtlsim.theory.statements.related_rows import rows_until  # noqa: E402
from mtlsim.theory.statements.selection_area import selection_area  # noqa: E402

rows, missed = [], []


def show(what: str, known: float, ours: float, error: float = 0.0, known_error: float = 0.0, digits: int = 3) -> None:
    """One row; known_error: standard error of what is known. digits: after the point, to which it is rounded."""
    room = 3 * np.hypot(error, known_error) + 0.6 * 10.0**-digits
    met = abs(ours - known) <= room
    rows.append(met)
    if not met:
        missed.append(what)
    print(f"{what:62} {known:10.{digits}f} {ours:10.{digits + 1}f} {error:8.1e}  {'met' if met else 'MISSED'}", flush=True)


def simulated(cells, number, n_seeds: int, seed: int = 0):
    """Mean and standard error of number(draws) for each cell."""
    found = over_instances(lambda cell, key: cell(key=key), cells, jax.random.key(seed), sized(n_seeds, 20), common=True)
    values = [np.asarray(number(draws), float) for draws in found]
    return [(value.mean(), value.std() / np.sqrt(len(value))) for value in values]


def _share(seen):
    """v_0^2 of the best direction of all tasks, the cosine of its angle with the main task's own, squared."""
    return jnp.linalg.eigh(seen @ seen.T)[1][0, -1] ** 2


def noise_tasks() -> None:
    ratios = (0.3, 0.5, 0.7, 1.0, 1.5, 3.0)
    known = {
        1: ((0.1395, 0.0013), (0.0611, 0.0009), (0.0179, 0.0008), (-0.0115, 0.0007), (-0.0193, 0.0007), (-0.0124, 0.0005)),
        4: ((0.3177, 0.0016), (0.1665, 0.0016), (0.0632, 0.0014), (-0.0273, 0.0014), (-0.0736, 0.0014), (-0.0528, 0.0010)),
    }
    for count, values in known.items():
        cells = [OrthonormalRows(20 * ratio, extra_size=0.0, n_extra=count) for ratio in ratios]
        for ratio, (number, error), (ours, own) in zip(ratios, values, simulated(cells, lambda d: d["gain"], 40_000), strict=True):
            show(f"{count} noise task(s), relative gain at ratio {ratio:g}", number, ours * ratio, own * ratio, error, 4)
    for d, number in ((5, 0.78), (20, 0.87), (80, 0.97)):
        grid = number + np.array([-0.06, 0.0, 0.06])
        cells = [OrthonormalRows(d * ratio, extra_size=0.0, n_features=d) for ratio in grid]
        gains = np.array(simulated(cells, lambda d: d["gain"], 200_000 if d < 80 else 40_000))
        curve = np.polyfit(grid, gains[:, 0], 2)
        turn = min(np.roots(curve).real, key=lambda root: abs(root - number))
        show(
            f"noise task, ratio at which the gain turns, d = {d}",
            number,
            turn,
            gains[1, 1] / abs(np.polyval(np.polyder(curve), turn)),
            0.01,
            2,
        )
    ratios, values = (0.25, 0.5, 1, 2, 4, 32), (1.047, 0.309, -0.081, -0.282, -0.385, -0.490)
    cells = [OrthonormalRows(20.0 * ratio) for ratio in ratios]
    for ratio, number, ours in zip(ratios, values, simulated(cells, lambda d: d["gain"], 20_000), strict=True):
        show(f"unrelated task of equal length, gain at ratio {ratio:g}", number, *ours, 0.005)
    cell = [OrthonormalRows(10.0, extra_size=0.0)]
    (found,) = over_instances(
        lambda one, key: {"cosine": _share(one.estimates(key=key)[1])}, cell, jax.random.key(0), sized(20_000, 20)
    )
    kept = found["cosine"].mean()
    show("noise task at 10 rows, risk", 1.886, *simulated(cell, lambda d: d["risk_multi"], 20_000)[0], 0.01)
    show("its mean share of the task's own direction", 0.764, kept, 0.002, 0.002)
    cell = [OrthonormalRows(10.0, extra_size=0.0, shrinkage=float(kept))]
    show("the task alone, multiplied by that", 1.227, *simulated(cell, lambda d: d["risk_single"], 20_000)[0], 0.005)


def related_tasks() -> None:
    known = {0.9: (0.0052, -0.0012, -0.0054), 0.8: (0.0075, -0.0046, -0.0106)}
    for cosine, values in known.items():
        last = float(rows_until(cosine, 1.0, 20))
        show(f"rows until which a task of cosine {cosine:g} helps", {0.9: 190, 0.8: 95}[cosine], last, digits=0)
        cells = [OrthonormalRows(share * last, cosine=cosine) for share in (0.9, 1.0, 1.1)]
        found = simulated(cells, lambda d: d["gain"], 40_000)
        for share, number, (ours, own) in zip((0.9, 1, 1.1), values, found, strict=True):
            show(f"gain at {share:g} of these, cosine {cosine:g}", number, ours, own, 0.0004, 4)


def amplification() -> None:
    known = (4, 0.0, 0.2894, 0.0020), (4, 0.3, 0.5001, 0.0031), (4, 0.7, 0.7895, 0.0045), (8, 0.5, 0.5859, 0.0036)
    for count, rho, number, error in known:
        cell = OrthonormalRows(200.0, cosine=1.0, correlation=rho, n_extra=count - 1)
        (risk, own), (alone, _) = (
            simulated([cell], lambda d, name=name: d[name], 20_000)[0] for name in ("risk_multi", "risk_single")
        )
        show(f"{count} tasks of one function, correlation {rho:g}: risk left", number, risk / alone, 1.4 * own / alone, error, 4)
        laws = {(4, 0.0): 0.2875, (4, 0.3): 0.5012, (4, 0.7): 0.7862, (8, 0.5): 0.5844}
        show("   its law", laws[count, rho], float(amplified(20, count, rho)), digits=4)


def selection() -> None:
    for labels, number in ((60, 0.986), (240, 1.0)):
        show(f"area on orthonormal rows, K n = {labels}", number, float(selection_area(np.sqrt(labels / 5))))
    for count, n, number in ((1, 60, 0.928), (4, 60, 0.977), (16, 60, 0.982), (1, 240, 1.0)):
        ours = simulated([MarginalScreening(float(n), 1.0, float(count))], lambda d: d["area"], 4000)[0]
        show(f"area of single inputs, {count} task(s), {n} rows", number, *ours, 0.002)


def eavesdropping() -> None:
    for start, number in ((0.1, 2.816), (0.03, 10.618)):
        show(f"wait of the hard task alone from {start:g}", number, float(waiting_time(start, 0.5, 3)))
    show("the same of the second degree", 0.874, float(waiting_time(0.1, 0.5, 2)))
    for degree, start, weight, number in ((3, 0.1, 0.1, 1.416), (3, 0.1, 1.0, 0.347), (3, 0.03, 0.1, 2.037), (3, 0.03, 1.0, 0.416),
                                          (2, 0.1, 0.1, 0.710), (2, 0.1, 1.0, 0.283), (3, -0.1, 0.1, 3.252)):  # fmt: skip
        path = np.asarray(overlap_flow(start, weight, 1.0, 4.0, degree, 8000))
        show(
            f"wait beside an easy task of weight {weight:g}, from {start:g}, p = {degree}",
            number,
            np.argmax(path >= 0.5) / 2000,
            0.0003,
        )
    cell = [HermiteStudents(50.0, capacity=sized(8000, 500))]
    for name, number in (("rows_single", 1606), ("rows_multi", 127.5), ("rows_easy", 117)):
        (found,) = over_instances(lambda one, key: one(key=key), cell, jax.random.key(0), sized(600, 20))
        values = 50 * found[name]
        spread = np.diff(np.quantile(values, [0.5 - 1 / np.sqrt(24) / 2, 0.5 + 1 / np.sqrt(24) / 2]))[0]
        show(f"median rows at 50 features, {name} (24 seeds)", number, np.median(values), 0, spread, 0)


def representation() -> None:
    """What is known is of weights that are all positive at first; ours start with either sign, and learn A less often."""
    rng = np.random.default_rng(0)
    own, layer = np.abs(rng.normal(size=(200_000, 2, 3))), np.abs(rng.normal(size=(200_000, 3)))
    for start, law in ((0.001, 0.9994), (0.01, 0.9908), (0.1, 0.903), (0.5, 0.697)):
        wins = np.asarray(jax.vmap(shared_feature_wins, (0, 0, None))(jnp.asarray(own), jnp.asarray(layer), start))
        show(f"positive starts of {start:g} that should learn A", law, wins.mean(), wins.std() / 200_000**0.5)
        outputs = ("predicted", "first_multi", "both_multi")
        ours = [simulated([DiagonalNetwork(start)], lambda d, name=name: d[name], 2000)[0] for name in outputs]
        print(f"{'   of either sign: predicted, one task, both':62} {'':10} " + ", ".join(f"{share:.3f}" for share, _ in ours))
    show("both, layers of their own", 0.25, *simulated([DiagonalNetwork(0.01, 1.0)], lambda d: d["both_multi"], 2000)[0], 0.01, 2)


def tide() -> None:
    from scipy.stats import norm

    show("pull of the second task at the start", 0.0448, float(pull_at_start(3.0)), digits=4)
    # at a tilt of .2 the first task's well at A is gone (its steepest slope is .154): what is known there stopped its flow early
    tilts = (0.0, 0.02, 0.045, 0.06, 0.1, 0.2)
    laws, first, second = (
        (0.695, 0.611, 0.499, 0.431, 0.265, 0.039),
        (0.699, 0.593, 0.481, 0.410, 0.259, 0.038),
        (0.699, 0.591, 0.480, 0.409, 0.254, 0.027),
    )
    cells = [TwoGates(tilt) for tilt in tilts]
    one, two = (simulated(cells, lambda d, name=name: d[name], 3000) for name in ("first_multi", "second_multi"))
    for i, tilt in enumerate(tilts):
        unstable = (tilt - float(pull_at_start(3.0))) / (0.4 / 3 + np.exp(-3) * (1 - 3 * np.exp(-3)))
        show(f"share of starts in A at a tilt of {tilt:g}, theory", laws[i], float(norm.cdf(-unstable / 0.5)))
        show("   first task", first[i], *one[i], np.sqrt(first[i] * (1 - first[i]) / 1500))
        show("   second task", second[i], 1 - two[i][0], two[i][1], np.sqrt(second[i] * (1 - second[i]) / 1500))


def other_claims() -> None:
    cell = Aspects(30.0)
    for name, number in (("risk_single", 0.515), ("risk_multi", 0.1317), ("risk_different", 0.0951)):
        show(
            f"ten features, 30 rows, four aspects: {name}",
            number,
            *simulated([cell], lambda d, name=name: d[name], 20_000)[0],
            0.002,
        )
    show(
        "   with a trait in common (.8): risk_multi",
        0.463,
        *simulated([Aspects(30.0, 1.0, 0.8)], lambda d: d["risk_multi"], 20_000)[0],
        0.007,
    )
    known = {(0.0, 1.0): (1.342, 1.389, 1.191), (0.5, 1.0): (1.345, 1.042, 1.267), (0.8, 1.0): (1.348, 0.502, 1.315),
             (0.0, 0.9): (None, None, 1.247), (0.0, 0.0): (None, 1.393, 1.685)}  # fmt: skip
    for (rho, cosine), values in known.items():
        for name, number in zip(("error_plain", "error_input", "error_output"), values, strict=True):
            if number is not None:
                ours = simulated([ExtraLabel(40.0, rho, cosine)], lambda d, name=name: d[name], 20_000)[0]
                show(f"second label, correlation {rho:g}, cosine {cosine:g}: {name}", number, *ours, 0.005)
    for n, number in ((40, 0.330), (200, 0.156)):
        show(f"correlation where input and output are equal, {n} rows", number, float(boundary(n, 10)))
    known = (7.49, 4.13, 3.40, 3.15, 3.35, 3.60, 3.83, 3.98)
    laws = (7.44, 4.02, 3.13, 2.84, 2.96, 3.25, 3.63, 4.00)
    found = simulated([ModesKept(float(width)) for width in range(1, 9)], lambda d: d["risk"], 4000)
    for width, number, law, ours in zip(range(1, 9), known, laws, found, strict=True):
        show(f"eight tasks, {width} column(s): total risk", number, *ours, 0.02, 2)
        show("   its law", law, expected_risk(width, KINDS["decaying"]), digits=2)
    own, common, _ = (np.asarray(part) for part in StoppedFlow().times())
    variances = np.asarray(StoppedFlow().variances())
    risk = lambda times: np.exp(-2 * times) + (1 - np.exp(-times)) ** 2 * variances
    for what, number, ours in (("first stop", 1.099, own[0]), ("second stop", 0.201, own[1])):
        show(f"noises one and three: {what}", number, float(ours))
    for what, number, ours in (("own stops", 1.1515, risk(own).sum()), ("one stop", 1.4286, risk(common).sum())):
        show(f"   risk of {what}", number, float(ours), digits=4)
    for what, number, ours in zip(("first", "second"), (0.218, 0.059), risk(common) - risk(own), strict=True):
        show(f"   cost to the {what} task", number, float(ours))
    show("slope that frees from a well of tilt .3", 1.2396, float(STEEPEST - 0.3), digits=4)


def main() -> None:
    print(f"{'':62} {'known':>10} {'ours':>10} {'error':>8}")
    for part in (noise_tasks, related_tasks, amplification, selection, eavesdropping, representation, tide, other_claims):
        part()
    print(f"{sum(rows)} of {len(rows)} met" + (f"; not: {'; '.join(missed)}" if missed else ""))
    assert SMOKE or len(rows) > 100


if __name__ == "__main__":
    main()
