"""Small files that run and explain themselves, one for each kind of thing that a user may bring; NAME and TITLE are filled in."""

STATEMENT = '''"""NAME: say in one sentence what you claim, and below what you predict; `mtlsim verify FILE` tests it."""

import jax.numpy as jnp

from mtlsim import LinearTasks, Transfer
from mtlsim.theory.statement import Cells, Statement, gaussian_rows, measured, tasks_of


def instance(place, rng) -> Transfer:
    """A random cell in which the claim must hold ("inside"), and one that breaks an assumption ("outside")."""
    d, rows = 6, (int(rng.integers(10, 60)), int(rng.integers(12, 40)))
    cosine = 0.5 if place == "outside" else 1.0
    tasks = LinearTasks(d, rows, cosine=cosine, noise=float(rng.uniform(0.5, 2)), relation="same")
    return Transfer(tasks, sharing="pooled")


def assume(cell, key):
    """What must hold: a sentence and its margin, positive where it does."""
    tasks = tasks_of(cell, key)
    apart = jnp.sum((tasks.parameters[0] - tasks.parameters[-1]) ** 2)
    return {
        "Gaussian rows of their own for each task": gaussian_rows(cell),
        "more rows than features + 1": jnp.sum(tasks.n_samples) - tasks.n_features - 1.5,
        "equal parameters": 1e-9 - apart,
        "equal noise": 1e-9 - jnp.abs(tasks.noise[0] - tasks.noise[-1]),
    }


def predict(cell, key):
    """The predicted numbers, by name; the same names are measured."""
    tasks = tasks_of(cell, key)
    n, d = jnp.sum(tasks.n_samples), tasks.n_features
    return {"risk_multi": tasks.noise[-1] ** 2 * d / (n - d - 1)}


STATEMENT = Statement(
    name="NAME",
    claim="Two tasks of one parameter, pooled, are one task of all their rows.",
    source=("derived",),
    kind="equality",  # or limit, identity, bound, sign: see mtlsim.theory.statement.KINDS
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("risk_multi"),
    cells=Cells(sharing="pooled", n_tasks=2),
    places=("inside", "outside"),
)
'''

CELL = '''"""NAME: a cell of your own, any function of a key; kind = "FILE:TITLE" in a TOML file, or mtlsim.sweep(TITLE(), ...)."""

import equinox as eqx
import jax
from jaxtyping import Array

import mtlsim as mtl


class TITLE(eqx.Module):
    """Its fields are what a grid can sweep. What it returns is kept by name; `gain` gets intervals and signs: positive helps."""

    cosine: Array | float = 0.8
    noise: Array | float = 1.0

    def __call__(self, *, key):
        tasks = mtl.LinearTasks(10, (100, 30), cosine=self.cosine, noise=self.noise)
        draw = mtl.Transfer(tasks, sharing="soft")(key=key)
        return {"gain": draw.gain, "risk_single": draw.risk_single, "risk_multi": draw.risk_multi}


if __name__ == "__main__":
    print(mtl.sweep(TITLE(), {"cosine": [0.0, 0.5, 1.0]}, 100, jax.random.key(0)).gain_mean.values)
'''

SHARING = '''"""NAME: an architecture of your own, used as sharing="FILE" in mtlsim.fit, Transfer and TOML files."""

import jax.numpy as jnp
from jaxtyping import Array

from mtlsim.sharing._sharing import MixedSharing
from mtlsim.solvers.mixed import Mixing


class TITLE(MixedSharing):
    """f_k(x) = x'(b_0 + size b_k): a common column and one of the task's own, the latter `size` times as cheap to use.

    Columns mixed in fixed amounts are solved exactly. For others write exact(problem), or init, outputs and owned: see hard.py.
    """

    size: Array | float = 0.5
    decay: Array | float = 1.0

    def mixing(self, n_tasks):
        """amounts (C, K): what each of K tasks takes of each of C columns; ridge (C,): of the columns."""
        amounts = jnp.concatenate([jnp.ones((1, n_tasks)), self.size * jnp.eye(n_tasks)])
        return Mixing(amounts, jnp.full(n_tasks + 1, self.decay, float))


SHARING = TITLE
REDUCTIONS = ()
EXAMPLES = ()
'''

SCHEME = '''"""NAME: a weighting scheme of your own, used as scheme="FILE" in mtlsim.Weighting and TOML files."""

from mtlsim.weighting import Scheme


class TITLE(Scheme):
    """w_k(t) = L_k(t) / sum_l L_l(t): what is still badly fitted counts more."""

    def init(self, facts):
        """What it remembers from step to step; facts: the losses before training, and more."""
        return ()

    def weights(self, signals, state):
        """Weights (K,), what it remembers, and how many floors fired; signals: losses (K,), gram (K, K) of gradients, step."""
        return signals.losses / signals.losses.sum(), state, 0


SCHEME = TITLE
CONFORMANCE = ()
'''

EXPERIMENT = '''"""NAME: a figure of your own; `mtlsim figure FILE` makes the picture and its data."""

from mtlsim import LinearTasks, Transfer
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import transfer_curve

ROWS = "tasks.n_samples[0]"


def setting(options: Options) -> Setting:
    """The cell, the grid and the seeds; fewer points and seeds where options.fast, never fewer curves."""
    rows = [20, 200, 2000] if options.fast else [10, 30, 100, 300, 1000, 3000]
    return Setting(Transfer(LinearTasks(20, (100, 40), cosine=0.8)), {ROWS: rows}, 20 if options.fast else 200)


def draw(data):
    """A matplotlib figure of an xarray.Dataset."""
    return transfer_curve(data, ROWS)


EXPERIMENT = Experiment("NAME", "Say in one sentence what the figure shows.", setting, draw, along=(ROWS,))
'''

MECHANISM = '''"""NAME: why you think sharing helps, made so that it can fail; `mtlsim verify FILE` tries it."""

import equinox as eqx
from jaxtyping import Array

from mtlsim.cells.orthonormal_rows import OrthonormalRows
from mtlsim.mechanisms import Dose, Mechanism


class TITLE(eqx.Module):
    """A cell whose draws hold `gain`, the effect, and the number by which it is said to come, positive as you claim."""

    cosine: Array | float = 1.0
    correlation: Array | float = 0.0
    shrinkage: Array | float = 1.0  # which only the single task sees

    def __call__(self, *, key):
        cell = OrthonormalRows(1000.0, cosine=self.cosine, correlation=self.correlation, shrinkage=self.shrinkage)
        draw = cell(key=key)
        return {"gain": draw["gain"], "direction": draw["direction"]}


MECHANISM = Mechanism(
    name="NAME",
    claim="A second task of the same function helps by averaging the direction.",
    source=("derived",),
    cell=TITLE(),
    effect={"correlation": 0.0},
    dose=Dose("correlation", (0.0, 0.3, 0.6, 1.0), -1),  # what the effect must fall with
    controls={"one noise for both": {"correlation": 1.0}},  # what must remove it
    opponent=("shrinkage", (0.8, 0.9, 0.95, 0.98, 1.0)),  # what the single task may choose
    mediator="direction",
    harm={"cosine": (0.0, 0.5, 0.9, 1.0)},  # where it may hurt
    n_seeds=1000,
)
'''

TEMPLATES = {
    "statement": STATEMENT,
    "cell": CELL,
    "sharing": SHARING,
    "scheme": SCHEME,
    "experiment": EXPERIMENT,
    "mechanism": MECHANISM,
}


def written(kind: str, name: str) -> tuple[str, str]:
    """(file name, text) of a new thing."""
    stem = name.replace("-", "_").replace(" ", "_").lower()
    title = "".join(part.capitalize() for part in stem.split("_"))
    filled = TEMPLATES[kind].replace("TITLE", title).replace("NAME", stem.replace("_", "-")).replace("FILE", f"{stem}.py")
    return f"{stem}.py", filled
