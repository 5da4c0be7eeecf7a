"""The words of this field and of this package, one sentence each: for the notebooks, the command line and the pages.

`GLOSSARY` is a plain dict, in the order in which a newcomer needs the words; every sentence uses only words before it, or plain
ones.
"""

import reprlib
import textwrap

from mtlsim.core.checks import nearest, require

GLOSSARY = {
    # what is learned
    "task": "One thing to be learned from examples: rows of features with a label each, and the rule by which labels follow them.",
    "target": "The task whose predictions count; here always the last one.",
    "source": "A task that is learned beside the target in the hope that it helps; here all tasks but the last one.",
    "parameters": "The numbers theta of a task's true rule: in a linear task a label is x'theta plus noise.",
    "noise": "The standard deviation of what a label holds beyond its rule, which no learner can predict.",
    "draw": "One random set of tasks, rows and labels; everything in one draw follows from one random seed.",
    "moments": "The sums X'X and X'y over a task's rows: all that a linear learner can know of them, at any number of rows.",
    # how it is learned
    "shared module": "The part B of a model that all tasks train and use, here mostly a layer of few directions in the features.",
    "head": "The part A_i of a model that belongs to one task alone and reads what the shared module gives: here a few numbers.",
    "rank": "The number of directions in the shared module; with as many as tasks, nothing needs to be shared.",
    "architecture": "What is shared between tasks, and how: a layer under free heads (hard sharing), everything, a pull, experts.",
    "weighting scheme": "A rule by which each task's loss counts for so much in the sum that is minimised.",
    # what comes of it
    "excess risk": "The expected squared error of a learned rule on new rows above the noise: zero for the true rule. For classes: "
    "the share of wrong decisions.",
    "transfer": "What learning tasks together does to the target: positive where it helps, negative where it hurts.",
    "gain": "The target's excess risk learned alone (STL) minus its excess risk learned together (MTL), on the same draw.",
    "sign convention": "Positive helps: a gain above zero means less risk by sharing; the founding paper plots the opposite.",
    "bias and variance": "Sharing saves variance (more rows, so less noise is learned) and brings bias (the source's rule is not "
    "the target's); the gain is the one minus the other.",
    "interval": "Where the mean gain lies with the confidence that is named, mostly 95 %, given the seeds that were drawn.",
    "status": "What became of a draw: ok, or why it has no answer; such draws are counted, never averaged in.",
    # how alike tasks are
    "cosine": "Of the angle between two tasks' parameters: 1 for one direction, 0 for unrelated ones, -1 for opposite ones.",
    "angle": "Between two tasks' parameters, in degrees: the cosine in other words; 0 is the same direction.",
    "model shift": "Tasks differ in their parameters: the same row has another expected label.",
    "covariate shift": "Tasks differ in the covariance of their rows: the same rule is seen from other sides.",
    "alignment score": "How alike the covariances of two tasks are (Eq. 5 of the founding paper), scaled so that 1 means the same.",
    # how the best is found
    "route": "The way to the best shared module, such as a closed form or a search over heads; each answer names its own.",
    "certificate": "What is proven of an optimum: exact, an interval that holds the best there is, or none.",
    "gap": "How much better than the answer the best there is could still be, proven; zero up to rounding where it is exact.",
    # how it is run
    "cell": "One setting: what is drawn, how it is learned in two ways, and what is measured; a function of a random seed.",
    "sweep": "A cell over a grid of its parameters and over seeds, and the labelled data that come of it.",
    # how claims are tested
    "statement": "A claim about transfer as a file: assumptions, a prediction, how the same number is measured, and a source.",
    "instance": "A random cell on which a statement is tested: inside its assumptions, on their edge, or outside.",
    "margin": "By how much an assumption holds: positive inside, negative outside.",
    "twin": "A statement's formula made 10 % too high or too low, which the same draws must refute, or they could not have told.",
    "confirmed": "Verdict: predicted and measured agree on every instance, and the twins were refuted by the same draws.",
    "refuted": "Verdict: some instance inside the assumptions speaks against the statement beyond what chance allows.",
    "vacuous": "Verdict: a bound holds but says nothing, because it exceeds what predicting zero reaches.",
    "not applicable": "Verdict: the assumptions hold on no draw, so that nothing was tested.",
    "undecided": "Verdict: the draws that were allowed tell neither one thing nor the other; of a gain: its interval holds zero.",
    "counterexample": "The instance that violates a statement most, found by a search; that none was found is no proof.",
    "mechanism": "An explanation of why sharing helps, tried by five clauses: effect, dose, controls, best single task, mediator.",
}
WIDTH = 100


def define(term: str | None = None) -> str:
    """What a word means, in a sentence; without a word, the whole glossary, a word a line.

    Raises ValueError with the nearest word where it has none of that name.

    >>> print(mtl.define("gain"))
    gain: The target's excess risk learned alone (STL) minus its excess risk learned together (MTL), on the same draw.
    >>> len(mtl.define().splitlines()) > 30
    True
    """
    if term is None:
        return "\n".join(f"{word}: {sentence}" for word, sentence in GLOSSARY.items())
    require(isinstance(term, str), "term", "a word of the glossary", reprlib.repr(term), "write it in quotes")
    known = {word.lower(): word for word in GLOSSARY}
    asked = term.strip().lower()
    word = known.get(asked) or known.get(asked.removesuffix("s"))
    require(word is not None, "term", "a word of the glossary", repr(term), nearest(asked, list(GLOSSARY)))
    return f"{word}: {GLOSSARY[word]}"


def as_lines(term: str | None = None) -> str:
    """The same for a terminal: lines of at most 100 characters, what follows a word indented.

    >>> from mtlsim.glossary import as_lines
    >>> max(map(len, as_lines().splitlines())) <= 100
    True
    """
    return "\n".join(textwrap.fill(line, WIDTH, subsequent_indent="    ") for line in define(term).splitlines())
