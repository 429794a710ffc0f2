"""Sums of a byte (sums8.py) counted in RAM by straight-line code, for which SP stays as it is.

An input's column is walked as often as the input says: 18 T and 3 bytes a step, 21 T and 4 bytes
for the first on a page, and 14 T a walk. Looking at an input takes 27 T, or 31 T if it is active.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.choice import AGAIN
from kernels.emit import Job, tensor_symbol
from kernels.encodings import straight_line
from kernels.ir import Bounds
from kernels.ops.linear import Linear
from kernels.z80.fill import start_values
from kernels.z80.road import Road
from kernels.z80.sums8 import END, Bytes

_PAGE = 256


def count_in_memory(job: Job, layer: Linear, known: Bytes) -> None:
    """Write the layer, whose sums are `known`. Clobbers AF, B, HL, and DE, BC for start values."""
    starts, sums = _starts(known), tensor_symbol(layer.output)
    start_values(job, sums, starts)
    bounds = job.ranges[layer.input.name]
    assert isinstance(bounds, Bounds)
    assert bounds.total
    job.at_most(job.label("walk"), bounds.total.high)
    places = [known.place(unit) for unit in range(len(layer.bias))]
    if job.kept:
        kept = job.scratch("kept", len(starts), kept=True)
        _count(job, range(job.kept), places)
        _copy(job, sums, kept, len(starts))
        job.code.emit(f"{job.label(AGAIN)}:")
        _copy(job, kept, sums, len(starts))
    _count(job, range(job.kept, layer.input.count), places)


def _count(job: Job, inputs: range, places: list[int]) -> None:
    """Step the sums of some inputs. places: of each unit's sum."""
    layer, road = job.node, Road(job, f"part{inputs.start}_")
    assert isinstance(layer, Linear)
    fragments = straight_line.encode(layer.weights)
    for number in inputs:
        steps = sorted((places[unit], sign) for unit, sign in fragments[number])
        if steps:
            piece = job.assembly()
            piece.emit(_column(job, number, steps))
            road.add(piece)
    road.close()


def _copy(job: Job, source: str, target: str, size: int) -> None:
    job.code.emit(f"ld hl,{source}\nld de,{target}\nld bc,{size}\nldir ; #{job.label('copy')}")
    job.at_most(job.label("copy"), size)


def _starts(known: Bytes) -> list[int]:
    """Byte by byte as they lie, an end behind each page's last."""
    last = len(known.blocks) - 1
    data: NDArray[np.int64] = np.zeros(_PAGE * last + len(known.blocks[last].units) + 1, np.int64)
    for number, block in enumerate(known.blocks):
        first = _PAGE * number
        data[first : first + len(block.units)] = block.starts
        data[first + len(block.units)] = END
    found: list[int] = data.tolist()
    return found


def _column(job: Job, number: int, steps: list[tuple[int, int]]) -> str:
    layer, label, page = job.node, job.label(f"i{number}"), None
    assert isinstance(layer, Linear)
    lines = [
        f"ld a,({tensor_symbol(layer.input)}+{number})",
        f"or a\njp z,{label}_over\nld b,a\n{label}_column:",
    ]
    for place, sign in steps:
        near = place // _PAGE == page
        sums = f"{tensor_symbol(layer.output)}+{place}"
        lines.append(f"ld l,{place % _PAGE}" if near else f"ld hl,{sums}")
        lines.append("inc (hl)" if sign > 0 else "dec (hl)")
        page = place // _PAGE
    lines.append(f"dec b ; #{job.label('walk')}\njp nz,{label}_column\n{label}_over:")
    return "\n".join(lines)
