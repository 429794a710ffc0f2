"""Small pieces of AVR code that many kernels need: steps of pointers, copies, counted loops."""

from __future__ import annotations

from kernels.emit import Job

_LOW = {"X": 26, "Y": 28, "Z": 30}
_NEAREST = 2  # bytes a turn of the loops that fill or copy, at least


def step(pair: str, count: int) -> str:
    """Lines that add a constant to a pointer, in 2 cycles."""
    low = _LOW[pair]
    if count == 0:
        return ""
    if -63 <= count <= 63:
        return f"{'adiw' if count > 0 else 'sbiw'}  r{low}, {abs(count)}"
    return f"subi  r{low}, lo8({-count})\nsbci  r{low + 1}, hi8({-count})"


def jump(job: Job, label: str) -> str:
    """A jump of any reach that the device has."""
    return f"{'jmp  ' if 'JMP' in job.target.features else 'rjmp '} {label}"


def copy(job: Job, label: str, count: int, times: int) -> None:
    """Copy `count` bytes from X to Y, 4 cycles each and 3 a turn; both step on. Uses r0, r21.

    times: how often that runs each time the layer does.
    """
    repeat(job, label, (count, times), "ld    r0, X+\nst    Y+, r0")


def fill(job: Job, label: str, count: int, registers: tuple[str, ...], times: int) -> None:
    """Store the registers `count` times at Y, which steps on. Uses r21. times: as `copy` has it."""
    repeat(job, label, (count, times), "\n".join(f"st    Y+, {register}" for register in registers))


def repeat(job: Job, label: str, counts: tuple[int, int], lines: str) -> None:
    """Write lines that are run so many times, at least four a turn; the loop counts in r21.

    counts: how often the lines run, and how often all of that does.
    """
    (count, times), out, unrolled = counts, job.code, 4
    while count // unrolled > 256:
        unrolled *= 2
    turns, rest = divmod(count, unrolled)
    if turns < _NEAREST:
        turns, rest = 0, count
    out.emit("\n".join([lines] * rest))
    if turns:
        job.at_most(label, turns * times)
        out.emit(f"ldi   r21, {turns & 0xFF}\n{label}:")
        start = out.size
        out.emit("\n".join([lines] * unrolled))
        out.emit("dec   r21")
        out.emit(again("ne", label, out.size - start))


def again(condition: str, label: str, body: int) -> str:
    """Lines that branch back over `body` bytes on a condition, `ne` or `eq`."""
    if body <= 120:
        return f"br{condition}  {label}"
    other = {"ne": "eq", "eq": "ne"}[condition]
    return f"br{other}  {label}_done\nrjmp  {label}\n{label}_done:"
