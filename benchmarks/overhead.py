"""What of a command's time passes inside the emulators: `python benchmarks/overhead.py ARGUMENTS`.

ARGUMENTS are those of `truecycle`, as in `bench digits-int8 --target uno`. Times are of this
process, in seconds of CPU from the start of the interpreter, imports included; others' load does
not change them. What runs in worker processes is not seen: give `--workers 1` where there are any.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from emulators.simavr import SimAvr
from emulators.zilog import Z80
from harness.cli import main


class Stopwatch:
    """Adds up what functions take."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, measured."""

        def measured(*arguments: Any, **options: Any) -> Any:
            start = time.thread_time()  # others compute meanwhile
            try:
                return function(*arguments, **options)
            finally:
                self.seconds += time.thread_time() - start

        return measured


def report(inside: float, imports: float) -> str:
    """One line: shares of the time so far."""
    whole = time.process_time()
    return (
        f"inside the emulators: {inside / whole:.1%} of {whole:.1f} s of CPU; "
        f"imports {imports:.1f} s, everything else {whole - inside - imports:.1f} s"
    )


if __name__ == "__main__":
    imports = time.process_time()
    inside = Stopwatch()
    for emulator in (SimAvr, Z80):
        emulator.call = inside.around(emulator.call)  # type: ignore[method-assign]
    try:
        main()
    finally:
        print(report(inside.seconds, imports), file=sys.stderr)
