"""Losses over what the best constant prediction would lose."""

from mtlsim.weighting._scheme import FLOOR, Example, Facts, FixedScheme, Signals, above


class Prior(FixedScheme):
    """w_k = 1 / Var(y_k), fixed. Constant labels have none: their weight stops at the floor, and is counted.

    Moments hold no sums of labels: of moments, the variance is y'y / n, as if labels had mean zero (drawn linear tasks do).
    """

    def decide(self, facts):
        variances, n_floored = above(facts.variances, FLOOR)
        return 1 / variances, n_floored


SCHEME = Prior
SEEN = Signals([0.1, 5.0], [[1.0, 0.0], [0.0, 9.0]], 0)
CONFORMANCE = (Example(Prior(), Facts([7.0, 7.0], [0.25, 2.0]), [SEEN], [[4.0, 0.5]]),)
