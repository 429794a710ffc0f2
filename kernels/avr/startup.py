"""What an AVR runs from reset: set up the stack, run the network once, stay."""

from __future__ import annotations

from kernels.asm import Assembly
from kernels.avr.isa import AVR
from kernels.target import Target

ISA = AVR
RETURN = "ret"
WORD = 2
FAR = 0x10000  # LPM reaches no further
REACH = 0x20000  # nor does IJMP beyond this


def startup(out: Assembly, target: Target) -> None:
    """Write the code at the reset vector; interrupts are off, so it may run into the vectors."""
    top = target.data.end - 1
    out.emit(f"""
    startup:
            ldi   r28, {top & 0xFF:#x}
            ldi   r29, {top >> 8:#x}
            out   0x3e, r29               ; SPH
            out   0x3d, r28               ; SPL
            {"call " if "JMP" in target.features else "rcall"} infer
    idle:
            rjmp  idle
    """)
