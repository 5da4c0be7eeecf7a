"""Auditing a linear decision on Gaussian rows: false positives, false negatives and how they change, all exact.

u = x'w and v = x'theta of rows N(0, Sigma) are normal with correlation cos(omega), omega the angle of w and theta in Sigma. For a
threshold a >= 0, in standard deviations of u,

    P(u > a, v < 0) = (1 / 2 pi) integral over 0..omega of exp(-a^2 / (2 sin^2 phi)) dphi,

which at a = 0 is omega / 2 pi: then false positives, false negatives and errors all have the rate omega / pi.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

NODES, WEIGHTS = np.polynomial.legendre.leggauss(12)
PANELS = np.append(0.0, 2.0 ** np.arange(-40, 1))  # that shrink towards zero, where the integrand may rise within any width
FLOOR = 1e-3  # a gap below it is no gap to compare with


def above_and_negative(angle: Float[Array, ""], threshold: Float[Array, ""] | float) -> Float[Array, ""]:
    """P(u > threshold, v < 0) of standard normals whose correlation is the cosine of the angle, from 0 to pi."""
    threshold = jnp.asarray(threshold, float)
    seen = jnp.where(threshold >= 0, angle, np.pi - angle)
    # sin is the same on both sides of a right angle
    less = jnp.minimum(seen, np.pi - seen)
    near, half = _tail(less, threshold), _tail(jnp.asarray(np.pi / 2), threshold)
    tail = jnp.where(seen <= np.pi / 2, near, 2 * half - near)
    return jnp.where(threshold >= 0, tail, 0.5 - tail)


def _tail(angle: Float[Array, ""], threshold: Float[Array, ""]) -> Float[Array, ""]:
    """The integral up to an angle that is no more than a right one."""
    middle, half = (PANELS[1:] + PANELS[:-1]) / 2, (PANELS[1:] - PANELS[:-1]) / 2
    phi = angle * (middle[:, None] + half[:, None] * NODES)
    squares = jnp.maximum(jnp.sin(phi) ** 2, jnp.finfo(phi.dtype).tiny)
    return angle * jnp.sum(half[:, None] * WEIGHTS * jnp.exp(-(threshold**2) / (2 * squares))) / (2 * np.pi)


def decision_rates(
    angle: Float[Array, ""], threshold: Float[Array, ""] | float = 0.0, flip: Float[Array, ""] | float = 0.0
) -> dict[str, Float[Array, ""]]:
    """false_positive: share of rows labelled negative that are decided positive; false_negative; and error, of all rows.

    Labels are the sign of v, a share `flip` of which is turned round; rows with u > threshold (in its standard deviations) are
    decided positive.
    """
    positive, negative = 2 * above_and_negative(np.pi - angle, threshold), 2 * above_and_negative(angle, threshold)
    false_positive = (1 - flip) * negative + flip * positive
    false_negative = 1 - (1 - flip) * positive - flip * negative
    return {
        "false_positive": false_positive,
        "false_negative": false_negative,
        "error": (false_positive + false_negative) / 2,
    }


def relative_change(multi, single, floor: float = FLOOR) -> tuple[np.ndarray, np.ndarray]:
    """(ratio, known): multi / single, below one where learning together lowers it, and NaN where single is below the floor.

    The relative error and the relative gap are means of this over tasks, of errors and of gaps between groups. Look at the
    differences too: a ratio to a small gap says little.
    """
    multi, single = np.asarray(multi, float), np.asarray(single, float)
    known = single >= floor
    return np.where(known, multi / np.where(known, single, 1), np.nan), known
