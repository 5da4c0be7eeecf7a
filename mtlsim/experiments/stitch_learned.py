"""What stitches, gates and masks become as tasks grow alike, beside the best amount that is held throughout."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mtlsim.cells.network import held_out_risk
from mtlsim.core.keys import check_key, normal, stream
from mtlsim.core.linalg import multiply
from mtlsim.core.verdict import half_width
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.legends import band_entry, legend
from mtlsim.plots.predictions import DASHES
from mtlsim.plots.style import MARKERS, SERIES, figure
from mtlsim.samples.data import draw_rows
from mtlsim.sharing._sharing import Sharing
from mtlsim.sharing.attention import Masked, MultiTaskAttention
from mtlsim.sharing.cross_stitch import CrossStitch, Stitched
from mtlsim.sharing.mixture_of_experts import Experts, MixtureOfExperts
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.relu import ReluTasks
from mtlsim.training.shared import train_shared
from mtlsim.training.weighted import WeightedTraining

COSINE, ARCHITECTURE = "cosine", "architecture"
ROWS, N_FEATURES, NOISE, UNITS, RATE, N_STEPS, N_LOOKED_AT = (100, 30), 10, 0.5, 2, 0.05, 2000, 500
ALONE = "held at 0"
LEARNED: dict[str, Sharing] = {
    "stitches": CrossStitch(),
    "stitches, 20 times the rate": CrossStitch(rate=20.0),
    "experts": MixtureOfExperts(1, 1),
    "masks": MultiTaskAttention(),
}
HELD: dict[str, Sharing] = {
    f"held at {taken:g}": CrossStitch(1.0 - taken, rate=0.0) for taken in (0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
}
PANELS = {  # title, label of its axis
    "stitches": ("stitches", "read from the other task's units (share)"),
    "experts": ("experts", "gate on the shared expert (mean)"),
    "masks": ("masks", "distance of the tasks' masks (mean)"),
}


class LearnedAmounts(eqx.Module):
    """A cell: two ReLU tasks, 100 source and 30 target rows of 10 features, noise 0.5, two units, after 2000 plain steps of 0.05.

    architecture: one of `LEARNED` or `HELD`, stitches whose amounts stay as they start. It returns the target's risk and the
    `amount` that `amount_of` reads off.
    """

    cosine: Array | float = 0.8
    architecture: str = eqx.field(default="stitches", static=True)

    def __call__(self, *, key) -> dict[str, Float[Array, ""]]:
        key = check_key(key)
        recipe = ReluTasks(N_FEATURES, ROWS, cosine=self.cosine, noise=NOISE, design=Isotropic(), relation="same")
        tasks, sharing = recipe.draw(key=key), (LEARNED | HELD)[self.architecture]
        training = WeightedTraining("sgd", N_STEPS, RATE, decay=False)
        rows = draw_rows(tasks, key=stream(key, "samples"))
        found = train_shared(rows, sharing, UNITS, jnp.ones(2), training, stream(key, "solver"), "relu")
        learned = lambda X: sharing.outputs(found.params, X, 1, jax.nn.relu)
        X = normal(stream(key, "looked at"), (N_LOOKED_AT, N_FEATURES))
        return {"risk": held_out_risk(tasks, learned, 1, key), "amount": amount_of(found.params, X)}


def amount_of(params: Stitched | Experts | Masked, X: Float[Array, "m d"]) -> Float[Array, ""]:
    """What was learned of sharing between two tasks, read off on rows X.

    Stitches: the size of what the target reads of the other's units, over the sum with its own. Experts: its mean gate on the
    shared one. Masks: mean distance of both tasks' masks, 0 where they are one.
    """
    if isinstance(params, Stitched):
        units = jax.nn.relu(jnp.einsum("md,kdr->kmr", X, params.columns, precision="highest"))
        said = params.amounts[1][:, None] * multiply(units, params.heads[1])
        sizes = jnp.sqrt(jnp.mean(said**2, 1))
        return sizes[0] / jnp.sum(sizes)
    if isinstance(params, Experts):
        (level,) = params.levels
        return jnp.mean(jax.nn.softmax(multiply(X, level.gates[1]) + level.offsets[1], -1)[:, 0])
    features = jax.nn.relu(multiply(X, params.columns[0]))
    hidden = jax.nn.relu(jnp.einsum("mr,krq->kmq", features, params.hidden[0], precision="highest"))
    masks = jax.nn.sigmoid(jnp.einsum("kmq,kqr->kmr", hidden, params.masks[0], precision="highest"))
    return jnp.mean(jnp.abs(masks[0] - masks[1]))


def setting(options: Options) -> Setting:
    cosines = [-0.5, 0.5, 1.0] if options.fast else [-0.5, 0.0, 0.5, 0.8, 1.0]
    return Setting(LearnedAmounts(), {ARCHITECTURE: [*LEARNED, *HELD], COSINE: cosines}, 30 if options.fast else 60)


def draw(data):
    """What each learns, the best held amount among those tried, and what all gain over columns of their own."""
    fig, axes = figure(4, 3.0, 3.1)
    every = dict(zip(PANELS, axes[0], strict=False))
    style = {
        name: {"color": color, "marker": marker, "markersize": 4}
        for name, color, marker in zip([*LEARNED, "best amount held"], SERIES, MARKERS, strict=False)
    }
    style["best amount held"] |= {"color": "black", "linestyle": DASHES}
    x = data[COSINE].values

    def line(ax, values, name):
        """Mean over seeds with its interval."""
        mean, half = values.mean(-1), half_width(values.std(-1, ddof=1) / np.sqrt(values.shape[-1]), values.shape[-1])
        ax.fill_between(x, mean - half, mean + half, color=style[name]["color"], alpha=0.22, linewidth=0)
        ax.plot(x, mean, label=name, **style[name])

    of = lambda field, name: data[field].sel({ARCHITECTURE: name}).transpose(COSINE, "seed").values
    risks = np.stack([of("risk", name) for name in HELD])
    best = risks[..., ::2].mean(-1).argmin(0)  # chosen on half of the seeds and measured on the others: a choice flatters itself
    alone, amounts = of("risk", ALONE), np.array([of("amount", name).mean(-1) for name in HELD])
    for name in LEARNED:
        line(every[name.partition(",")[0]], of("amount", name), name)
        line(axes[0][-1], alone - of("risk", name), name)
    every["stitches"].plot(x, amounts[best, range(len(x))], label="best amount held", **style["best amount held"])
    line(axes[0][-1], (alone - risks[best, range(len(x))])[:, 1::2], "best amount held")
    for name, ax in every.items():
        ax.set_title(PANELS[name][0])
        ax.set_ylabel(PANELS[name][1])
        ax.set_ylim(0, {"stitches": 0.55, "experts": 0.55}.get(name))
    axes[0][-1].axhline(0, color="0.5", linewidth=0.8)
    axes[0][-1].set_title("what it is worth")
    axes[0][-1].set_ylabel("gain over columns of one's own\n(risk; positive helps)")
    for ax in axes[0]:
        ax.set_xlabel("cosine of the tasks' parameters")
    band_entry(axes[0][0])
    legend(fig, "outside lower center", 5)
    return fig


EXPERIMENT = Experiment(
    "stitch-learned",
    "As tasks grow alike, learned stitches open less than half as far as the best ones held throughout, and gain less.",
    setting,
    draw,
    along=(COSINE,),
    whole=(ARCHITECTURE,),
)
