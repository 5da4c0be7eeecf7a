"""A network that overfits, alone and with extra outputs: what these do to its risk at one training loss, and to its best stop."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from mtlsim.core.checks import is_whole, require, require_one
from mtlsim.core.extremes import smallest_of
from mtlsim.core.keys import check_key, stream
from mtlsim.core.status import Status, flag, with_status
from mtlsim.samples.data import draw_rows
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.relu import ReluPopulation, ReluTasks
from mtlsim.training.weighted import WeightedTraining, train_weighted
from mtlsim.weighting._scheme import FixedScheme

STEPS, RATE, START = 800, 0.05, 0.5  # of plain gradient descent
EVERY = 20  # steps between records


class Given(FixedScheme):
    """These weights, fixed."""

    chosen: Float[Array, " K"]

    def decide(self, facts):
        return self.chosen, jnp.zeros((), jnp.int32)


class ExtraOutputs(eqx.Module):
    """A cell: a layer of ReLU units and a head for each output, by full gradient steps on the mean squared errors of n rows.

    The main label is relu(x'theta) + noise, x ~ N(0, I_d). Extra labels are relu(x'theta_k) plus noise of their own on the same
    rows, theta_k of this cosine with theta and orthogonal beyond; or, with extra_signal 0, noise of the same second moment.
    Alone and together have the same rows, start and rate; the extra heads' losses are added with the weight 1.

    extra_noise: by what the noise of extra labels is multiplied; with extra_signal 0, zero makes these outputs always zero.
    outputs: how many of the `n_extra` extra outputs are learned, the first ones. level: the training loss, over noise^2, at which
    risks are compared, or the least one that both sides come to, if that is more. earlier: by what that is multiplied for the
    single task alone. n_units: of the layer.

    Returns, of the main task, at equal training loss: risk_single, risk_multi, exact excess risks, gain = risk_single - risk_multi,
    loss: that of training; and gap_single, gap_multi: mean squared error on new rows minus that of training. Where risk is least
    along training: best_single, best_multi, gain_best = best_single - best_multi, time_single, time_multi (rate times steps),
    later = ln(time_multi / time_single). At the end: end_single, end_multi, gain_end, and trained_single, trained_multi, the
    training losses. status: not_converged where training diverged.
    """

    noise: Array | float = 1.0
    outputs: Array | float = 4.0
    cosine: Array | float = 0.0
    extra_signal: Array | float = 0.0
    level: Array | float = 0.5
    earlier: Array | float = 1.0
    extra_noise: Array | float = 1.0
    n_units: int = eqx.field(default=8, static=True)
    n_samples: int = eqx.field(default=16, static=True)
    n_features: int = eqx.field(default=6, static=True)
    n_extra: int = eqx.field(default=4, static=True)
    n_steps: int = eqx.field(default=STEPS, static=True)

    def __check_init__(self):
        require_one(self.noise, lambda s: (s > 0) & np.isfinite(s), "noise", "a number > 0", "use 1.0")
        for name, default in (("level", 0.5), ("extra_noise", 1.0)):
            require_one(getattr(self, name), lambda s: (s >= 0) & np.isfinite(s), name, "a number >= 0", f"use {default}")
        require_one(self.cosine, lambda c: np.abs(c) <= 1, "cosine", "from -1 to 1", "use 0.9")
        require_one(self.extra_signal, lambda c: (c == 0) | (c == 1), "extra_signal", "0 or 1", "use 0.0")
        require_one(self.earlier, lambda s: (s > 0) & np.isfinite(s), "earlier", "a number > 0", "use 1.0")
        for name, least in (("n_units", 1), ("n_samples", 1), ("n_extra", 1), ("n_features", self.n_extra + 1)):
            value = getattr(self, name)
            require(is_whole(value) and value >= least, name, f"a whole number >= {least}", repr(value), f"use {least}")
        right = is_whole(self.n_steps) and self.n_steps >= EVERY and self.n_steps % EVERY == 0
        require(right, "n_steps", f"a multiple of {EVERY}", repr(self.n_steps), f"use {STEPS}")
        require_one(self.outputs, lambda m: (m >= 0) & (m <= self.n_extra), "outputs", "from 0 to n_extra", f"use {self.n_extra}")

    def population(self, *, key: Key[Array, ""]) -> ReluPopulation:
        """The main task first, then all extra ones; the signal of a label has the second moment 1 / 2."""
        count, cosine = 1 + self.n_extra, jnp.asarray(self.cosine, float)
        parameters = jnp.eye(count, self.n_features) * jnp.sqrt(jnp.maximum(1 - cosine**2, 0))
        parameters = parameters.at[:, 0].set(cosine).at[0].set(jnp.eye(1, self.n_features)[0])
        signal = jnp.asarray(self.extra_signal, float)
        noise = jnp.asarray(self.noise, float)
        plain = ReluTasks(self.n_features, (self.n_samples,) * count, noise=1.0, design=Isotropic(), shared_covariates=True)
        extra = lambda main, others: jnp.full(count, others).at[0].set(main)
        fields = lambda tasks: (tasks.parameters, tasks.noise, tasks.amplitude)
        others = self.extra_noise * jnp.sqrt(noise**2 + (1 - signal) / 2)
        values = parameters, extra(noise, others), extra(1.0, signal)
        return eqx.tree_at(fields, plain.draw(key=key), values)

    def __call__(self, *, key: Key[Array, ""] | None = None) -> dict[str, Array]:
        key = check_key(key)
        tasks = self.population(key=key)
        rows = draw_rows(tasks, key=stream(key, "samples"))
        training = WeightedTraining("sgd", self.n_steps, RATE, START, decay=False, normalized=False)

        def path(outputs):
            """Training loss and risk of the main task along training with so many extra outputs."""
            scheme = Given(1.0 * (jnp.arange(1 + self.n_extra) <= outputs))
            found = train_weighted(rows, scheme, self.n_units, training, stream(key, "solver"), self.n_steps // EVERY).path
            risk = lambda layers: tasks.excess_risk(layers[0], layers[1][0], 0)
            return found.losses[:, 0], jax.lax.map(risk, (found.shared, found.heads))

        losses, risks = jax.lax.map(path, jnp.stack([jnp.zeros(()), jnp.asarray(self.outputs, float)]))
        variance = jnp.asarray(self.noise, float) ** 2
        reached = jax.lax.cummin(losses, axis=1)
        level = jnp.maximum(self.level * variance, jnp.maximum(*reached[:, -1]))
        levels = jnp.maximum(level * jnp.stack([jnp.asarray(self.earlier, float), jnp.ones(())]), reached[:, -1])
        at_loss = jnp.stack([risk_at(*each) for each in zip(levels, reached, risks, strict=True)])
        gaps = at_loss + variance - levels
        stops, best = jnp.argmin(risks, 1), jnp.stack([smallest_of(risk) for risk in risks])
        times = RATE * EVERY * (stops + 1.0)
        lost = ~jnp.all(jnp.isfinite(losses) & jnp.isfinite(risks))
        numbers = {
            "gain": at_loss[0] - at_loss[1],
            "risk_single": at_loss[0],
            "risk_multi": at_loss[1],
            "gap_single": gaps[0],
            "gap_multi": gaps[1],
            "loss": level,
            "best_single": best[0],
            "best_multi": best[1],
            "gain_best": best[0] - best[1],
            "time_single": times[0],
            "time_multi": times[1],
            "later": jnp.log(times[1] / times[0]),
            "end_single": risks[0, -1],
            "end_multi": risks[1, -1],
            "gain_end": risks[0, -1] - risks[1, -1],
            "trained_single": losses[0, -1],
            "trained_multi": losses[1, -1],
        }
        numbers = {name: jnp.where(lost, jnp.nan, value) for name, value in numbers.items()}
        return with_status(numbers, flag(lost, Status.not_converged))


def risk_at(level: Float[Array, ""], losses: Float[Array, " T"], risks: Float[Array, " T"]) -> Float[Array, ""]:
    """Risk where falling training losses come to this level: between two records, linear in the loss; else at the first record."""
    after = jnp.argmax(losses <= level)
    before = jnp.maximum(after - 1, 0)
    fall = losses[before] - losses[after]
    share = jnp.clip(jnp.where(fall > 0, (losses[before] - level) / jnp.where(fall > 0, fall, 1), 1.0), 0, 1)
    return risks[before] + share * (risks[after] - risks[before])
