"""How alignment matrices are trained."""

import equinox as eqx
import numpy as np
from jaxtyping import Array

from mtlsim.core.checks import is_whole, require, require_choice, require_one
from mtlsim.training.engine import OPTIMISERS

STARTS, CONSTRAINTS = ("identity", "random"), ("free", "orthogonal")


class AlignmentTraining(eqx.Module):
    """How alignment matrices and heads are trained; all of it is recorded in a sweep's settings.

    optimiser: "sgd" or "adam". n_steps: each moves all R_k, then all A_k; with 0 the start comes back. start: R_k begin at the
    "identity" or as "random" rotations of uniform law. constraint: "free" matrices, or "orthogonal" ones, kept so by a QR
    retraction of every step's tangent part. strength: of the pull of R_k towards the identity, >= 0. batch: rows of each task in
    a step, drawn with replacement; None means all, and no chance. Moments have no rows to draw. The paper leaves start,
    optimiser, constraint and pull open.

    >>> mtl.AlignmentTraining("adam", n_steps=50, constraint="orthogonal").n_steps
    50
    """

    optimiser: str = eqx.field(default="sgd", static=True)
    n_steps: int = eqx.field(default=200, static=True)
    learning_rate: Array | float = 0.01
    start: str = eqx.field(default="identity", static=True)
    constraint: str = eqx.field(default="free", static=True)
    strength: Array | float = 0.0
    batch: int | None = eqx.field(default=None, static=True)

    def __check_init__(self):
        require_choice(self.optimiser, OPTIMISERS, "optimiser")
        require_choice(self.start, STARTS, "start")
        require_choice(self.constraint, CONSTRAINTS, "constraint")
        whole = lambda value: is_whole(value)
        require(whole(self.n_steps) and self.n_steps >= 0, "n_steps", "a whole number >= 0", repr(self.n_steps), "leave it out")
        right = self.batch is None or (whole(self.batch) and self.batch >= 1)
        require(right, "batch", "a whole number of rows >= 1", repr(self.batch), "leave it out for all rows")
        require_one(self.learning_rate, lambda s: (s > 0) & np.isfinite(s), "learning_rate", "a number > 0", "use 0.01")
        require_one(self.strength, lambda s: (s >= 0) & np.isfinite(s), "strength", "a number >= 0", "use 0")
