"""What CP/M runs at 0x100: set up the stack, run the network once, go back to CP/M."""

from __future__ import annotations

from kernels.asm import Assembly
from kernels.target import Target
from kernels.z80.isa import Z80

ISA = Z80
RETURN = "ret"
WORD = 1
FAR = 0x10000


def startup(out: Assembly, target: Target) -> None:
    """Write the code at the program's first address."""
    out.emit(f"""
    startup:
            ld    sp, {target.data.end:#x}
            call  infer
            jp    0                       ; warm boot
    """)
