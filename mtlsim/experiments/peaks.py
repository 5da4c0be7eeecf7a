"""Which tasks share hidden units: one network on functions IF x_i > 1/2 THEN x_j ELSE x_k of six numbers given as codes.

The pattern, not the numbers, of the text is asked for: outputs use hidden units in a more similar order the more variables their
functions have in common. With labels dealt to other rows, for each output apart, nothing of it may be left.
"""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from mtlsim.core.keys import check_key, normal, stream
from mtlsim.core.linalg import multiply
from mtlsim.core.status import Status, flag
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.legends import bar_entry, legend
from mtlsim.plots.style import MARKERS, SERIES, figure
from mtlsim.training.engine import make_optimiser, move, walk

SHUFFLED, STEPS = "shuffled", "n_steps"
VARIABLES, BITS = 6, 5
EVERY = np.array(list(itertools.permutations(range(VARIABLES), 3)))  # (120, 3): IF, THEN, ELSE
TASKS = EVERY[np.random.default_rng(0).permutation(len(EVERY))[:24]]
COMMON = np.array([[len(set(one) & set(other)) for other in TASKS] for one in TASKS])
SAME_IF = TASKS[:, None, 0] == TASKS[None, :, 0]
PAIRS = {f"common_{count}": np.triu(count == COMMON, 1) for count in range(4)}
PAIRS |= {"same_if": np.triu((COMMON == 1) & SAME_IF, 1), "other_if": np.triu((COMMON == 1) & ~SAME_IF, 1)}
RATE, START = 0.01, 0.3


class PeaksNet(eqx.Module):
    """A cell: 32 sigmoid units on 30 bits (-1 or 1) and a constant learn 24 of the 120 functions from 400 rows, by steps of adam.

    shuffled: 1 deals the labels of every output to other rows. The sensitivity of output k to unit h is |head_kh| times the
    standard deviation of the unit. Returns the mean rank correlation over pairs of outputs of their sensitivities to all units:
    common_0 to common_3, by how many variables both functions use; same_if, other_if, of pairs with one variable in common, where
    it is the IF variable of both or not; rise = common_3 - common_0; loss: mean squared error over the labels' variance, on the
    400 rows.
    """

    shuffled: Array | float = 0.0
    n_steps: int = eqx.field(default=600, static=True)
    n_rows: int = eqx.field(default=400, static=True)
    n_units: int = eqx.field(default=32, static=True)

    def draw(self, key: Key[Array, ""]) -> tuple[Float[Array, "m 31"], Float[Array, "m 24"]]:
        """Codes with a constant, and labels."""
        steps = jax.random.randint(stream(key, "codes"), (self.n_rows * VARIABLES,), 0, 2**BITS).reshape(-1, VARIABLES)
        values = (steps + 0.5) / 2**BITS
        bits = 2.0 * ((steps[..., None] >> jnp.arange(BITS)) & 1).reshape(self.n_rows, -1) - 1
        labels = jnp.where(values[:, TASKS[:, 0]] > 0.5, values[:, TASKS[:, 1]], values[:, TASKS[:, 2]])
        order = jnp.argsort(jax.random.uniform(stream(key, "order"), labels.shape), 0)
        dealt = jnp.take_along_axis(labels, order, 0)
        return jnp.append(bits, jnp.ones((self.n_rows, 1)), 1), jnp.where(self.shuffled > 0, dealt, labels)

    def __call__(self, *, key):
        X, labels = self.draw(check_key(key))
        centred, method = labels - jnp.mean(labels, 0), make_optimiser("adam", RATE)
        sizes = X.shape[1], self.n_units, len(TASKS)
        layer = START * normal(stream(key, "layer"), sizes[:2]) / np.sqrt(sizes[0])
        heads = START * normal(stream(key, "heads"), sizes[1:]) / np.sqrt(sizes[1])
        outputs = lambda params: multiply(jax.nn.sigmoid(multiply(X, params[0])), params[1]) + params[2]
        loss = lambda params: jnp.mean((outputs(params) - centred) ** 2)

        def step(state, t):
            params, memory = state
            return move(method, jax.grad(loss)(params), memory, params), None

        begin = (layer, heads, jnp.zeros(sizes[2]))
        (params, _), _ = walk(step, (begin, method.init(begin)), self.n_steps, 1, lambda state, _: ())
        units = jax.nn.sigmoid(multiply(X, params[0]))
        alike = rank_correlations(jnp.abs(params[1].T) * jnp.std(units, 0))
        found = {name: jnp.sum(jnp.where(pairs, alike, 0)) / pairs.sum() for name, pairs in PAIRS.items()}
        left = loss(params) / jnp.mean(centred**2)
        lost = flag(~jnp.isfinite(left), Status.not_converged)
        return found | {"rise": found["common_3"] - found["common_0"], "loss": left, "status": lost}


def rank_correlations(values: Float[Array, "K h"]) -> Float[Array, "K K"]:
    """Spearman's correlation of every two rows without ties."""
    ranks = jnp.argsort(jnp.argsort(values, 1), 1) - (values.shape[1] - 1) / 2
    return multiply(ranks, ranks.T) / jnp.sum(ranks[0] ** 2)


def setting(options: Options) -> Setting:
    return Setting(PeaksNet(), {SHUFFLED: [0.0, 1.0]}, 4 if options.fast else 24)


def draw(data):
    fig, ((ax,),) = figure(1, 4.8, 3.6)
    labels = {0.0: "as they are", 1.0: "labels dealt to other rows"}
    for i, shuffled in enumerate(data[SHUFFLED].values):
        cells = data.sel({SHUFFLED: shuffled})
        for names, places, line in ((list(PAIRS)[:4], range(4), "-"), (list(PAIRS)[4:], (5, 6), "none")):
            values = np.stack([cells[name].values for name in names])
            error = 1.96 * values.std(1, ddof=1) / np.sqrt(values.shape[1])
            style = {"color": SERIES[i], "marker": MARKERS[i], "markersize": 4, "linewidth": 1, "linestyle": line}
            ax.errorbar(places, values.mean(1), error, label=labels[float(shuffled)] if line == "-" else "_nolegend_", **style)
    ax.axhline(0, color="black", linewidth=0.8)
    ax.set_xticks([0, 1, 2, 3, 5, 6], ["0", "1", "2", "3", "1: IF\nof both", "1: other\nroles"])
    ax.set(xlabel="variables that two functions have in common", ylabel="rank correlation of the sensitivities\nto hidden units")
    bar_entry(ax)
    legend(fig)
    return fig


EXPERIMENT = Experiment(
    "peaks",
    "Outputs of one network use its hidden units the more alike, the more variables their functions have in common.",
    setting,
    draw,
    whole=(SHUFFLED,),
)
