"""The tide: a task that does not care which of two representations it learns is carried to the one that another does not use."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from mtlsim.core.checks import require_one
from mtlsim.core.flow import follow
from mtlsim.core.keys import check_key, normal, stream
from mtlsim.core.status import Status, flag, with_status

EARLY, LONG = 10.0, 250.0  # times of the flow at which the gate is looked at, and steps of it
STEPS = 50, 1000
FITTED = 0.02


class TwoGates(eqx.Module):
    """A cell: the gradient flow of two tasks on gates z_1, of representation A, and z_2, of C.

    The first task has a double well in z_1, well Z ((z_1 / Z)^2 - 1)^2 + tilt z_1: with a tilt it prefers z_1 < 0, a
    representation B that only it can use. The second is solved by either gate, (1 - a e^z_1 - a e^z_2)^2 / 2 with a = e^-Z. Both
    gates start from N(0, start^2). The first task has learned A if z_1 > 0 at the end, the second if z_1 > z_2, and C if not.

    tilt, well: of the first task. width: Z. private: 1 gives the second task a z_1 of its own. start_single: by what the start of
    tasks alone is multiplied.

    Returns 0 or 1 for every draw: second_multi, second_single, whether the second task learned C together and alone, their
    difference as gain; first_multi, first_single, whether the first learned A; predicted, whether it should (see `turning_point`);
    pushed: by how much sharing lowers the second task's z_1 up to the time 10; loss_single, loss_multi: losses of the second task;
    status: not_converged where one is above .02, and NaN for what that task learned.
    """

    tilt: Array | float = 0.1
    well: Array | float = 0.1
    width: Array | float = 3.0
    start: Array | float = 0.5
    private: Array | float = 0.0
    start_single: Array | float = 1.0

    def __check_init__(self):
        for name in ("well", "width", "start", "start_single"):
            require_one(getattr(self, name), lambda v: (v > 0) & np.isfinite(v), name, "a number > 0", "use 1.0")
        require_one(self.tilt, np.isfinite, "tilt", "a number", "use 0.1")
        require_one(self.private, lambda p: (p == 0) | (p == 1), "private", "0 or 1", "use 0.0")

    def begin(self, *, key: Key[Array, ""]) -> Float[Array, "2"]:
        """Both gates at first."""
        return self.start * normal(stream(key, "gates"), (2,))

    def __call__(self, *, key: Key[Array, ""] | None = None) -> dict[str, Array]:
        gates = self.begin(key=check_key(key))
        first, *_ = self.flow(gates * self.start_single, 1.0, 0.0)
        _, alone, loss_single, early_alone = self.flow(gates * self.start_single, 0.0, 1.0)
        together = self.flow(gates, 1.0, 1.0)
        apart = jnp.asarray(self.private, float) > 0
        own_first, *_ = self.flow(gates, 1.0, 0.0)
        _, *own_second = self.flow(gates, 0.0, 1.0)
        second, loss_multi, early = (jnp.where(apart, *pair) for pair in zip(own_second, together[1:], strict=True))
        numbers = {
            "gain": second - alone,
            "second_single": alone,
            "second_multi": second,
            "first_single": first,
            "first_multi": jnp.where(apart, own_first, together[0]),
            "predicted": 1.0 * (gates[0] > turning_point(self.tilt, self.well, self.width)),
            "pushed": early_alone - early,
            "loss_single": loss_single,
            "loss_multi": loss_multi,
        }
        return with_status(numbers, flag(~((loss_single < FITTED) & (loss_multi < FITTED)), Status.not_converged))

    def flow(self, gates: Float[Array, "2"], first, second) -> tuple[Array, Array, Array, Array]:
        """Whether the first task learned A and the second C, the second's loss, and z_1 at the early time; weights of the tasks."""
        width, a = self.width, jnp.exp(-jnp.asarray(self.width, float))

        def slopes(state):
            shape = 4 * self.well / width * state[0] * ((state[0] / width) ** 2 - 1) + self.tilt
            opened = a * jnp.exp(state)
            return second * (1 - jnp.sum(opened)) * opened - first * shape * jnp.array([1.0, 0.0])

        early, _ = follow(slopes, gates, EARLY, STEPS[0])
        late, _ = follow(slopes, early, LONG - EARLY, STEPS[1])
        loss = (1 - jnp.sum(a * jnp.exp(late))) ** 2 / 2
        learned = jnp.where(loss < FITTED, 1.0 * (late[0] <= late[1]), jnp.nan)
        return jnp.where(jnp.isnan(late[0]), jnp.nan, 1.0 * (late[0] > 0)), learned, loss, early[0]


def turning_point(tilt, well, width):
    """z_u, the start of z_1 above which both tasks together should learn A, by the joint force made linear at z = 0.

    z_u = (tilt - f_0) / (4 well / Z + a (1 - 3 a)), where f_0 = a (1 - 2 a) is the pull of the second task, a = e^-Z: A and C are
    equally likely where the first task's preference, its tilt, is f_0. The first task alone turns at tilt Z / (4 well).
    """
    a = jnp.exp(-jnp.asarray(width, float))
    return (tilt - pull_at_start(width)) / (4 * well / width + a * (1 - 3 * a))


def pull_at_start(width):
    """f_0 = a (1 - 2 a), a = e^-Z."""
    a = jnp.exp(-jnp.asarray(width, float))
    return a * (1 - 2 * a)


def half_open(well, width):
    """The tilt at which A, in the first task's well, is half open: a e^z_1 = 1 / 2 at z_1 = Z - log 2.

    Where both tasks end at A, the second is fitted and pulls no more, so that z_1 lies in the first task's well, nearer to zero the
    larger the tilt. Beyond this one the second task makes up for it by a gate C that is more open than A.
    """
    z = width - np.log(2)
    return 4 * well / width * z * (1 - (z / width) ** 2)
