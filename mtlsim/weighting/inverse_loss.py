"""Losses over what they are now: the descent of their geometric mean."""

from mtlsim.weighting._scheme import Example, Facts, Scheme, Signals, above, floor_of


class InverseLoss(Scheme):
    """w_k(t) = 1 / L_k(t): the gradient of sum_k log L_k.

    The geometric mean G of the losses [chennupati2019multinet] (venue and equation to be verified) has the same direction,
    grad G = (G / K) sum_k grad L_k / L_k, and another step length. A loss that tends to noise sigma^2 gets the weight of maximum
    likelihood, 1 / sigma^2; one that reaches zero meets the floor.
    """

    def init(self, facts):
        return floor_of(facts.losses)

    def weights(self, signals, state):
        losses, n_floored = above(signals.losses, state)
        return 1 / losses, state, n_floored


SCHEME = InverseLoss
SEEN = Signals([0.5, 8.0], [[1.0, 0.0], [0.0, 9.0]], 0)
CONFORMANCE = (
    Example(InverseLoss(), Facts([1.0, 1.0], [1.0, 1.0]), [SEEN, SEEN._replace(losses=[0.25, 10.0])], [[2.0, 0.125], [4.0, 0.1]]),
)
