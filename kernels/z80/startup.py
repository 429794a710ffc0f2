"""What a Z80 program begins with: take a stack, run the network once, give the machine back."""

from __future__ import annotations

from kernels.asm import Assembly
from kernels.target import Target
from kernels.z80.isa import Z80

ISA = Z80
RETURN = "ret"
WORD = 1
FAR = REACH = 0x10000


def startup(out: Assembly, target: Target) -> None:
    """Write the code at the program's first address, which the system calls."""
    out.emit("startup:")
    out.emit("\n".join(target.enter))
    out.emit(f"""
            ld hl,0
            add hl,sp
            ld sp,{target.data.end & 0xFFFF:#x}
            push hl                     ; the system's stack
            call infer
            pop hl
            ld sp,hl
    """)
    out.emit("\n".join(target.leave))
