"""The end of a block of accumulators: requantized, in order, to the output tensor."""

from __future__ import annotations

from dataclasses import dataclass

from kernels.emit import Job, tensor_symbol
from kernels.ir import Range
from kernels.ops.linear import Linear
from kernels.requant_plan import RequantPlan
from kernels.z80.accumulators import store_output
from kernels.z80.requantize import constants_size, requantize

_INT16 = Range(-0x8000, 0x7FFF)


def is_plain(plan: RequantPlan) -> bool:
    """Whether the output is an accumulator of 16 bits, shifted by at most 7."""
    return (
        plan.acc_bytes == 2
        and plan.how.is_shift
        and plan.how.shift <= 7
        and plan.how.zero_point == 0
        and plan.product in _INT16
        and plan.clamp_low is None
        and plan.clamp_high is None
    )


_SHIFT = "sra a\nrr c\n"


@dataclass(frozen=True)
class Finish:
    """Some outputs of a layer, `units`, whose sums lie in pages. prefix: for labels."""

    job: Job
    layer: Linear
    plan: RequantPlan
    prefix: str
    pages: str
    units: range

    @property
    def _output(self) -> str:
        """Address of the first of the units."""
        output = self.layer.output
        return f"{tensor_symbol(output)}+{self.units.start * output.dtype.size}"

    def write_plain(self) -> None:
        """For sums that began with their bias, the last first; SP must be borrowed.

        Clobbers AF, BC, DE, HL. A unit takes 37 T and 16 for each bit of the shift; a group of 4, 2
        or 1, whichever divides the units, 14 more. With outputs of a byte a unit takes 2 T more.
        """
        units, wide = len(self.units), self.layer.output.dtype.size == 2
        group = next(size for size in (4, 2, 1) if units % size == 0)
        unit = f"""
            ld c,(hl)
            inc h
            ld a,(hl)
            dec h
            dec l
            {_SHIFT * self.plan.how.shift}
        """
        unit += "ld b,a\npush bc" if wide else "ld a,c\nld (de),a\ndec de"
        last = f"{self._output}+{units * self.layer.output.dtype.size}"
        self.job.code.emit(f"""
            ld hl,{self.pages}+{units - 1}
            {f"ld sp,{last}" if wide else f"ld de,{last}-1"}
            ld {"e" if wide else "b"},{units // group}
        {self.prefix}:
        """)
        self.job.at_most(self.prefix, units // group)
        self.job.code.emit(unit * group)
        self.job.code.emit(f"dec {'e' if wide else 'b'}\njp nz,{self.prefix}")

    def write(self, constants: str) -> None:
        """With any requantization; what each unit needs lies one after the other at `constants`.

        Clobbers every register. Stack: two bytes.
        """
        out, plan = self.job.code, self.plan
        third = "inc h\nld a,(hl)" if plan.acc_bytes == 3 else ""
        out.emit(f"""
            ld ix,{constants}
            ld iy,{self._output}
            ld hl,{self.pages}
        {self.prefix}:
            push hl
            ld e,(hl)
            inc h
            ld d,(hl)
            {third}
            ex de,hl
        """)
        self.job.at_most(self.prefix, len(self.units))
        requantize(self.job, self.prefix, plan, len(self.units))
        store_output(out, self.layer.output.dtype.size)
        out.emit(f"""
            ld de,{constants_size(plan)}
            add ix,de
            pop hl
            inc l
            ld a,l
            cp {len(self.units)}
            jp nz,{self.prefix}
        """)
