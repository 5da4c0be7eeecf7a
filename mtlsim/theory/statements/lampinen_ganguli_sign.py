"""Whether a second task helps an early-stopped deep linear network: the sign of the benefit in `lampinen_ganguli`.

The benefit, the smallest error alone minus the smallest error together, is not monotone in the overlap of the two tasks: weakly
aligned tasks can hurt more than orthogonal ones [lampinen2019analytic].
"""

import numpy as np

from mtlsim.theory.statement import INSIDE, Statement, drawn_until
from mtlsim.theory.statements import lampinen_ganguli as errors
from mtlsim.theory.statements.lampinen_ganguli import TwoTeachers, transfer_benefit

DECIDED = 0.03  # a predicted benefit beyond this stands above what the limit leaves out at these sizes


def assume(case, key):
    return {**errors.assume(case, key), "a benefit beyond the error of the limit": abs(transfer_benefit(case)) - DECIDED}


def predict(case, key):
    return {"benefit": transfer_benefit(case)}


def measure(case, key):
    measured = errors.measure(case, key)
    return {"benefit": measured["error_single"] - measured["error_joint"]}


@drawn_until(lambda case: abs(float(transfer_benefit(case))) > 1.2 * DECIDED)
def instance(place: str, rng: np.random.Generator) -> TwoTeachers:
    return errors.resized(errors.instance(place, rng))


STATEMENT = Statement(
    name="lampinen-ganguli-sign",
    claim="Whether a second task helps an early-stopped deep linear network follows from both strengths and the overlap.",
    source=("lampinen2019analytic",),
    kind="sign",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    places=(INSIDE,),
    says="Whether a second task helps depends on both strengths and their overlap, and weakly aligned tasks can hurt.",
    proves="Not judged: its derivation was not read.",
    inferred="The benefit beyond which its sign must be seen at these sizes.",
)
