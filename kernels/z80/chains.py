"""Chains: unrolled code that adds a byte to the accumulators of a column's outputs.

SP walks the column. A run is entered by RET at the pair from which as many are left as it has, and
left by RET to the next run's entry, or by JP (IX) where it is the column's last. A POP brings two
outputs: E first, D second.

Registers: SP column, H page of the accumulators' bytes that C is added to, IX where to go from a
column's end. Clobbers AF, DE, L. An event takes 34 T; one that carries 36 more, at 24 bits 48 (add)
or 59 (subtract), and 14 again where the second byte carries, too. A run's RET takes 10 T, the last
one's JP 8, and a pair that brings but one event 5 more.

A chain has 16 pairs, or 8 at 24 bits: so many keep every carry within a relative jump of its
event. Sums of a byte each (sums8.py) are stepped by one: 20 T an event, and a chain has 32 pairs.

Sums of 16 bits may also lie as words, low byte first; carries then take 32 T. A run whose next one
is on the next page of words is left with H stepped, 4 T more.
"""

from __future__ import annotations

from kernels.asm import Assembly
from kernels.emit import Job
from kernels.encodings.threaded_lists import Run

_PAIRS = {0: 16, 1: 32, 2: 16, 3: 8}


# What promises call the events of all runs, the jumps into runs, and those from columns' ends.
EVENT, RUN, END = "run_event", "into_run", "column_end"
ENTER = f"ret ; #{RUN}"


def leave(*, last: bool, onward: bool = False) -> str:
    """How a run is left."""
    if onward:
        return f"inc h\n{ENTER}"
    return f"jp (ix) ; #{END}" if last else ENTER


def longest_run(acc_bytes: int) -> int:
    """Events that a chain has room for."""
    return 2 * _PAIRS[acc_bytes]


WORDS = 0  # in place of an accumulator's bytes: words, side by side


def entry(job: Job, run: Run, acc_bytes: int) -> str:
    """The label to enter a run at; the chain is written if no layer has asked for it yet.

    acc_bytes: of an accumulator, each on a page of its own, or WORDS.
    """
    step = "add" if run.sign > 0 else "sub"
    name = f"{step}{8 * acc_bytes or 'w'}_{'odd' if run.odd else 'even'}"
    name += "_last" if run.last else "_onward" if run.onward else ""
    job.share(name, lambda out: _write(out, name, step, acc_bytes, run), code=True)
    return f"{name}_{'d' if run.held else 'e'}{run.pairs}"


def _write(out: Assembly, name: str, step: str, acc_bytes: int, run: Run) -> None:
    """The chain: carries of the first half of its pairs, the pairs, carries of the others."""
    pairs = list(range(_PAIRS[acc_bytes], 0, -1))
    half = len(pairs) // 2
    for left in pairs[:half] if acc_bytes != 1 else ():
        _carries(out, name, step, acc_bytes, left)
    for left in pairs:
        out.emit(f"""
        {name}_e{left}:
            pop de                      ; two outputs
            ld l,e
        """)
        _event(out, f"{name}_e{left}", step, acc_bytes)
        out.emit(f"{name}_d{left - 1}:\nld l,d")
        _event(out, f"{name}_d{left - 1}", step, acc_bytes)
    out.emit(f"{name}_e0:")
    if run.odd:
        out.emit("pop de\nld l,e")
        _event(out, f"{name}_e0", step, acc_bytes)
    out.emit(leave(last=run.last, onward=run.onward))
    if acc_bytes == 1:
        return
    for left in pairs[half:]:
        _carries(out, name, step, acc_bytes, left)
    if run.odd:
        _carry(out, f"{name}_e0", step, acc_bytes)


def _event(out: Assembly, label: str, step: str, acc_bytes: int) -> None:
    if acc_bytes == 1:
        out.emit(f"{'inc' if step == 'add' else 'dec'} (hl) ; #{EVENT}")
        return
    out.emit(f"""
        ld a,(hl) ; #{EVENT}
        {"add a,c" if step == "add" else "sub c"}
        ld (hl),a
        jr c,{label}_carry
    {label}_on:
    """)


def _carries(out: Assembly, name: str, step: str, acc_bytes: int, left: int) -> None:
    _carry(out, f"{name}_e{left}", step, acc_bytes)
    _carry(out, f"{name}_d{left - 1}", step, acc_bytes)


def _carry(out: Assembly, label: str, step: str, acc_bytes: int) -> None:
    """Into the page above, and on while that one carries too; then back to the event's page.

    With words the byte above is the next one, and every event sets L.
    """
    if acc_bytes == WORDS:
        ripple = "inc" if step == "add" else "dec"
        out.emit(f"{label}_carry:\ninc l\n{ripple} (hl)\njr {label}_on")
        return
    out.emit(f"{label}_carry:\ninc h")
    if acc_bytes == 2:
        out.emit(f"{'inc' if step == 'add' else 'dec'} (hl)")
    elif step == "add":
        out.emit(f"inc (hl)\njr nz,{label}_settled\ninc h\ninc (hl)\ndec h\n{label}_settled:")
    else:
        out.emit(f"""
            ld a,(hl)
            dec (hl)
            or a
            jr nz,{label}_settled
            inc h
            dec (hl)
            dec h
        {label}_settled:
        """)
    out.emit(f"dec h\njr {label}_on")
