"""Commands that write a page: one .html file that asks nothing of any other address."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from mtlsim.commands._report import report, use_all


@dataclass(frozen=True)
class Explore:
    """Write a page of a stored sweep: a map or curves, sliders, the numbers under the mouse, theory, and how to make it again."""

    result: Positional[Path]
    """A .nc file made by `mtlsim figure` (mechanisms too), `mtlsim sweep` or `mtlsim compare`."""
    out: Path | None = None
    """The page; beside the result, with its name, if left out."""
    x: str | None = None
    """Swept parameter along x."""
    y: str | None = None
    """Swept parameter along y."""
    quantity: str = "gain"
    """What is shown: the gain, or the mean of another output."""
    theory: tuple[str, ...] | None = None
    """Statements drawn on top; all that speak of the cell if left out, none if given without a name."""
    sources: Annotated[tuple[Path, ...], arg(name="from")] = ()
    """Files or folders of your own statements."""

    def run(self) -> int:
        from mtlsim.pages._page import check_bokeh

        check_bokeh()  # before seconds of imports
        use_all(self.sources)
        from json import loads

        from mtlsim.core.checks import require
        from mtlsim.experiments._experiment import experiment_names, find_experiment
        from mtlsim.pages.explore import explore
        from mtlsim.reproduction import reproduce
        from mtlsim.results.dataset import is_study, load

        out = self.result.with_suffix(".html") if self.out is None else self.out
        if is_study(self.result):
            given = [name for name in ("x", "y", "theory") if getattr(self, name) is not None]
            require(not given, "x, y and theory", "left out for a study", ", ".join(given), "drop them")
            from mtlsim.arrays.study import Study
            from mtlsim.pages.study import explore_study

            study = Study.load(self.result)
            return report([explore_study(study.data, out, str(study), study.advice, study.reasons)])
        data = load(self.result)
        if "clause" in data.dims:
            given = [name for name in ("x", "y", "theory") if getattr(self, name) is not None]
            require(not given, "x, y and theory", "left out for mechanisms", ", ".join(given), "drop them")
            from mtlsim.pages.mechanisms import explore_mechanisms

            options = loads(data.attrs["settings"])["options"]
            more = [f"--{name} {options[key]}" for name, key in (("seeds", "n_seeds"), ("seed", "seed")) if options[key]]
            again = " ".join([f"mtlsim figure {data.attrs['experiment']}", *(["--fast"] if options["fast"] else []), *more])
            return report([explore_mechanisms(data, out, again)])
        made = reproduce(data)
        if (name := data.attrs.get("experiment")) in experiment_names():
            data = data.assign_attrs(claim=find_experiment(name).says(data))
        predictions = list(_predictions(made.cell, self.quantity, self.theory))
        again = made.command if made.toml is None else f"# again.toml, run by: {made.command}\n\n{made.toml}"
        return report([explore(data, out, x=self.x, y=self.y, quantity=self.quantity, predictions=predictions, again=again)])


def _predictions(cell: Any, quantity: str, names: tuple[str, ...] | None) -> Iterator[Any]:
    """Statements bound to the cell: those of these names, else every one that predicts the quantity of such a cell."""
    from mtlsim.core.checks import require
    from mtlsim.theory import find_statement, statement_names
    from mtlsim.theory.statement import quantities

    if names:
        cure = "leave --theory away, or draw from Python with mtlsim.pages.explore.explore"
        require(cell is not None, "theory", "left out for a cell that no command builds", ", ".join(names), cure)
        yield from (find_statement(name)(cell) for name in names)
        return
    for name in statement_names() if names is None and cell is not None else ():
        statement = find_statement(name)
        if statement.kind in ("sign", "bound"):  # which say no size that could be drawn
            continue
        try:
            prediction = statement(cell)
            if quantity in quantities(statement, cell):
                yield prediction
        except ValueError:  # another kind of cell
            continue


@dataclass(frozen=True)
class Explainer:
    """Write the lesson "when does sharing help?": two tasks in the plane, four sliders, and the place of the pair on the map."""

    out: Path = Path("explainer.html")
    """The page."""

    def run(self) -> int:
        from mtlsim.pages.explainer import explainer

        return report([explainer(self.out)])
