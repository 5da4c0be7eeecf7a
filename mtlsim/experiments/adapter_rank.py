"""Risk of a low-rank adapter over its rank: the law, simulation, and full fine-tuning, for few, some and many rows."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.legends import legend
from mtlsim.plots.predictions import DASHES
from mtlsim.plots.style import SERIES, figure
from mtlsim.theory.statements.sequential_adapter import ABOVE, AdaptedTask, adapt, adapter_risk

ROWS, RANK = "n_samples", "rank"
STRENGTHS = (3.0, 2.0, 1.0, 0.15, 0.1)
FEATURES, OUTPUTS = 40, 10


class AdapterGain(eqx.Module):
    """A cell: what an adapter of that rank on a frozen base saves of the risk of full fine-tuning; noise one per output.

    40 features, 10 outputs, and a task whose difference from the base has singular values 3, 2, 1, .15 and .1.
    """

    n_samples: Array | float = 400.0
    rank: Array | float = 1.0

    def __call__(self, *, key):
        task = AdaptedTask(jnp.asarray(STRENGTHS), self.n_samples, 1.0, 1, FEATURES, OUTPUTS)
        difference, seen = task.draw(key=key)
        risk, full = (jnp.sum((found - difference) ** 2) for found in (adapt(seen, self.rank), seen))
        return {"gain": full - risk, "risk_single": full, "risk_multi": risk, "status": jnp.zeros((), jnp.int32)}


def setting(options: Options) -> Setting:
    ranks = [0.0, 1.0, 2.0, 3.0, 4.0, 7.0, 10.0] if options.fast else np.arange(OUTPUTS + 1.0).tolist()
    return Setting(AdapterGain(), {ROWS: [50.0, 400.0, 3200.0], RANK: ranks}, 40 if options.fast else 400)


def draw(data):
    fig, (axes,) = figure(data.sizes[ROWS], 2.9, 3.5)
    ranks, strengths = data[RANK].values, jnp.asarray(STRENGTHS)
    for ax, n in zip(axes, data[ROWS].values, strict=True):
        at = data.sel({ROWS: n})
        risk, full = at["risk_multi"].values, float(at["risk_single"].mean())
        law = np.array([float(adapter_risk(strengths, 1 / n, int(q), FEATURES, OUTPUTS)) for q in range(OUTPUTS + 1)])
        n_above = sum(s**2 > ABOVE * (FEATURES + OUTPUTS) / n for s in STRENGTHS)
        # a mode beyond those above the noise is fitted to the noise
        ax.plot(range(n_above + 1), law[: n_above + 1], color="black", label="law, modes above the noise")
        ax.plot(range(n_above, OUTPUTS + 1), law[n_above:], color="black", linestyle=DASHES, label="its formula, other modes")
        error = 1.96 * risk.std(-1, ddof=1) / np.sqrt(risk.shape[-1])
        ax.errorbar(ranks, risk.mean(-1), error, fmt="o", color=SERIES[0], capsize=2, label="simulation (95 %)")
        ax.axhline(full, color=SERIES[1], linestyle=":", label="full fine-tuning")
        ax.set_yscale("log")
        ax.set_xticks(range(0, OUTPUTS + 1, 2))
        ax.set_xlabel("rank of the adapter")
        ax.set_title(f"{n:g} rows")
    axes[0].set_ylabel("risk above the noise\n(lower is better)")
    legend(fig, "outside lower center", 4)
    return fig


EXPERIMENT = Experiment(
    "adapter-rank",
    "An adapter beats full fine-tuning where it leaves out less than the noise it saves, and its best rank grows with the rows.",
    setting,
    draw,
    along=(RANK,),
)
