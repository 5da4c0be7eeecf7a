"""Chunks run by other processes: any `concurrent.futures` executor, or the workers of a dask scheduler.

A worker is sent bytes and sends arrays back; the process that called `sweep` alone writes files. Nothing here loads jax when it is
imported, so that a fresh worker is prepared (threads, devices, precision) before jax is.
"""

import functools
import os
import pickle
import re
import socket
import sys
import threading
from concurrent.futures import Executor, Future
from typing import Any

from mtlsim.launcher import prepare

RETRIES = 3  # of a chunk whose worker is lost, after those of the scheduler itself
IN_FLIGHT = 256  # chunks handed over at a time
FIRST_ANSWER = 10.0  # seconds within which a scheduler must answer when it is first called
_ONE_AT_A_TIME = threading.Lock()  # a chunk uses all devices of its process


class DaskExecutor(Executor):
    """The workers of a dask scheduler, for `sweep(executor=...)`.

    scheduler: its address, "tcp://host:8786", or a dask cluster; it must be there within 10 seconds. patience: seconds that the
    first worker, or a scheduler that was lost, is waited for. A worker uses as many host devices as it has threads
    (`dask worker ADDRESS --nthreads 1` for one a core), or its GPUs. Raises ValueError where there is no scheduler, no worker, or
    no package `distributed`.

    >>> from concurrent.futures import Executor
    >>> issubclass(mtl.DaskExecutor, Executor)
    True
    >>> executor = mtl.DaskExecutor("tcp://host:8786")  # doctest: +SKIP
    """

    def __init__(self, scheduler: Any, patience: float = 120.0):
        if scheduler is None:  # dask would start a cluster of its own
            raise ValueError("scheduler must be an address or a dask cluster, but is None; pass 'tcp://host:8786'.")
        self.scheduler, self.patience = scheduler, patience
        self._connect(FIRST_ANSWER)

    def _connect(self, seconds: float) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise ValueError(
                "executor must have the package distributed, but it is not installed; pip install 'mtlsim[dask]'."
            ) from None
        try:
            self.client = Client(self.scheduler, timeout=min(seconds, self.patience), set_as_default=False)
            if not self.client.scheduler_info()["workers"]:
                print(f"waiting up to {self.patience:.0f} s for a worker at {self.scheduler}", file=sys.stderr)
            self.client.wait_for_workers(1, timeout=self.patience)
        except (OSError, TimeoutError, ValueError) as error:
            raise ValueError(
                f"scheduler must be the address of a dask scheduler that has workers, but {self.scheduler} gives: {error}; "
                "start it by `dask scheduler`, and workers by `dask worker ADDRESS`."
            ) from None
        self.pool = self.client.get_executor(pure=False, retries=RETRIES)

    def submit(self, function, /, *arguments, **options) -> Future:
        return self.pool.submit(function, *arguments, **options)

    def recover(self) -> None:
        """Connect anew to a scheduler that was lost, once it has workers again; ConnectionError where none comes back."""
        self.client.close(timeout=5)
        try:
            self._connect(self.patience)
        except ValueError as error:
            raise ConnectionError(str(error)) from None

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.client.close()


class Elsewhere:
    """Runs chunks of a job by an executor; see `schedule.run_chunks`."""

    in_flight, retries = IN_FLIGHT, RETRIES

    def __init__(self, job: Any, facts: dict[str, Any], executor: Executor):
        self.payload, self.executor = pickle.dumps((facts, _pickler().dumps(job))), executor

    def submit(self, chunk, points) -> Future:
        return self.executor.submit(run_there, self.payload, pickle.dumps((chunk, points)))

    def recover(self) -> None:
        recover = getattr(self.executor, "recover", None)
        if recover is not None:
            recover()


def ask(executor: Executor, float64: bool) -> dict[str, Any]:
    """What numbers depend on, as one worker answers: versions, precision, device; and how many devices it has."""
    return executor.submit(facts_there, float64).result()


def facts_there(float64: bool) -> dict[str, Any]:
    """The same of this process, made ready if jax is not loaded yet."""
    _make_ready(float64)
    import jax

    from mtlsim.results.settings import facts

    return facts(jax.local_devices()) | {"n_devices": jax.local_device_count()}


def run_there(payload: bytes, request: bytes) -> dict[str, Any]:
    """One chunk, in a worker."""
    _make_ready(None)
    with _ONE_AT_A_TIME:
        return _runner(payload)(*pickle.loads(request))


@functools.lru_cache(maxsize=2)
def _runner(payload: bytes):
    wanted, job = pickle.loads(payload)
    here = {name: value for name, value in facts_there(wanted["float64"]).items() if name != "n_devices"}
    import jax

    from mtlsim.results.store import differences
    from mtlsim.sweeps.execute import Runner

    if here != wanted:
        raise ValueError(
            f"workers must all be as the first one asked, but on {socket.gethostname()} "
            f"({'; '.join(differences(wanted, here))}); stop that worker or install the same there."
        )
    return Runner(pickle.loads(job), jax.local_devices())  # arrays in it take the precision that is set by now


def _make_ready(float64: bool | None) -> None:
    """Threads, devices and precision of a worker, as `mtlsim.launcher.prepare` sets them, if it has not loaded jax yet."""
    if "jax" not in sys.modules:
        if threads := _threads():  # before what a parent process had set for itself
            os.environ["XLA_FLAGS"] = re.sub(r"--xla_force_host_platform_device_count=\d+", "", os.environ.get("XLA_FLAGS", ""))
        prepare(threads)
    if float64 is not None:
        import jax

        if jax.config.jax_enable_x64 != float64:
            jax.config.update("jax_enable_x64", float64)


def _threads() -> int | None:
    """Threads of the dask worker that this process is, or None."""
    if "distributed" not in sys.modules:
        return None
    from distributed import get_worker

    try:
        return get_worker().state.nthreads
    except ValueError:
        return None


def _pickler():
    """cloudpickle where it is installed (cells defined in a notebook), pickle otherwise."""
    try:
        import cloudpickle
    except ImportError:
        return pickle
    return cloudpickle
