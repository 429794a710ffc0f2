"""Linear with packed2 weights on AVR: output-stationary, by masks or, without MUL, unpacked."""

from __future__ import annotations

from kernels.avr.masked import Masked
from kernels.avr.offset_weights import Unpacked
from kernels.avr.stationary import stationary_layer
from kernels.emit import Job, emitter
from kernels.encodings import packed2
from kernels.ops.linear import Linear


@emitter("avr", Linear, packed2.NAME, writes_packed=True)
def emit(job: Job) -> None:
    """Write the layer; cycles stand with the two ways, `Masked` and `Unpacked`.

    Uses every register. Stack: one return address, and without MUL another.
    """
    layer, plan = stationary_layer(job)
    plain = layer.input.dtype.size == 2 or "MUL" not in job.target.features
    (Unpacked if plain else Masked)(job, layer, plan, packed2).write()
