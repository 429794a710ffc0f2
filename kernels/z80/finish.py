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
        """For sums that began with their bias. Clobbers the main registers.

        73 T a unit, 16 for each bit of the shift, and 13 more where outputs have two bytes.
        """
        wide = self.layer.output.dtype.size == 2
        shift = "sra a\nrr c\n" * self.plan.how.shift
        self.job.code.emit(f"""
            ld hl,{self.pages}
            ld de,{self._output}
            ld b,{len(self.units) & 0xFF}
        {self.prefix}:
            ld c,(hl)
            inc h
            ld a,(hl)
            dec h
            inc l
            {shift}
            ex de,hl
            ld (hl),c
            inc hl
            {"ld (hl),a" if wide else ""}
            {"inc hl" if wide else ""}
            ex de,hl
            djnz {self.prefix}
        """)

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
        requantize(out, self.prefix, plan)
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
