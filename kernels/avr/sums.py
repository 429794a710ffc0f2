"""Requantizing sums that lie in SRAM one after the other, where registers did not suffice."""

from __future__ import annotations

from dataclasses import replace

from kernels.avr.list_output import ListOutput
from kernels.avr.memory import point, point_z
from kernels.avr.requantize import ACC, finish, output_constants, requantize
from kernels.emit import Job, tensor_symbol
from kernels.ops.linear import Linear
from kernels.requant_plan import RequantPlan


def finish_sums(job: Job, plan: RequantPlan, sums: str) -> None:
    """Sums without biases to a dense output. Uses every register."""
    layer, out = job.node, job.code
    assert isinstance(layer, Linear)
    everything = slice(0, len(layer.bias))
    job.consts.emit(f"{job.label('outputs')}:")
    job.consts.data(".byte", output_constants(plan, layer.folded_bias, everything))
    out.emit(point("Y", sums) + point("X", tensor_symbol(layer.output)))
    out.emit(point_z(job, job.label("outputs")))
    fetch = "\n".join(f"ld    r{ACC + byte}, Y+" for byte in range(plan.acc_bytes))
    left = len(layer.bias)
    while left:
        count = min(left, 256)
        out.emit(f"ldi   r24, {count % 256}")
        finish(job, out, job.label(f"finish{left}"), plan, (fetch, "X+"))
        left -= count


def list_sums(job: Job, plan: RequantPlan, sums: str) -> None:
    """Sums with biases, of a ReLU, to an active list. Clobbers r17..r21, r25, X, Y, Z."""
    out, loop = job.code, job.label("list")
    lists = ListOutput(job)
    lists.begin()
    job.at_most(loop, job.node.output.count)
    out.emit(f"clr   r17\nldi   r30, lo8({sums})\nldi   r31, hi8({sums})\n{loop}:")
    for byte in range(plan.acc_bytes):
        out.emit(f"ld    r{ACC + byte}, Z+")
    out.emit(f"tst   r{ACC + plan.acc_bytes - 1}\nbrpl  .+2\nrjmp  {loop}_zero")
    value = requantize(job, out, loop, replace(plan, clamp_low=None))
    lists.put(out, loop, value, "r17")
    out.emit(f"{loop}_zero:\ninc   r17\ncpi   r17, {job.node.output.count}")
    out.emit(f"breq  {loop}_done\nrjmp  {loop}\n{loop}_done:")
    lists.end()
