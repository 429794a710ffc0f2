"""Add on Z80: operands times their multipliers from tables, then every layer's requantization.

Each byte of an operand has a table of its 256 products with the multiplier, zero point taken off,
as wide as the sum: a page for each of the sum's bytes. Operands with one multiplier, zero point and
dtype share theirs.
"""

from __future__ import annotations

import numpy as np

from kernels.asm import Assembly
from kernels.emit import Job, emitter, tensor_symbol
from kernels.ir import Tensor
from kernels.ops.add import Add
from kernels.requant_plan import RequantPlan, plan_requantization
from kernels.z80.accumulators import store_output
from kernels.z80.requantize import output_constants, requantize

_SUM = "cbed"  # registers of the sum, lowest byte first


@emitter("z80", Add)
def emit(job: Job) -> None:
    """Write the walk. Registers: C, B, E, D the sum; HL table; DE', BC' operands; IY output.

    IX the requantization's constants. Clobbers every register. Stack: four bytes, six where the sum
    has 32 bits. T-states an element of bytes: 236 and the requantization, with a 16-bit sum.
    """
    layer = job.node
    assert isinstance(layer, Add)
    plan = plan_requantization(layer, *(job.ranges[t.name] for t, _ in layer.operands))
    out, output, loop = job.code, layer.output, job.label("loop")
    constants = job.label("constants")
    job.consts.emit(f"{constants}:")
    job.consts.data(".byte", output_constants(plan, np.zeros(1, np.int64), 0))
    out.emit(f"""
            ld ix,{constants}
            ld iy,{tensor_symbol(output)}
            exx
            ld de,{tensor_symbol(layer.left)}
            ld bc,{tensor_symbol(layer.right)}
            exx
    {loop}:
    """)
    for number, pointer in enumerate(("de", "bc")):
        tensor, multiplier = layer.operands[number]
        for byte in range(tensor.dtype.size):
            table = _share_table(job, plan, tensor, multiplier, byte)
            out.emit(f"""
                exx
                ld a,({pointer})
                inc {pointer}
                exx
                ld l,a
                ld h,{table}>>8
            """)
            _add_product(out, plan.acc_bytes, first=number == byte == 0)
    top = {2: "", 3: "ld a,e", 4: "push de\nexx\npop hl\nexx"}[plan.acc_bytes]
    # Requantization uses both register sets and may swap them.
    out.emit(f"exx\npush bc\npush de\nexx\nld l,c\nld h,b\n{top}")
    job.at_most(loop, output.count)
    requantize(job, loop, plan, output.count)
    store_output(out, output.dtype.size)
    end = f"({tensor_symbol(output)}+{output.size})"
    out.emit(f"""
            exx
            pop de
            pop bc
            exx
            ld a,iyl
            cp {end}&0xff
            jp nz,{loop}
            ld a,iyh
            cp {end}>>8
            jp nz,{loop}
    """)


def _add_product(out: Assembly, size: int, *, first: bool) -> None:
    """Add the entry at HL to the sum, or begin the sum with it."""
    for byte, register in enumerate(_SUM[:size]):
        out.emit("inc h" if byte else "")
        if first:
            out.emit(f"ld {register},(hl)")
        else:
            out.emit(f"ld a,(hl)\n{'adc' if byte else 'add'} a,{register}\nld {register},a")


def _share_table(job: Job, plan: RequantPlan, tensor: Tensor, multiplier: int, byte: int) -> str:
    """The symbol of the products with one byte of an operand."""
    top = byte == tensor.dtype.size - 1
    values = np.arange(256)
    if top and tensor.dtype.signed:
        values = np.where(values < 128, values, values - 256)
    values = (values << (8 * byte)) - (tensor.zero_point if byte == 0 else 0)
    products = values * multiplier

    def write(out: Assembly) -> None:
        for place in range(plan.acc_bytes):
            out.data(".byte", products >> (8 * place) & 0xFF)

    zero = f"{tensor.zero_point}".replace("-", "m")
    name = f"times{multiplier}_{tensor.dtype}_{zero}_{byte}"
    return job.share(job.label(name), write, align=256, own=True)
