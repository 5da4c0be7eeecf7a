"""Losses over what they were before the first step."""

from mtlsim.weighting._scheme import FLOOR, Example, Facts, FixedScheme, Signals, above


class InitialLoss(FixedScheme):
    """w_k = 1 / L_k(0), fixed. Rescaling L_k changes nothing; adding a constant to it does. With heads of zero L_k(0) = E y^2."""

    def decide(self, facts):
        losses, n_floored = above(facts.losses, FLOOR)
        return 1 / losses, n_floored


SCHEME = InitialLoss
SEEN = Signals([0.1, 5.0], [[1.0, 0.0], [0.0, 9.0]], 0)
CONFORMANCE = (Example(InitialLoss(), Facts([0.5, 4.0], [1.0, 1.0]), [SEEN, SEEN._replace(step=1)], [[2.0, 0.25]] * 2),)
