"""Where an AVR layer writes its activations: the tensor, or bytes that are packed to bits after."""

from __future__ import annotations

from kernels.avr.memory import point
from kernels.emit import Job, tensor_symbol


def output_symbol(job: Job) -> str:
    """The symbol of the first activation; for packed outputs a scratch of a byte for each."""
    output = job.node.output
    return job.scratch("bytes", output.count) if output.dtype.packed else tensor_symbol(output)


def pack_outputs(job: Job) -> None:
    """Behind all blocks: pack the scratch to the tensor, if it is packed; nothing otherwise.

    Eight outputs take 37 cycles. Clobbers r0, r18, r24 (r25), X, Y. Stack: none.
    """
    out, output = job.code, job.node.output
    if not output.dtype.packed:
        return
    take = "ld    r0, X+\nlsr   r0\nror   r18\n"
    whole, rest = divmod(output.count, 8)
    out.emit(point("X", job.label("bytes")) + point("Y", tensor_symbol(output)))
    if whole:
        loop = job.label("pack")
        job.at_most(loop, whole)
        out.emit(f"""
                ldi   r24, lo8({whole})
                ldi   r25, hi8({whole})
        {loop}:
                {take * 8}
                st    Y+, r18
                sbiw  r24, 1
                brne  {loop}
        """)
    if rest:
        out.emit(f"clr   r18\n{take * rest}" + "lsr   r18\n" * (8 - rest) + "st    Y+, r18")
