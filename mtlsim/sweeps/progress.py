"""What a sweep says while it runs: a bar on a terminal, a line a minute in a log."""

import sys
import time

from tqdm import tqdm

EVERY = 60.0  # seconds between lines where nobody watches


class Progress:
    """Draws that are done of a total, and a note; a context. shown: whether anything is said at all."""

    def __init__(self, total: int, done: int, shown: bool):
        self.total, self.done, self.note = total, done, "compiling"
        self.lines = shown and not sys.stderr.isatty()
        self.spoken = time.monotonic()
        options = {"unit": " draws", "unit_scale": True, "mininterval": 0.5}
        self.bar = tqdm(total=total, initial=done, disable=not shown or self.lines, **options)
        self.bar.set_postfix_str(self.note)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_) -> None:
        self.bar.close()
        if self.lines:
            self._say()

    def add(self, n_draws: int, note: str) -> None:
        """That many more are done."""
        self.done, self.note = self.done + n_draws, note
        self.bar.set_postfix_str(note, refresh=False)
        self.bar.update(n_draws)
        if self.lines and time.monotonic() - self.spoken >= EVERY:
            self._say()

    def _say(self) -> None:
        self.spoken = time.monotonic()
        print(f"{self.done}/{self.total} draws, {self.note}", file=sys.stderr, flush=True)
