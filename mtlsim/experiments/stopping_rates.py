"""A rate for each task: what one common stop costs over how rates follow the tasks' own stops, with nothing shared and with all."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.cells.stopped_flow import StoppedFlow
from mtlsim.core.extremes import smallest_of
from mtlsim.core.flow import follow
from mtlsim.core.keys import check_key, normal, stream
from mtlsim.core.linalg import multiply
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.legends import bar_entry, legend
from mtlsim.plots.style import MARKERS, SERIES, figure

EXPONENT, NOISE = "rate_exponent", "second_noise"
START, LONG, STEPS = 0.1, 30.0, 600  # of the shared flow, whose time is in units of the first task's rate


class CommonStop(eqx.Module):
    """A cell: two tasks of one function on 40 orthonormal rows of 20 features each, noise one and `second_noise`, along gradient
    flows at the rates of `StoppedFlow`.

    Returns cost_apart: of one common stop, with nothing shared, expected (exact). With one shared direction B and heads a_k, the
    flow of sum_k rate_k |theta^_k - a_k B|^2 / 2 from small B and equal heads: risk, the least sum of both risks at one time, gain,
    by how much that is less than at equal rates, and cost, by how much the stops that are best for each would lower it further.
    """

    rate_exponent: Array | float = 0.0
    second_noise: Array | float = 3.0

    def __call__(self, *, key):
        flow = StoppedFlow(40.0, 1.0, self.second_noise, self.rate_exponent)
        own, common, rates = flow.times()
        variances = flow.variances()
        at = lambda times: jnp.sum(jnp.exp(-2 * rates * times) + (1 - jnp.exp(-rates * times)) ** 2 * variances)
        d = flow.n_features
        theta = jnp.eye(1, d)[0]
        seen = theta + jnp.sqrt(variances / d)[:, None] * normal(stream(check_key(key), "noise"), (2, d))
        begin = START * jnp.append(normal(stream(key, "start"), (d,)) / np.sqrt(d), jnp.ones(2))

        def risks(rates):
            def slopes(state):
                layer, heads = state[:d], state[d:]
                errors = rates[:, None] * (seen - heads[:, None] * layer)
                return jnp.append(multiply(heads, errors), multiply(errors, layer))

            _, path = follow(slopes, begin, LONG, STEPS)
            return jnp.sum((path[:, d:, None] * path[:, None, :d] - theta) ** 2, -1)

        chosen, equal = risks(rates / rates[0]), risks(jnp.ones(2))
        together, before = smallest_of(jnp.sum(chosen, 1)), smallest_of(jnp.sum(equal, 1))
        return {
            "cost_apart": at(common) - at(own),
            "cost": together - jnp.sum(smallest_of(chosen, axis=0)),
            "gain": before - together,
            "risk": together,
        }


def setting(options: Options) -> Setting:
    exponents = [-1.0, 0.0, 1.0, 2.0] if options.fast else np.linspace(-1, 2, 7).round(6).tolist()
    return Setting(CommonStop(), {NOISE: [1.0, 2.0, 4.0], EXPONENT: exponents}, 60 if options.fast else 200)


def draw(data):
    fig, (axes,) = figure(3, 3.1, 3.3)
    xs, count = data[EXPONENT].values, data.sizes["seed"]
    panels = {
        "cost_apart": ("nothing shared", "cost of one stop for both"),
        "cost": ("one shared direction", "cost of one stop for both"),
        "risk": ("one shared direction", "risk of both at their best common stop"),
    }
    for ax, (name, (title, label)) in zip(axes, panels.items(), strict=True):
        for i, noise in enumerate(data[NOISE].values):
            values = data[name].sel({NOISE: noise})
            error = 1.96 * values.std("seed").values / np.sqrt(count)
            style = {"color": SERIES[i], "marker": MARKERS[i], "markersize": 4, "linewidth": 1}
            ax.errorbar(xs, values.mean("seed"), error, label=f"second task's noise {noise:g}", **style)
        for place, words in ((0, "equal rates"), (1, "rates by the tasks' own stops")):
            ax.axvline(place, color="0.5", linestyle=(":", "--")[place], linewidth=0.9, label=words)
        ax.set(xlabel="exponent of the rates", title=title, ylabel=f"{label}\n(lower is better)")
        ax.set_ylim(-0.03 * ax.get_ylim()[1], None)  # marks at zero are seen whole
    bar_entry(axes[1])
    legend(fig, "outside lower center", 3)
    return fig


EXPERIMENT = Experiment(
    "stopping-rates",
    "Rates that let tasks peak together make one stop cost nothing where nothing is shared; on a shared layer they lower the risk, "
    "yet a stop for each still lowers it further.",
    setting,
    draw,
    along=(EXPONENT,),
)
