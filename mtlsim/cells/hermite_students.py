"""A hard and an easy function of one direction: beside the easy task the hard one soon learns what it finds late alone."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from mtlsim.core.checks import is_whole, require, require_bool, require_one
from mtlsim.core.flow import follow
from mtlsim.core.keys import check_key, normal, stream
from mtlsim.core.status import Status, flag, with_status
from mtlsim.samples.chi_square import draw_chi_squares

HALF = 0.5  # overlap until which rows are counted
BLOCK = 250  # rows that are drawn at once, so that memory does not grow with their number
HANDED_OVER = 0.3  # overlap from which on the easy task is taken away


class HermiteStudents(eqx.Module):
    """A cell: online gradient steps on one shared unit vector b, a new row x ~ N(0, I_d) each, without label noise.

    With a unit vector theta the easy task has the label He_1(x'theta), the hard one He_p(x'theta), Hermite polynomials of variance
    one; students are He_1(x'b) and He_p(x'b), and their population losses, half the mean squared error, 1 - m and 1 - m^p with
    m = b'theta. Steps are of size rate / d along the sphere, up the correlation of student and label, which on the sphere is the
    same population loss, or (squared) down the squared error, whose steps are noisier; the start is uniform.

    A step needs of b and x only m, x'theta, the part of x along what b has across theta, and the squared length of the rest, a
    chi-square of d - 2: these are drawn, so that no step costs more with more features. Students share these draws.

    n_features: d, at least 3. easy_weight: of the easy task, the hard one's is 1. related: 1, or 0 for easy labels dealt to other
    rows. capacity: rows in all. rate_single: by what the rate of the hard task alone is multiplied. degree: p.

    Returns rows until m = .5 over d, capacity over d where it is not reached: rows_single of the hard task alone, rows_multi of
    both, rows_easy of the easy one alone; gain = rows_single - rows_multi; handed_over: rows where the easy task is taken away once
    m is .3, minus rows_multi; gain_easy = rows_easy - rows_multi; start: m at first, of either sign; reached: whether the hard task
    alone comes there; overlap: by how much m is larger beside the easy task after d rows; loss_single, loss_multi: the hard task's
    losses at the end; status: not_converged where a step left the numbers.
    """

    n_features: Array | float = 100.0
    easy_weight: Array | float = 1.0
    related: Array | float = 1.0
    rate: Array | float = 0.2
    rate_single: Array | float = 1.0
    degree: int = eqx.field(default=3, static=True)
    capacity: int = eqx.field(default=6000, static=True)
    squared: bool = eqx.field(default=False, static=True)

    def __check_init__(self):
        for name in ("easy_weight", "rate", "rate_single"):
            require_one(getattr(self, name), lambda v: (v >= 0) & np.isfinite(v), name, "a number >= 0", "use 1.0")
        require_one(self.related, lambda c: (c == 0) | (c == 1), "related", "0 or 1", "use 1.0")
        require_one(self.n_features, lambda d: (d >= 3) & np.isfinite(d), "n_features", "at least 3", "use 100")
        require_bool(self.squared, "squared")
        for name, least in (("degree", 2), ("capacity", 1)):
            value = getattr(self, name)
            require(is_whole(value) and value >= least, name, f"a whole number >= {least}", repr(value), f"use {least}")

    def __call__(self, *, key: Key[Array, ""] | None = None) -> dict[str, Array]:
        key, d = check_key(key), jnp.asarray(self.n_features, float)
        first, others = normal(stream(key, "start"), (1,)), draw_chi_squares(stream(key, "other coordinates"), jnp.full(1, d - 1))
        start = (first / jnp.sqrt(first**2 + others))[0]
        # students of: the hard task alone, both, both until the easy one is taken away, the easy one alone
        easy = jnp.asarray(self.easy_weight, float) * jnp.array([0.0, 1.0, 1.0, 0.0]) + jnp.array([0.0, 0.0, 0.0, 1.0])
        hard = jnp.array([1.0, 1.0, 1.0, 0.0])
        rates = self.rate / d * jnp.array([self.rate_single, 1.0, 1.0, 1.0], float)

        def step(state, row):
            overlap, early, handed_over, half, number = state
            feature, across, other, left = row
            seen = overlap * feature + jnp.sqrt(jnp.maximum(1 - overlap**2, 0)) * across
            label, (height, slope) = hermite(feature, self.degree)[0], hermite(seen, self.degree)
            own = 1.0 if self.squared else 0.0  # the student's own output in the error
            easy_error = own * seen - jnp.where(self.related > 0, feature, other)
            shown = jnp.where(handed_over & (jnp.arange(4) == 2), 0.0, easy)
            size = rates * (shown * easy_error + hard * (own * height - label) * slope)
            length = jnp.sqrt(1 + size**2 * (feature**2 + across**2 + left - seen**2))
            moved = (overlap - size * (feature - seen * overlap)) / length
            overlap = jnp.where(number < self.capacity, moved, overlap)  # the last block may be longer
            early = jnp.where(number < d, overlap, early)
            half = jnp.where(overlap >= HALF, jnp.minimum(half, number + 1), half)
            return (overlap, early, handed_over | (overlap[2] >= HANDED_OVER), half, number + 1), None

        def block(state, number):
            normals = normal(jax.random.fold_in(stream(key, "rows"), number), (BLOCK, 3))
            rest = draw_chi_squares(jax.random.fold_in(stream(key, "rest"), number), jnp.full(BLOCK, d - 2))
            return jax.lax.scan(step, state, (*normals.T, rest))

        begin = jnp.full(4, start), jnp.full(4, start), jnp.zeros((), bool), jnp.full(4, 1.0 * self.capacity), jnp.zeros(())
        (overlap, early, _, half, _), _ = jax.lax.scan(block, begin, jnp.arange(-(-self.capacity // BLOCK)))
        losses, lost = 1 - overlap**self.degree, ~jnp.all(jnp.isfinite(overlap))
        waited = jnp.where(lost, jnp.nan, half / d)
        numbers = {
            "gain": waited[0] - waited[1],
            "rows_single": waited[0],
            "rows_multi": waited[1],
            "rows_easy": waited[3],
            "handed_over": waited[2] - waited[1],
            "gain_easy": waited[3] - waited[1],
            "start": start,
            "reached": half[0] < self.capacity,
            "overlap": early[1] - early[0],
            "loss_single": losses[0],
            "loss_multi": losses[1],
        }
        return with_status(numbers, flag(lost, Status.not_converged))


def hermite(values: Float[Array, "..."], degree: int) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """The Hermite polynomial of this degree with E He(z)^2 = 1 for a standard normal z, and its derivative."""
    before, here = jnp.zeros_like(values), jnp.ones_like(values)
    for k in range(degree):
        before, here = here, (values * here - math.sqrt(k) * before) / math.sqrt(k + 1)
    return here, math.sqrt(degree) * before


def waiting_time(start, end, degree: int):
    """Time at which the flow of the hard task alone, dm/dt = (1 - m^2) p m^(p-1), is at the overlap `end`, from `start` > 0.

    p = 2: (ln(m / m0) + ln((1 - m0^2) / (1 - m^2)) / 2) / 2. p = 3: (1 / m0 - 1 / m + artanh m - artanh m0) / 3. p = 1, the easy
    task: artanh m - artanh m0. A start of 1 / sqrt(d) waits about sqrt(d) / 3 with p = 3, ln(d) / 4 with p = 2.
    """
    require(degree in (1, 2, 3), "degree", "1, 2 or 3", degree, "integrate dm/dt for others")
    artanh = jnp.arctanh(end) - jnp.arctanh(start)
    if degree == 1:
        return artanh
    if degree == 2:
        return (jnp.log(end / start) + jnp.log((1 - start**2) / (1 - end**2)) / 2) / 2
    return (1 / start - 1 / end + artanh) / 3


def overlap_flow(start, easy_weight, hard_weight, duration, degree: int, n_steps: int = 1000) -> Float[Array, " n"]:
    """Overlap m along the flow dm/dt = (1 - m^2)(w_easy + w_hard p m^(p-1)) for this time, after each of n_steps equal steps."""
    slopes = lambda m: (1 - m**2) * (easy_weight + hard_weight * degree * m ** (degree - 1))
    return follow(slopes, jnp.asarray(start, float), duration, n_steps)[1]
