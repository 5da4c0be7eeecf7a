"""Overfitting prevention: labels of pure noise, learned beside the main task, lower its risk where its signal is weak.

Least squares of the noise task turn the best direction away from those of the main task, which keeps v_0^2 < 1 of them: it is
shrunk. So it helps where shrinking does (n |theta|^2 / (d noise^2) < 1, see `noise-task`), and at its best a single task that is
simply multiplied by a number does better.

Source: [caruana1997multitask], Section 3.
"""

from mtlsim.cells.orthonormal_rows import OrthonormalRows
from mtlsim.mechanisms._mechanism import Dose, Mechanism

MECHANISM = Mechanism(
    name="overfitting-prevention",
    claim="Extra tasks of pure noise regularise the main task better than a single task can be regularised.",
    source=("caruana1997multitask",),
    cell=OrthonormalRows(extra_size=0.0, n_extra=1),
    effect={"n_samples": 10.0},
    dose=Dose("n_samples", (4.0, 8.0, 14.0, 20.0, 30.0), -1),
    controls={
        "a copy of the main task, noise and all": {"extra_size": 1.0, "cosine": 1.0, "correlation": 1.0},
        "a noise task of a tenth of the noise": {"extra_noise": 0.1},
    },
    opponent=("shrinkage", (0.1, 0.2, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)),
    mediator="shrunk",
    beyond="beyond_shrinking",
    harm={"n_samples": (10.0, 20.0, 30.0, 60.0, 200.0, 2000.0), "extra_size": (0.0, 1.0)},
    n_seeds=8000,
    expected="refuted",
    says="Extra tasks may act as noise does, and so keep a net from overfitting; it is named as an explanation to be ruled out.",
    inferred="Noise tasks on orthonormal rows under one shared direction, and a number that multiplies least squares beside them.",
    known=("noise-task", "noise-task-sign"),
)
