"""The sum of a layer's inputs on AVR, taken once, which kernels with offset weights start from."""

from __future__ import annotations

from kernels.avr.memory import point, until
from kernels.emit import Job, tensor_symbol
from kernels.ir import Range, Tensor

_SUM = 2  # the sum's lowest register
_ZERO = 23
_UNROLL = 4


def sum_inputs(
    job: Job, source: Tensor, x: Range, width: int, symbol: str, *, shift: int, offset: int = 0
) -> None:
    """Write code that leaves -sum(x + offset) << shift in `width` bytes of SRAM at a symbol.

    x: bounds of the inputs; x + offset is not negative. Four inputs of 8 bits take 19 cycles where
    the sum has 16 bits, 4 more for each further byte and for an offset.
    Clobbers r2..r5, r18..r25, X. Stack: none.
    """
    out, label = job.code, job.label("sum")
    largest = (x.high + offset) * source.count
    size = min(width, max(-(-largest.bit_length() // 8), source.dtype.size))
    load = [f"ld    r{24 + byte}, X+" for byte in range(source.dtype.size)]
    if offset:
        load.append(f"subi  r{23 + source.dtype.size}, 0x80")
    step = "\n".join([*load, *_add(size, source.dtype.size)]) + "\n"
    groups, rest = divmod(source.count, _UNROLL)
    out.emit(point("X", tensor_symbol(source)))
    out.emit("\n".join(f"clr   r{r}" for r in [*range(_SUM, _SUM + width), _ZERO]))
    out.emit(step * rest)
    if groups:
        job.at_most(label, groups)
        out.emit(f"{label}:\n{step * _UNROLL}")
        out.emit(until("X", f"{tensor_symbol(source)} + {source.size}", label))
    out.emit(_double(width) * shift)
    for byte in range(width):
        out.emit(f"""
            clr   r24
            {"sbc" if byte else "sub"}   r24, r{_SUM + byte}
            sts   {symbol} + {byte}, r24
        """)


def _add(size: int, read: int) -> list[str]:
    sources = ([24, 25][:read] + [_ZERO] * size)[:size]
    return [
        f"{'adc' if byte else 'add'}   r{_SUM + byte}, r{source}"
        for byte, source in enumerate(sources)
    ]


def _double(width: int) -> str:
    return "".join(f"{'rol' if byte else 'lsl'}   r{_SUM + byte}\n" for byte in range(width))
