"""Linear with packed weights on Z80: two rows are unpacked at a time, then multiplied as dense8.

Small rather than fast: a weight takes a field of its bits, and two rows of bytes in SRAM. To the
T-states of dense8's folded indices come those of unpacking, for each byte of a row: 133 with
packed4, 231 with packed2, 447 with packed1; with bitmap 51, and for each weight 46 where it is 0,
82 where it is 1, 80 where it is -1, and 20 for each byte of signs.
"""

from __future__ import annotations

from functools import partial

from kernels.emit import Job, emitter
from kernels.ops.linear import Linear
from kernels.requant_plan import plan_requantization
from kernels.z80.linear_dense8 import Dense8
from kernels.z80.unpacking import UNPACKINGS, Unpacking


def _emit(unpacking: Unpacking, job: Job) -> None:
    layer = job.node
    assert isinstance(layer, Linear)
    plan = plan_requantization(layer, job.ranges[layer.input.name])
    Dense8(job, layer, plan, unpacking).write()


for _name, _unpacking in UNPACKINGS.items():
    emitter("z80", Linear, _name, writes_packed=True)(partial(_emit, _unpacking))
