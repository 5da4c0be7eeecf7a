"""The command line. Every command checks its input before it loads jax, so that --help and mistakes answer at once."""

import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional, arg, subcommand

from mtlsim.launcher import prepare


@dataclass(frozen=True)
class Figure:
    """Make a figure: the picture (PNG and PDF) and its data (netCDF)."""

    name: Positional[str] = "transfer-map"
    """Which figure; see `mtlsim list`."""
    out: Path = Path("figures")
    """Folder for the picture and its data."""
    fast: bool = False
    """A coarse version with fewer points and seeds."""
    seeds: int | None = None
    """Seeds per cell."""
    seed: int = 0
    """Random seed of the whole figure."""
    model: str | None = None
    """similarity, capacity, alignment-gain: kind of tasks (linear, relu; for similarity also logistic, relu-classification)."""
    x: str | None = None
    """transfer-map only: parameter along x (alignment, cosine, source-samples, target-samples, noise)."""
    y: str | None = None
    """transfer-map only: parameter along y."""
    panels: str | None = None
    """transfer-map only: parameter of the panels (also rank, or none)."""
    quiet: bool = False
    """Say nothing while it runs."""

    def run(self) -> int:
        from mtlsim.experiments._experiment import Options, make_figure

        options = Options(self.fast, self.seeds, self.seed, self.model, self.x, self.y, self.panels)
        return _report(make_figure(self.name, self.out, options, progress=not self.quiet))


@dataclass(frozen=True)
class Plot:
    """Draw a saved result again."""

    result: Positional[Path]
    """A .nc file made by `mtlsim figure` or `mtlsim sweep`."""
    out: Path | None = None
    """Folder for the picture; beside the result if left out."""

    def run(self) -> int:
        from mtlsim.experiments._experiment import redraw

        return _report(redraw(self.result, self.out))


@dataclass(frozen=True)
class Sweep:
    """Run the sweep of a TOML file; the same call goes on where a killed one stopped."""

    config: Positional[Path]
    """TOML with [tasks], [cell], [grid] and [sweep] tables; see the README."""
    overrides: Annotated[tuple[str, ...], arg(name="set")] = ()
    """Settings that replace those of the file, such as sweep.n_seeds=50 tasks.noise=2.0."""
    out: Path | None = None
    """Result file; the configuration's name with .nc if left out."""
    shard: str | None = None
    """i/N: run the i-th of N parts, to be joined by `mtlsim merge`."""
    executor: Literal["local", "dask"] = "local"
    """Who runs it: this machine, or the workers of a dask scheduler."""
    scheduler: str | None = None
    """Address of the dask scheduler, such as tcp://host:8786."""
    accept_versions: bool = False
    """Go on with a sweep that other versions of jax or numpy began; the result says so."""
    quiet: bool = False
    """Say nothing while it runs."""

    def run(self) -> int:
        from mtlsim.configuration import run_configuration
        from mtlsim.core.checks import require

        dask = self.executor == "dask"
        require(dask == (self.scheduler is not None), "scheduler", "given with --executor dask alone", self.scheduler, "give both")
        more = {"progress": not self.quiet, "accept_versions": self.accept_versions}
        path = run_configuration(self.config, self.overrides, self.out, self.shard, self.scheduler, **more)
        if self.shard is None and not self.quiet:
            from mtlsim.results.dataset import load
            from mtlsim.results.explain import explain

            print(explain(load(path)), file=sys.stderr)
        return _report([path])


@dataclass(frozen=True)
class Estimate:
    """Say what the sweep of a TOML file will cost: size, time and memory, from a few batches run on the spot."""

    config: Positional[Path]
    """TOML as for `mtlsim sweep`."""
    overrides: Annotated[tuple[str, ...], arg(name="set")] = ()
    """Settings that replace those of the file."""
    workers: tuple[int, ...] = (10, 100)
    """Numbers of workers like this machine to say the time for."""

    def run(self) -> int:
        from mtlsim.configuration import read, sweep_arguments

        settings = read(self.config, self.overrides)
        from mtlsim.sweeps.estimate import estimate

        arguments, options = sweep_arguments(settings)
        start = time.process_time()  # loading the packages took it
        print(replace(estimate(*arguments, **options), start=start).report(self.workers))
        return 0


@dataclass(frozen=True)
class Status:
    """Say how far a sweep has come that runs, died or is done."""

    result: Positional[Path]
    """Its result file, which need not be there yet, or its folder of parts."""

    def run(self) -> int:
        from mtlsim.results.watch import status

        print(status(self.result))
        return 0


@dataclass(frozen=True)
class Merge:
    """Join the shards of a sweep, or say which chunks are missing."""

    pieces: Positional[tuple[Path, ...]]
    """RESULT.nc.parts folders of the shards."""
    out: Path = Path("merged.nc")
    """Result file."""
    accept_versions: bool = False
    """Join shards that other versions of jax or numpy ran; the result says so."""

    def run(self) -> int:
        from mtlsim.results.collect import merge

        merge(self.pieces, self.out, accept_versions=self.accept_versions)
        return _report([self.out])


@dataclass(frozen=True)
class Transfer:
    """Does the source help the target? Two .npz files with arrays X (rows, features) and y (rows,)."""

    source: Positional[Path]
    """The task to transfer from."""
    target: Positional[Path]
    """The task to do well on."""
    rank: int = 1
    """Columns of the shared layer."""
    target_samples: int | None = None
    """Target rows that train; the rest test."""
    splits: int = 50
    """Random held-out splits of the target."""
    seed: int = 0
    """Random seed of the splits."""
    level: float = 0.95
    """Level of the intervals."""
    duplicates: Literal["auto", "drop", "keep"] = "auto"
    """Rows of the source that are rows of the target: left out, kept, or (auto) left out unless rows repeat by chance."""
    json: bool = False
    """Print JSON instead of a table."""

    def run(self) -> int:
        from json import dumps

        from mtlsim.arrays.pairs import compare_files

        options = self.rank, self.target_samples, self.splits, self.seed, self.level, self.duplicates
        result = compare_files(self.source, self.target, *options)
        print(dumps(result.to_dict(), indent=1, allow_nan=False) if self.json else result)
        return 0 if result.gain.n_seeds else 1  # no split gave a finite answer


@dataclass(frozen=True)
class Weights:
    """Weights of tasks on the same rows, from the top directions X'y (Algorithm 2 of the founding paper)."""

    X: Positional[Path]
    """A .npy file of rows (rows, features); read in blocks."""
    Y: Positional[Path]
    """A .npy file of labels (rows, tasks)."""
    rank: int = 1
    """Columns of the shared layer, at most the number of tasks."""
    normalized: bool = False
    """Divide by the length of X'y, so that the scale of labels does not matter."""
    whitened: bool = False
    """Take directions after whitening X, which are those of the optimal shared layer."""

    def run(self) -> int:
        from mtlsim.core.files import load_array
        from mtlsim.weighting.algorithm_2 import svd_task_weights

        weights = svd_task_weights(load_array(self.X), load_array(self.Y), self.rank, self.normalized, self.whitened).tolist()
        for task, weight in enumerate(weights):
            print(f"task {task}: weight {weight:.6g}, {100 * weight / sum(weights):.3g} % of all")
        return 0


@dataclass(frozen=True)
class Score:
    """Covariance similarity of two sets of rows, literal and normalised (1 = same)."""

    first: Positional[Path]
    """A .npy file of rows (rows, features); read in blocks."""
    second: Positional[Path]
    """Another one with the same features."""
    kept: float = 0.99
    """Share of the variance that the low-rank approximations hold."""
    uncentred: bool = False
    """Leave each task's means in its rows, as Eq. 5 is printed; a common offset then makes all tasks alike."""

    def run(self) -> int:
        from mtlsim.core.checks import require
        from mtlsim.core.files import load_array
        from mtlsim.samples.moments import Moments
        from mtlsim.similarity import covariance_similarity, scatter

        pair = []
        for path in (self.first, self.second):
            gram = scatter(load_array(path), str(path), not self.uncentred)
            wanted, found = ("that are not all zero", "zero") if self.uncentred else ("that differ", "the same row over and over")
            require(bool(gram.any()), str(path), f"rows {wanted}", found, "give other rows")
            pair.append(Moments(gram, 0 * gram[0], gram[0, 0] * 0, gram[0, 0] * 0))
        both = [float(covariance_similarity(*pair, self.kept, normalized)) for normalized in (False, True)]
        centred = "each task less its own means; --uncentred for Eq. 5 as printed"
        how = "uncentred, as Eq. 5 is printed" if self.uncentred else centred
        print(f"covariance similarity {both[0]:.6g}, normalised {both[1]:.6g} (1 = same), {how}")
        return 0


@dataclass(frozen=True)
class Verify:
    """Test statements of theory against simulation: predicted beside measured, and a verdict by a written rule."""

    names: Positional[tuple[str, ...]] = ()
    """Which statements; all if left out. See `mtlsim list`."""
    out: Path | None = None
    """Folder for report.html and report.json."""
    fast: bool = False
    """Fewer instances, and fewer draws to begin with."""
    instances: int = 50
    """Random instances inside the assumptions; a fifth as many on their edge and outside."""
    seeds: int = 2000
    """Draws per instance at the first look; they are doubled while a statement is undecided."""
    budget: int = 32
    """How many times the draws of the first look may be drawn in all."""
    seed: int = 0
    """Random seed of instances and draws."""
    holes: int = 0
    """Random cells over all that a statement may be bound to, as many for each: those in which it is false are shown."""

    def run(self) -> int:
        from mtlsim.verification.holes import search_all
        from mtlsim.verification.run import verify

        sizes = {"n_instances": self.instances, "n_seeds": self.seeds, "budget": self.budget}
        findings = verify(self.names, self.out, seed=self.seed, fast=self.fast, progress=True, **sizes)
        surprises = [finding.statement.name for finding in findings if not finding.as_expected]
        if surprises:
            print(f"not as expected: {', '.join(surprises)}", file=sys.stderr)
        if self.out is not None:
            _report([self.out / "report.html", self.out / "report.json"])
        searches = search_all(self.names, self.holes, seed=self.seed, show=True) if self.holes else []
        return 1 if surprises or any(search.holes for search in searches) else 0


@dataclass(frozen=True)
class Explain:
    """Say what a saved result can and cannot tell: signs, statuses, certificates, and seeds that are missing."""

    result: Positional[Path]
    """A .nc file made by `mtlsim figure` or `mtlsim sweep`."""

    def run(self) -> int:
        from mtlsim.results.dataset import load
        from mtlsim.results.explain import explain

        print(explain(load(self.result)))
        return 0


@dataclass(frozen=True)
class List:
    """List the figures, the statements and the architectures, and what each is about."""

    def run(self) -> int:
        from mtlsim.experiments._experiment import experiment_names, find_experiment
        from mtlsim.sharing import describe_sharing, sharing_names
        from mtlsim.theory import find_statement, statement_names

        lists = {
            "figures (mtlsim figure NAME)": {name: find_experiment(name).claim for name in experiment_names()},
            "statements (mtlsim verify NAME)": {name: find_statement(name).claim for name in statement_names()},
            "architectures (sharing = NAME)": {name: describe_sharing(name) for name in sharing_names()},
        }
        width = max(len(name) for things in lists.values() for name in things) + 2
        for title, things in lists.items():
            print("\n".join([title, *(f"  {name:{width}s}{about}" for name, about in things.items())]))
        return 0


@dataclass(frozen=True)
class Cite:
    """Print the references of a key, a public name, or (without one) of the project."""

    thing: Positional[str | None] = None
    """A key of references.bib or a public name such as Transfer."""

    def run(self) -> int:
        from mtlsim.citations import cite

        print(cite(self.thing))
        return 0


@dataclass(frozen=True)
class Doctor:
    """Check the numerical stack and say what to do."""

    full: bool = False
    """Longer runs of the checks."""

    def run(self) -> int:
        from mtlsim.doctor import main as examine

        return examine(self.full)


Command = (
    Annotated[Figure, subcommand("figure")]
    | Annotated[Plot, subcommand("plot")]
    | Annotated[Sweep, subcommand("sweep")]
    | Annotated[Estimate, subcommand("estimate")]
    | Annotated[Status, subcommand("status")]
    | Annotated[Merge, subcommand("merge")]
    | Annotated[Transfer, subcommand("transfer")]
    | Annotated[Weights, subcommand("weights")]
    | Annotated[Score, subcommand("score")]
    | Annotated[Verify, subcommand("verify")]
    | Annotated[Explain, subcommand("explain")]
    | Annotated[List, subcommand("list")]
    | Annotated[Cite, subcommand("cite")]
    | Annotated[Doctor, subcommand("doctor")]
)


def _report(files: list[Path]) -> int:
    for file in files:
        print(file)
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 fine, 1 a check failed, 2 bad input (one sentence on stderr), 130 interrupted."""
    prepare()
    description = "mtlsim: when does learning tasks together help, and when does it hurt?"
    command = tyro.cli(Command, prog="mtlsim", description=description, args=arguments)
    try:
        return command.run()
    except ValueError as error:
        print(f"mtlsim: {error}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        from mtlsim.sweeps.schedule import Incomplete

        if not isinstance(error, Incomplete):
            raise
        print(f"mtlsim: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.filename is None:
            raise
        print(f"mtlsim: {str(error.filename)[:80]!r} cannot be used ({error.strerror}); choose another path.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("mtlsim: interrupted; finished chunks are kept, and the same command goes on from there.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
