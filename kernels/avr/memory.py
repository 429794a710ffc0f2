"""Reaching into flash: constants near (below 64 KiB) or far, and routines."""

from __future__ import annotations

from kernels.emit import Job

RAMPZ = 0x3B
_NEAR = 118  # bytes of a loop that a conditional branch spans, behind its first test


def load(job: Job, register: str) -> str:
    """The instruction that loads the next byte of the stream at Z, in 3 cycles."""
    return f"{'elpm' if job.far else 'lpm'} {register}, Z+"


def call(job: Job) -> str:
    """The mnemonic of a call that reaches all of flash."""
    return "call " if "JMP" in job.target.features else "rcall"


def point_z(job: Job, symbol: str) -> str:
    """Lines that point Z (and RAMPZ) at a symbol; they use r22."""
    lines = f"""
        ldi   r30, lo8({symbol})
        ldi   r31, hi8({symbol})
    """
    if job.far:
        lines += f"""
        ldi   r22, hh8({symbol})
        out   {RAMPZ:#x}, r22
        """
    return lines


def point(pair: str, symbol: str) -> str:
    """Lines that point X or Y at an address in SRAM."""
    low = {"X": 26, "Y": 28}[pair]
    return f"""
        ldi   r{low}, lo8({symbol})
        ldi   r{low + 1}, hi8({symbol})
    """


def until(pair: str, end: str, again: str, body: int = 0) -> str:
    """Lines that go back to `again` unless the pointer has reached `end`.

    body: bytes from there to here. Long loops use r22.
    """
    low = {"X": 26, "Y": 28}[pair]
    if body > _NEAR:
        return f"""
        cpi   r{low}, lo8({end})
        ldi   r22, hi8({end})
        cpc   r{low + 1}, r22
        breq  {again}_done
        rjmp  {again}
        {again}_done:
        """
    return f"""
        cpi   r{low}, lo8({end})
        brne  {again}
        cpi   r{low + 1}, hi8({end})
        brne  {again}
    """
