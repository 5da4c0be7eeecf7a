"""Statistical data amplification: tasks of one function on the same rows, each with noise of its own, average that noise out.

The shared direction is estimated from K labels a row, so that of the d - 1 parts of the error across it only a K-th is left; the
part along it, the scale, is the task's own head and stays (see `amplified-direction`). With one noise for all nothing is new.

Source: [caruana1997multitask], Section 3.
"""

import math

from mtlsim.cells.orthonormal_rows import OrthonormalRows
from mtlsim.mechanisms._mechanism import Dose, Mechanism

NOISE = 1.0

MECHANISM = Mechanism(
    name="statistical-data-amplification",
    claim="Tasks of the same function with independent noise are as good as more rows for what they share.",
    source=("caruana1997multitask",),
    cell=OrthonormalRows(noise=NOISE, cosine=1.0, n_extra=3),
    effect={"n_samples": 1000.0},
    dose=Dose("correlation", (0.0, 0.3, 0.6, 0.8, 1.0), -1),
    controls={
        "one noise for all tasks": {"correlation": 1.0},
        "extra labels dealt to other rows": {"extra_size": 0.0, "extra_noise": math.sqrt(1 + NOISE**-2)},
    },
    opponent=("shrinkage", (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0)),
    mediator="direction",
    beyond="scale",
    harm={"cosine": (-1.0, -0.5, 0.0, 0.5, 0.9, 0.95, 1.0), "n_samples": (20.0, 100.0, 1000.0)},
    n_seeds=2000,
    says="Sample size is amplified by the extra signals of related tasks whose noise is independent: their average is less noisy.",
    inferred="The model (orthonormal rows, one direction), and what of the error is amplified.",
    known=("amplified-direction",),
)
