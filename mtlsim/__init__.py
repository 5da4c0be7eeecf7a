"""mtlsim: when does learning tasks together help, and when does it hurt?

The README is the place to begin; `mtlsim glossary` says what the words mean. Of each package the docstring says what it does.
Examples presuppose `import jax`, `import numpy as np` and `import mtlsim as mtl`, in float64 (`mtlsim.launcher.prepare()`).

## How it is built

```text
tasks -> samples (Moments) -> solvers, sharing, training -> cells (gain) -> sweeps -> results (xarray.Dataset, verdicts) -> plots
  +-> theory (predicted risk, sign, bound) ----------------------------------------------^------- verification -> report
```

| Floor | Room | What lives there |
|---|---|---|
| 0 | `mtlsim.core` | linear algebra, statuses, checks, random streams, registry; the mean gain with its interval and the verdict on it |
| 0 | `mtlsim.glossary`, `mtlsim.citations` | the words, one sentence each; the references |
| 1 | `mtlsim.tasks` | recipes of linear, ReLU and classification tasks; covariance designs; how a source's covariance relates to the target's |
| 2 | `mtlsim.samples`, `mtlsim.similarity` | `Data` and `Moments`, drawn or accumulated; similarity scores |
| 3 | `mtlsim.weighting` | one file per task-weighting scheme, with its equation and its examples worked by hand |
| 3 | `mtlsim.solvers` | exact optima, one file per route; `solve` picks one and names it |
| 3 | `mtlsim.sharing` | what is shared, one file per architecture: its equation, where its best is known, its reductions and examples |
| 3 | `mtlsim.training` | one engine of gradient steps, for networks, schemes of weights, architectures and alignment matrices; `fit` |
| 3 | `mtlsim.alignment` | alignment matrices before a shared module: by gradient steps, and in closed form |
| 4 | `mtlsim.cells` | one file per cell: two ways of learning on the same draw, and what the second gains |
| 4 | `mtlsim.arrays` | the same for rows and labels in files and frames: what comes in, how it is split, what is measured |
| 5 | `mtlsim.theory` | one file per statement: assumptions, prediction, measurement, source; the high-dimensional predictor |
| 6 | `mtlsim.results` | what a sweep is: its axes, plan and settings, what is kept on disk, and what can be said of it |
| 6 | `mtlsim.sweeps` | schedule, execution here or elsewhere, boundaries, predictions: the only place that vmaps, chunks and shards |
| 7 | `mtlsim.plots` | style, curves, maps, predictions, diagrams: a Dataset in, a figure out |
| 7 | `mtlsim.pages` | pages of one file, which any browser shows without a network: a sweep with sliders, and the lesson |
| 8 | `mtlsim.mechanisms` | one file per explanation of why sharing helps: its cell, effect, dose, controls, opponent and mediator; the clauses |
| 8 | `mtlsim.verification` | statements over random instances, to verdicts and a report; the search for counterexamples |
| 9 | `mtlsim.experiments` | one file per figure: its cell, its grid, its picture, its claim |
| 10 | `mtlsim.commands` | what the command line can do, one class per command |
| 11 | `mtlsim.cli` | the command line; `launcher.py` sets the environment, `doctor.py` checks it |

A floor imports only floors below it, and no module needs itself (`tests/test_architecture.py` keeps it so). `results/`, `sweeps/`
and `plots/` know a cell only as a callable of a key: of the floors 1 to 5 they import nothing. Everything left of `sweeps` is a
pure function of a key and a pytree: `jit`, `vmap` and `grad` work on it, parameters are traced, and one program serves all
values. A new theorem is one new file in `theory/statements/`, a new experiment one in `experiments/`, a new architecture one in
`sharing/`, a new mechanism one in `mechanisms/`; a new covariance design is one class in `tasks/covariance.py`.

Public names stand in `__init__.pyi` and are loaded on first use, so that importing the package (and `mtlsim --help`) stays quick.
"""  # noqa: E501

from pathlib import Path

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, _names = lazy_loader.attach_stub(__name__, __file__)
__all__ = [name for name in _names if not Path(__file__).with_name(name).is_dir()]  # but for the rooms
