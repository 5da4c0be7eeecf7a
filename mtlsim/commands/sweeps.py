"""Commands on sweeps and their results."""

import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from mtlsim.commands._report import report, use_all


@dataclass(frozen=True)
class Sweep:
    """Run the sweep of a TOML file; the same call goes on where a killed one stopped."""

    config: Positional[Path]
    """TOML with [tasks], [cell], [grid] and [sweep] tables; see the README."""
    overrides: Annotated[tuple[str, ...], arg(name="set")] = ()
    """Settings that replace those of the file, such as sweep.n_seeds=50 tasks.noise=2.0."""
    sources: Annotated[tuple[Path, ...], arg(name="from")] = ()
    """Files or folders of your own architectures and schemes, to be called by name."""
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
        use_all(self.sources)
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
        return report([path])


@dataclass(frozen=True)
class Estimate:
    """Say what the sweep of a TOML file will cost: size, time and memory, from a few batches run on the spot."""

    config: Positional[Path]
    """TOML as for `mtlsim sweep`."""
    overrides: Annotated[tuple[str, ...], arg(name="set")] = ()
    """Settings that replace those of the file."""
    sources: Annotated[tuple[Path, ...], arg(name="from")] = ()
    """Files or folders of your own architectures and schemes, to be called by name."""
    workers: tuple[int, ...] = (10, 100)
    """Numbers of workers like this machine to say the time for."""

    def run(self) -> int:
        use_all(self.sources)
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
        return report([self.out])


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
