"""Runs of gaps: a loop that adds a byte to the accumulators of a cold column's outputs.

A run is entered by RET at one of four places, by how many gaps its first group has, and left like a
chain (chains.py), with the same registers; clobbers B, too. Two bytes behind the address say the
index where the run begins and how many groups it has; a group is two bytes, four gaps.

An event takes 32.75 T on average and 11 for a sum of a byte; 30 for wider ones, 14 more where it
carries, and at 24 bits more than that.
"""

from __future__ import annotations

from kernels.asm import Assembly
from kernels.emit import Job
from kernels.encodings.threaded_gaps import GROUP, GapRun
from kernels.z80.chains import EVENT, leave

_RIPPLE = {"add": "inc", "sub": "dec"}


def gap_entry(job: Job, run: GapRun, acc_bytes: int) -> str:
    """The label to enter a run at; the loop is written if no layer has asked for it yet."""
    step = "add" if run.sign > 0 else "sub"
    name = f"gaps_{step}{8 * acc_bytes}{'_last' if run.last else ''}"
    job.share(name, lambda out: _write(out, name, step, acc_bytes, last=run.last), code=True)
    return f"{name}_from{-len(run.gaps) % GROUP}"


def _write(out: Assembly, name: str, step: str, acc_bytes: int, *, last: bool) -> None:
    for lacking in range(GROUP):
        out.emit(f"""
        {name}_from{lacking}:
            pop de                      ; where it begins, groups
            ld l,e
            ld b,d
            pop de
            jr {name}_gap{lacking}
        """)
    out.emit(f"{name}_group:\npop de")
    for number, (register, high) in enumerate((r, h) for r in "ed" for h in (False, True)):
        shift = "rrca\n" * 4 if high else ""
        out.emit(f"""
        {name}_gap{number}:
            ld a,{register}
            {shift}
            and 0x0f
            add a,l
            ld l,a
        """)
        _event(out, f"{name}_event{number}", step, acc_bytes)
    out.emit(f"djnz {name}_group\n{leave(last=last)}")


def _event(out: Assembly, label: str, step: str, acc_bytes: int) -> None:
    if acc_bytes == 1:
        out.emit(f"{_RIPPLE[step]} (hl) ; #{EVENT}")
        return
    out.emit(f"""
        ld a,(hl) ; #{EVENT}
        {"add a,c" if step == "add" else "sub c"}
        ld (hl),a
        jr nc,{label}
    """)
    if acc_bytes == 2:
        out.emit(f"inc h\n{_RIPPLE[step]} (hl)\ndec h\n{label}:")
        return
    # Bytes of which the second carries, too: the third page.
    test = "inc (hl)" if step == "add" else "ld a,(hl)\ndec (hl)\nor a"
    out.emit(f"""
        inc h
        {test}
        jr nz,{label}_settled
        inc h
        {_RIPPLE[step]} (hl)
        dec h
    {label}_settled:
        dec h
    {label}:
    """)
