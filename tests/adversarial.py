"""Pairs of tasks that tempt a certificate to lie, and what their rows say of the best shared direction: a dense scan in NumPy.

A loss is evaluated on the rows in extended precision, so that any direction found here is a loss that can be reached, and a
lower bound above it is wrong. Nothing here calls mtlsim.
"""

import numpy as np

FAMILIES = ("rows", "few rows", "diagonal", "collinear", "units", "equal eigenvalues", "zero columns", "scales")
STEP = 0.1  # of the scan, in the log of the head ratio
WIDE = 25.0  # how far it goes to either side


def rotated(rng, d):
    return np.linalg.qr(rng.normal(size=(d, d)))[0]


def spectrum(rng, m, d, condition):
    """Rows (m, d) whose singular values span the condition number, in random bases."""
    k = min(m, d)
    values = condition ** -rng.permutation(np.append(np.array([0.0, 1.0])[: min(k, 2)], rng.uniform(0, 1, max(k - 2, 0))))
    left = np.linalg.qr(rng.normal(size=(m, k)))[0]
    return left * values @ rotated(rng, d)[:k]


def pair(rng, family, d, condition):
    """Two tasks (X, y) of a family; more than d rows in all."""
    few = family == "few rows"
    while True:
        sizes = rng.integers(1, d + 1, 2) if few else rng.integers(d, 2 * d + 3, 2)
        if min(sizes[0], d) + min(sizes[1], d) > d:
            break
    if family == "diagonal":  # each sees well what the other hardly sees
        first = np.exp(rng.uniform(-1, 0, d) * np.log(condition))
        X = [np.diag(first), np.diag(rng.permutation(first) if rng.random() < 0.5 else first.min() / first)]
        turn = np.eye(d) if rng.random() < 0.5 else rotated(rng, d)
        X = [rows @ turn for rows in X]
    else:
        X = [spectrum(rng, m, d, condition) for m in sizes]
    if family == "equal eigenvalues":
        X[1] = rotated(rng, d) @ X[0][:d] if rng.random() < 0.5 else rotated(rng, d) * condition ** -rng.integers(0, 2, d)
        X[0] = rotated(rng, d) * condition ** -rng.integers(0, 2, d)
    if family == "collinear":
        which = rng.integers(3)
        for i in range(2):
            if which in (i, 2):
                X[i][:, -1] = X[i][:, 0]
    if family == "zero columns":
        for i in range(2):
            X[i][:, rng.integers(d)] = 0
    if family == "units":  # a column is nothing in both tasks, or another one; powers of two leave that without rounding
        kind = rng.integers(3)
        for i in range(2):
            if kind < 2:
                X[i][:, 0] = X[i][:, 1] * kind
        alike, apart = rng.random() < 0.3, rng.random() < 0.3  # one unit for all columns, units of each task
        draw = lambda: 2.0 ** (np.full(d, rng.integers(-130, 131)) if alike else rng.integers(-130, 131, d))
        first, second = draw(), draw()
        units = [first, second if apart else first]
        X = [rows * own for rows, own in zip(X, units, strict=True)]
    own = rng.normal(size=(2, d)) * 10.0 ** rng.uniform(-2, 2, (2, 1))
    fitted = rng.random() < 0.5
    tasks = []
    for i, (rows, theta) in enumerate(zip(X, own, strict=True)):
        noise = rng.normal(size=len(rows))
        signal = rows / (units[i] if family == "units" else 1) @ theta
        y = signal + 10.0 ** rng.uniform(-4, 0) * noise if fitted else noise * 10.0 ** rng.uniform(-1, 1)
        tasks.append((rows, y))
    if family == "scales":
        tasks = [(X * 10.0 ** rng.integers(-150, 151), y * 10.0 ** rng.integers(-3, 4)) for X, y in tasks]
    return tasks


def loss(tasks, direction):
    """Least loss that heads reach on this direction, and what is explained, in extended precision; never more explained than that
    precision is sure of, where columns cancel.
    """
    total = explained = np.longdouble(0)
    eps = np.finfo(np.longdouble).eps
    for X, y in tasks:
        X, y, direction = (np.asarray(part, np.longdouble) for part in (X, y, direction))
        fitted, sizes = X @ direction, np.abs(X) @ np.abs(direction)
        largest = np.abs(fitted).max()
        if largest > 0:
            fitted, sizes = fitted / largest, sizes / largest
            length = np.sqrt(fitted @ fitted)
            unsure = (len(direction) + 2) * eps * np.sqrt(sizes @ sizes) / length * np.sqrt(y @ y)
            explained += max(abs(fitted @ y) / length - unsure, 0) ** 2
        total += y @ y
    return total - explained


def energies(tasks):
    """What each task explains alone, by QR with scaled columns and a rank to rounding."""
    found = []
    for X, y in tasks:
        X = X / np.abs(X).max()
        sizes = np.linalg.norm(X, axis=0)
        left, values, _ = np.linalg.svd(X / np.where(sizes > 0, sizes, 1), full_matrices=False)
        found.append(np.sum((left[:, values > 1e-13 * values[0]].T @ y) ** 2))
    return np.array(found)


def scan(tasks):
    """The least loss over head ratios: least squares on stacked rows for every ratio of a dense grid, refined around its best."""
    sizes = [np.abs(X).max() for X, _ in tasks]
    columns = np.max([np.abs(X / size).max(0) for (X, _), size in zip(tasks, sizes, strict=True)], axis=0)
    columns = np.where(columns > 0, columns, 1)
    scaled = [(X / size / columns, y) for (X, y), size in zip(tasks, sizes, strict=True)]

    def look(u, sign):
        # small rows below large ones lose their digits in least squares: the larger go first, and columns are scaled anew
        t = np.exp(u)[:, None, None] * sign
        blocks = [np.broadcast_to(scaled[0][0], (len(u), *scaled[0][0].shape)), t * scaled[1][0]]
        labels = [np.broadcast_to(y, (len(u), len(y))) for _, y in scaled]
        rows, right = np.concatenate(blocks, 1), np.concatenate(labels, 1)
        lengths = np.linalg.norm(rows, axis=1)
        lengths = np.where(lengths > 0, lengths, 1)
        left, values, turned = np.linalg.svd(rows / lengths[:, None], full_matrices=False)
        kept = values > 1e-15 * values[:, :1]
        inner = np.where(kept, np.einsum("nmk,nm->nk", left, right) / np.where(kept, values, 1), 0)
        directions = np.einsum("nkd,nk->nd", turned, inner) / lengths
        fitted = [np.einsum("md,nd->nm", X, directions) for X, _ in scaled]
        explained = 0
        for f, (_, y) in zip(fitted, scaled, strict=True):
            f = f / np.maximum(np.abs(f).max(1, keepdims=True), 1e-300)
            explained = explained + (f @ y) ** 2 / np.maximum((f**2).sum(1), 1e-300)
        return explained, directions / columns

    best = []
    for sign in (1.0, -1.0):
        u = np.arange(-WIDE, WIDE, STEP)
        explained, directions = look(u, sign)
        for i in np.argsort(-explained)[:1]:
            best.append((loss(tasks, directions[i]), directions[i]))
        peaks = np.flatnonzero((explained[1:-1] >= explained[:-2]) & (explained[1:-1] >= explained[2:])) + 1
        for i in peaks[np.argsort(-explained[peaks])][:3]:
            low, high = u[i - 1], u[i + 1]
            for _ in range(5):
                inside = np.linspace(low, high, 17)
                explained_there, directions_there = look(inside, sign)
                k = int(np.argmax(explained_there))
                low, high = inside[max(k - 1, 0)], inside[min(k + 1, 16)]
                best.append((loss(tasks, directions_there[k]), directions_there[k]))
    return min(best, key=lambda found: found[0])


def condition_of(tasks):
    """The larger condition number of both tasks' rows, columns scaled, over the directions that are no rounding."""
    found = 1.0
    for X, _ in tasks:
        X = X / np.abs(X).max()
        sizes = np.linalg.norm(X, axis=0)
        values = np.linalg.svd(X / np.where(sizes > 0, sizes, 1), compute_uv=False)
        values = values[values > 1e-13 * values[0]]
        found = max(found, values[0] / values[-1])
    return found
