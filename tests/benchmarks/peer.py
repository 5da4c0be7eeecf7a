"""The peer: a careful NumPy and SciPy loop that draws X, forms its moments and solves the same secular function."""

import numpy as np
import scipy.linalg
import scipy.optimize


def draw(rng, covariance_root, parameters, n_samples, noise):
    """Moments of explicitly drawn rows, in blocks of at most 10^5 rows."""
    d = len(parameters)
    gram, cross = np.zeros((d, d)), np.zeros(d)
    for start in range(0, n_samples, 100_000):
        rows = rng.standard_normal((min(100_000, n_samples - start), d)) @ covariance_root.T
        labels = rows @ parameters + noise * rng.standard_normal(len(rows))
        gram += rows.T @ rows
        cross += rows.T @ labels
    return gram, cross


def best_direction(first_gram, first_cross, second_gram, second_cross, n_nodes=400):
    """Global optimum over the head ratio t: generalised eigenvectors, a dense scan of both signs, then golden sections."""
    if len(first_gram) and np.linalg.matrix_rank(first_gram) < len(first_gram):
        raise ValueError("the source must have at least as many rows as features")
    values, vectors = scipy.linalg.eigh(second_gram, first_gram)
    c1, c2 = vectors.T @ first_cross, vectors.T @ second_cross

    def explained(t):
        return np.sum((c1 + np.multiply.outer(t, c2)) ** 2 / (1 + np.multiply.outer(t**2, values)), -1)

    centre = -0.5 * np.log(np.median(values))
    u = centre + np.linspace(-12, 12, n_nodes)
    candidates = []
    for sign in (1.0, -1.0):
        best = np.argmax(explained(sign * np.exp(u)))
        result = scipy.optimize.minimize_scalar(
            lambda v, sign=sign: -explained(sign * np.exp(v)),
            bounds=(u[max(best - 1, 0)], u[min(best + 1, n_nodes - 1)]),
            method="bounded",
            options={"xatol": 1e-10},
        )
        candidates.append((-result.fun, sign * np.exp(result.x)))
    energy, t = max(candidates)
    return vectors @ ((c1 + t * c2) / (1 + t**2 * values)), energy


def cell(rng, roots, cosine, n_samples, noise):
    """Gain of one draw, as `mtlsim.Transfer` measures it: exact excess risks under the target's covariance."""
    d = len(roots[0])
    target = rng.standard_normal(d)
    target /= np.linalg.norm(target)
    other = rng.standard_normal(d)
    other -= target * (target @ other)
    source = cosine * target + np.sqrt(1 - cosine**2) * other / np.linalg.norm(other)
    first = draw(rng, roots[0], source, n_samples[0], noise)
    second = draw(rng, roots[1], target, n_samples[1], noise)
    alone = scipy.linalg.solve(*second, assume_a="pos")
    direction, _ = best_direction(*first, *second)
    together = direction * (second[1] @ direction) / (direction @ second[0] @ direction)
    risks = [np.sum((roots[1].T @ (estimate - target)) ** 2) for estimate in (alone, together)]
    return risks[0] - risks[1]
