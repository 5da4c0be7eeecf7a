"""Certificates of architectures on adversarial pairs, judged by least squares of their own rows in extended precision."""

import adversarial
import numpy as np
from judged import HIGHEST, Judged

import mtlsim as mtl
from mtlsim.core.status import Certificate, Status
from mtlsim.sharing.from_source import FromSource
from mtlsim.sharing.gated_experts import GatedExperts
from mtlsim.sharing.mean_regularised import MeanRegularised
from mtlsim.sharing.soft import Soft

LONG = np.longdouble
MIXTURES = ("gated-experts", "mean-regularised", "pooled", "soft")  # of any number of tasks and any weights
SHARINGS = ("from-source", "frozen", "gated-experts", "mean-regularised", "pooled", "soft")


def smallest_loss(rows, labels):
    """Least squares by Gram-Schmidt with the largest column first, each taken out twice; the loss that its solution reaches."""
    rows, labels = rows.astype(LONG), labels.astype(LONG)
    sizes = np.sqrt((rows**2).sum(0))
    scaled = rows / np.where(sizes > 0, sizes, 1)
    left, basis, chosen = scaled, [], []
    for _ in range(rows.shape[1]):
        lengths = (left**2).sum(0)
        if lengths.max() <= 1e-30:
            break
        chosen.append(lengths.argmax())
        own = left[:, chosen[-1]] / np.sqrt(lengths.max())
        for other in basis:
            own = own - other * (other @ own)
        own = own / np.sqrt(own @ own)
        basis.append(own)
        left = left - np.outer(own, own @ left)
    if not basis:
        return (labels**2).sum()
    triangle, sides = np.array(basis) @ scaled[:, chosen], np.array(basis) @ labels
    parameters = np.zeros(len(chosen), LONG)
    for i in reversed(range(len(chosen))):
        parameters[i] = (sides[i] - triangle[i, i + 1 :] @ parameters[i + 1 :]) / triangle[i, i]
    unsure = (len(chosen) + 2) * np.finfo(LONG).eps * (np.abs(scaled[:, chosen]) @ np.abs(parameters))
    return ((np.abs(labels - scaled[:, chosen] @ parameters) + unsure) ** 2).sum()


def steps_of(name, sharing, tasks, weights, found):
    """Rows, labels and what was found for each least squares that the architecture is made of, one after another."""
    tasks = [(X.astype(LONG), y.astype(LONG)) for X, y in tasks]
    (X, y), (X2, y2) = tasks[:2]
    d, parameters = X.shape[1], np.asarray(found.parameters, LONG)
    if name == "from-source":
        root = np.sqrt(LONG(sharing.strength))
        rows, labels = np.concatenate([X2, root * np.eye(d)]), np.concatenate([y2, root * parameters[0]])
        return [(X, y, parameters[0]), (rows, labels, parameters[1])]
    if name == "frozen":
        layer = np.asarray(found.params.shared, LONG)[:, :1]
        return [(X, y, parameters[0]), (X2 @ layer, y2, np.asarray(found.params.heads, LONG)[1])]
    amounts, ridge = np.ones((1, len(tasks)), LONG), np.zeros(1, LONG)
    if name != "pooled":
        amounts, ridge = (np.asarray(part, LONG) for part in found.sharing.mixing(len(tasks)))
    roots = np.sqrt(np.asarray(weights, LONG))
    mixed = [root * np.kron(amounts[:, k], X) for k, (root, (X, _)) in enumerate(zip(roots, tasks, strict=True))]
    rows = np.concatenate([*mixed, np.kron(np.diag(np.sqrt(ridge)), np.eye(d))])
    labels = [root * y for root, (_, y) in zip(roots, tasks, strict=True)]
    columns = np.asarray(found.params.shared, LONG).T.reshape(-1)
    return [(rows, np.concatenate([*labels, np.zeros(len(ridge) * d, LONG)]), columns)]


def judge_sharing(name: str, grams: bool, family: str, tasks, strength: float, weights=None) -> Judged | None:
    """What the certificate of one architecture says; None where it has none."""
    make = {
        "from-source": lambda: FromSource(strength),
        "mean-regularised": lambda: MeanRegularised(strength),
        "soft": lambda: Soft(strength, strength),
        "gated-experts": lambda: GatedExperts(0.5, strength),
    }
    sharing = make.get(name, lambda: name)()
    moments = [mtl.Moments.from_data(X, y) for X, y in tasks]
    weights = np.ones(len(tasks)) if weights is None else weights
    found = mtl.fit([one.without_factor() for one in moments] if grams else moments, sharing, weights=weights)
    condition = adversarial.condition_of(tasks)
    flagged, exact = found.status != Status.ok, found.certificate == Certificate.exact
    if found.certificate == Certificate.none:
        return Judged(family, condition, False, False, False, True, np.nan, np.nan, tasks)
    steps = steps_of(name, sharing, tasks, weights, found)
    reached = float(sum(((rows @ theta - labels) ** 2).sum() for rows, labels, theta in steps))
    least = float(sum(smallest_loss(rows, labels) for rows, labels, _ in steps))
    total = float(sum(w * (y**2).sum() for w, (_, y) in zip(weights, tasks, strict=True)))
    gap, rounding = float(found.gap), 1e-14 * total
    missed = float(found.loss) - gap > least + rounding
    wrong = abs(float(found.loss) - reached) > gap + rounding or reached > least + gap + rounding
    return Judged(
        family, condition, bool(exact), bool(exact and wrong), bool(missed or wrong), bool(flagged), 0.0, gap / total, tasks
    )


def in_units_of(rows, others):
    """The rows with every column, where both have one, in units that make it as large as that of others."""
    own, wanted = np.abs(rows).max(0), np.abs(others).max(0)
    return rows * np.where((own > 0) & (wanted > 0), wanted / np.where(own > 0, own, 1), 1 / np.where(own > 0, own, 1))


def judge_sharings(n_pairs: int, seed: int = 0, dimensions=(2, 3, 5)) -> dict[str, list[Judged]]:
    """Every architecture on each pair, from rows and from their sums alone; mixtures on three tasks of unequal weight, too."""
    rng = np.random.default_rng(seed)
    judged = {f"{name} of {'sums' if grams else 'rows'}": [] for name in SHARINGS for grams in (False, True)}
    for i in range(n_pairs):
        d = dimensions[i % len(dimensions)]
        family = adversarial.FAMILIES[(i // len(dimensions)) % (len(adversarial.FAMILIES) - 1)]  # squares of 10^150 are no numbers
        tasks = adversarial.pair(rng, family, d, HIGHEST ** rng.uniform())
        tasks = [(X, y / np.linalg.norm(y) * 10.0 ** rng.uniform(-2, 2)) for X, y in tasks]
        strength = 10.0 ** rng.uniform(-14, 4)
        for name in SHARINGS:
            for grams in (False, True):
                several = tasks
                if i % 2 and name in MIXTURES:
                    X, y = adversarial.pair(rng, family, d, HIGHEST ** rng.uniform())[0]
                    several = [(in_units_of(X, tasks[0][0]) if family == "units" else X, y), *tasks]
                weights = 10.0 ** rng.uniform(-3, 3, 3) if len(several) == 3 else None
                one = judge_sharing(name, grams, family, several, strength, weights)
                judged[f"{name} of {'sums' if grams else 'rows'}"].append(one)
    return judged
