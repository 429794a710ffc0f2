"""The stack pointer as a data pointer: POP loads two bytes and steps on in 10 T.

While a kernel has borrowed it there is no stack: no CALL, no PUSH but of data, and no interrupt,
since that would push onto whatever SP points to. Where interrupts must be served at any moment
nothing may be borrowed, and a kernel takes another loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kernels.emit import Job
from kernels.target import Interrupts, Target


def may_borrow(target: Target) -> bool:
    """Whether kernels for the target may use the stack pointer for data."""
    return target.interrupts is not Interrupts.SERVED


@contextmanager
def borrowed(job: Job, name: str = "sp") -> Iterator[None]:
    """What is emitted inside has SP to itself, and may leave it anywhere.

    Takes 40 T, and 8 for `di` and `ei` where interrupts are masked, and two bytes of scratch,
    called `name`. Registers and flags stay.
    """
    assert may_borrow(job.target)
    masked = job.target.interrupts is Interrupts.MASKED
    slot = job.scratch(name, 2)
    job.code.emit(f"""
        {"di" if masked else ""}
        ld ({slot}),sp                  ; the stack waits while SP walks data
    """)
    yield
    job.code.emit(f"""
        ld sp,({slot})
        {"ei" if masked else ""}
    """)
