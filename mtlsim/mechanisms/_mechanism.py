"""What a mechanism is: a cell whose draws show an effect and what is said to bring it about, and the points where it is tried."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
from jaxtyping import Array, Key

from mtlsim.core.checks import require, require_choice
from mtlsim.results.grid import at_point, make_grid
from mtlsim.theory import find_statement

Point = Mapping[str, Any]


def shown(value: Any) -> str:
    """A value of a parameter, a number or a name, in a sentence."""
    return f"{value:.4g}" if isinstance(value, (int, float)) else str(value)


@dataclass(frozen=True)
class Dose:
    """A parameter of the cell, values of it, and whether the effect rises (1) or falls (-1) with it."""

    name: str
    values: Sequence[Any]
    sign: int

    def __post_init__(self):
        require(len(self.values) >= 3, "dose", "made of three values or more", len(self.values), "add some")
        require(self.sign in (1, -1), "dose's sign", "1 or -1", self.sign, "say whether the effect rises with it")


@dataclass(frozen=True)
class Mechanism:
    """One explanation of why learning tasks together helps, made so that it can fail.

    claim: one sentence. source: keys of `references.bib`, or "derived". cell: its draws are {name: number} with `gain`, the effect
    (of a risk: alone minus together), positive as claimed. effect: the point, parameters of the cell and their values, at which
    the effect must be seen. dose: what it must rise or fall with, all else as there. controls: name -> what of the point is changed
    so that nothing of the effect may be left. opponent: a parameter that only the single task sees, and values of it: it is given
    the best. mediator: the output by which the effect is said to come, positive as claimed, and nothing under a control.
    beyond: the output that holds the part of the gain that does not come by it (None: it has no such output). harm: parameters
    and values over all of which a report looks for effects of the opposite sign. n_seeds: draws of every point.
    expected: the verdict that the evidence supports. says: what the source states, in our words. inferred: what is ours.
    known: names of the statements that say in closed form what is known of it.
    """

    name: str
    claim: str
    source: tuple[str, ...]
    cell: Callable[[Key[Array, ""]], Mapping[str, Array]] | Any
    effect: Point
    dose: Dose
    controls: Mapping[str, Point]
    opponent: tuple[str, Sequence[Any]]
    mediator: str
    beyond: str | None = None
    harm: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    n_seeds: int = 2000
    expected: str = "confirmed"
    says: str = ""
    inferred: str = ""
    known: tuple[str, ...] = ()

    def __post_init__(self):
        require_choice(self.expected, ("confirmed", "refuted", "undecided"), "expected")
        require(len(self.controls) > 0, "controls", "one or more", "empty", "say what must remove the effect")
        cure = "list values that the single task may choose from"
        require(len(self.opponent[1]) > 1, "opponent", "a parameter with two values or more", self.opponent, cure)
        for point in self.points():  # so that a name or value that the cell does not take is refused before anything is run
            make_grid(self.cell, {name: [value] for name, value in point.items()})
        outputs = self.outputs()
        for name in self.known:
            find_statement(name)
        for name in ("gain", self.mediator, *([] if self.beyond is None else [self.beyond])):
            require_choice(name, outputs, "the cell's outputs")

    @property
    def known_words(self) -> str:
        """What is known of it, each statement with its claim."""
        return " ".join(f"{name}: {find_statement(name).claim}" for name in self.known)

    def outputs(self) -> list[str]:
        """Names of what the cell returns."""
        cell = at_point(self.cell, dict(self.effect))
        return list(jax.eval_shape(lambda key: dict(cell(key=key)), jax.random.key(0)))

    def points(self) -> Iterator[Point]:
        """Every point that is drawn: of the effect, the doses, the controls, the opponents, and where it may hurt."""
        yield self.effect
        yield from ({**self.effect, self.dose.name: value} for value in self.dose.values)
        yield from ({**self.effect, **changes} for changes in self.controls.values())
        yield from ({**self.effect, self.opponent[0]: value} for value in self.opponent[1])
        yield from self.harmful_points()

    def harmful_points(self) -> list[Point]:
        """The product of the values of `harm`, all else as at the effect."""
        points: list[Point] = [self.effect] if self.harm else []
        for name, values in self.harm.items():
            points = [{**point, name: value} for point in points for value in values]
        return points
