"""Add on AVR: two multiplications an element, then the requantization of every layer.

Operands are made unsigned on loading; what that adds is in the bias, with the zero points.
"""

from __future__ import annotations

from kernels.avr.memory import point, until
from kernels.avr.multiply import product
from kernels.avr.requantize import ACC, finish
from kernels.emit import Job, emitter, little_endian, tensor_symbol
from kernels.ir import Tensor
from kernels.ops.add import Add
from kernels.requant_plan import plan_requantization

_X = 16  # an operand's lowest register
_MULTIPLIERS = (2, 12)  # the lowest register of each operand's multiplier


@emitter("avr", Add)
def emit(job: Job) -> None:
    """Write the walk. Registers: r2, r3 and r12, r13 multipliers; r16, r17 an operand; r18 up sum.

    X the left operand, Z the right one, Y the output. Clobbers every register. Stack: none; without
    MUL a return address. Cycles an element of bytes with multipliers of one byte, a 16-bit sum
    and a shift of 8 that rounds down, no saturation: 18.
    """
    layer = job.node
    assert isinstance(layer, Add)
    ranges = [job.ranges[tensor.name] for tensor, _ in layer.operands]
    plan = plan_requantization(layer, *ranges)
    out, output, label = job.code, layer.output, job.label("chunk")
    bias, fetch = 0, ["clr   r25"]
    operands = zip(layer.operands, ranges, "XZ", _MULTIPLIERS, strict=True)
    for number, ((tensor, multiplier), known, pointer, register) in enumerate(operands):
        offset = 0 if known.low >= 0 else 1 << (tensor.dtype.bits - 1)
        bias -= (offset + tensor.zero_point) * multiplier
        size = 1 if multiplier < 256 else 2
        for byte, value in enumerate(little_endian(multiplier, size)):
            out.emit(f"ldi   r16, {value}\nmov   r{register + byte}, r16")
        fetch += _load(tensor, pointer, offset)
        for i in range(tensor.dtype.size):
            for j in range(size):
                first = number == 0 and i == j == 0
                fetch += _multiply_add(job, (i, register + j, i + j), plan.acc_bytes, first=first)
    out.emit(point("X", tensor_symbol(layer.left)) + point("Y", tensor_symbol(output)))
    right = tensor_symbol(layer.right)
    out.emit(f"""
            ldi   r30, lo8({right})
            ldi   r31, hi8({right})
            ldi   r24, {output.count & 0xFF}
    {label}:
    """)
    start = out.size
    finish(job, out, label, plan, ("\n".join(fetch), "Y+"), bias=bias)
    if output.count > 256:
        job.at_most(f"{label}_next", -(-output.count // 256))
        out.emit(f"ldi   r24, 0                  ; the next 256 #{label}_next")
        end = f"{tensor_symbol(output)} + {output.size}"
        out.emit(until("Y", end, label, out.size - start))


def _load(tensor: Tensor, pointer: str, offset: int) -> list[str]:
    lines = [f"ld    r{_X + byte}, {pointer}+" for byte in range(tensor.dtype.size)]
    if offset:
        lines.append(f"subi  r{_X + tensor.dtype.size - 1}, 0x80             ; to unsigned")
    return lines


def _multiply_add(job: Job, digits: tuple[int, int, int], size: int, *, first: bool) -> list[str]:
    """Add operand byte i times a multiplier's register to the sum, from byte `at` on."""
    i, register, at = digits
    if at >= size:
        return []
    lines = [product(job, f"r{_X + i}", f"r{register}")]
    if first:
        clears = [f"clr   r{ACC + byte}" for byte in range(2, size)]
        return [*lines, f"mov   r{ACC}, r0", f"mov   r{ACC + 1}, r1", *clears]
    sources = ["r0", "r1", *["r25"] * size][: size - at]
    return lines + [
        f"{'adc' if byte else 'add'}   r{ACC + at + byte}, {source}"
        for byte, source in enumerate(sources)
    ]
