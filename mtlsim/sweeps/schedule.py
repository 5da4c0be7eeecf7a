"""The order of a sweep's chunks: which may run now, what becomes of those that fail, and when a point needs no more seeds."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace

import numpy as np

from mtlsim.core.words import counted, verb
from mtlsim.results.keep import Arrays, still_open
from mtlsim.results.plan import Chunk
from mtlsim.results.store import Parts
from mtlsim.sweeps.execute import Runner


class Incomplete(RuntimeError):
    """Chunks of a sweep that could not be run, after all that could be are kept."""

    def __init__(self, missing: Sequence[Chunk], total: int, cause: str):
        shown = ", ".join(chunk.name for chunk in missing[:5]) + (", ..." if len(missing) > 5 else "")
        super().__init__(
            f"{len(missing)} of {counted(total, 'chunk')} {verb(len(missing), 'is')} "
            f"missing ({shown}), the last because: {cause}. All others are kept, and the "
            "same call runs only these."
        )


class Here:
    """Runs chunks in this process, one at a time; what fails is raised at once."""

    in_flight, retries = 1, 0

    def __init__(self, runner: Runner):
        self.runner = runner

    def submit(self, chunk: Chunk, points: np.ndarray) -> Future:
        future = Future()
        future.set_result(self.runner(chunk, points))
        return future


def run_chunks(
    chunks: Sequence[Chunk], n_rounds: int, parts: Parts, place, level: float, tell: Callable[[Chunk, Arrays, int], None]
) -> None:
    """Run and keep every chunk that is not kept yet, each round of a block after the one before.

    place: `Here`, or another with its submit, in_flight (chunks that it holds at a time) and retries; what has failed so often
    is left out until all others are done. tell(chunk, arrays, undecided) is called once for each chunk that is kept. A result that
    comes twice, or after another try, is the same one and changes nothing. Raises `Incomplete`.
    """
    ready, running = deque(chunk for chunk in chunks if chunk.round == 0), {}
    blocks, tries, causes = defaultdict(list), Counter(), []

    def settle(chunk: Chunk, arrays: Arrays) -> None:
        rounds = blocks[chunk.static, chunk.block]
        rounds.append(arrays)
        tell(chunk, arrays, len(still_open(chunk, rounds, level)))
        if chunk.round + 1 < n_rounds:
            ready.appendleft(replace(chunk, round=chunk.round + 1))
        else:
            del blocks[chunk.static, chunk.block]

    def again(chunk: Chunk, error: BaseException) -> None:
        tries[chunk] += 1
        if tries[chunk] <= place.retries:
            ready.append(chunk)
        else:
            causes.append(error)

    try:
        while ready or running:
            while ready and len(running) < place.in_flight:
                chunk = ready.popleft()
                arrays = parts.load(chunk)
                if arrays is None:
                    points = still_open(chunk, blocks[chunk.static, chunk.block], level)
                    if len(points):
                        running[place.submit(chunk, points)] = chunk
                        continue
                    arrays = {"points": points}
                    parts.save(chunk, arrays)
                settle(chunk, arrays)
            done = wait(running, return_when=FIRST_COMPLETED).done if running else ()
            for future in done:
                if future.cancelled():
                    continue
                chunk, error = running.pop(future), future.exception()
                if error is None:
                    parts.save(chunk, future.result())
                    settle(chunk, future.result())
                elif isinstance(error, ValueError):  # the input's fault, and so that of every chunk
                    raise error
                else:
                    again(chunk, error)
            if any(future.cancelled() for future in done):  # who ran it is gone, with all that was handed over
                lost = list(running.items())
                running.clear()
                for future, chunk in lost:
                    future.cancel()
                    again(chunk, ConnectionError("the connection to its workers was lost"))
                place.recover()
    except ConnectionError as error:  # nobody is left to run anything
        causes.append(error)
    finally:
        for future in running:
            future.cancel()
    if causes:
        raise Incomplete([chunk for chunk in chunks if not parts.holds(chunk)], len(chunks), str(causes[-1]))
