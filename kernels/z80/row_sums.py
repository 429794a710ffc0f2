"""Where a kernel writes the sums of its rows: to scratch, or to the output if that is all it is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kernels.emit import Job, tensor_symbol
from kernels.ops.linear import Linear
from kernels.requant_plan import RequantPlan
from kernels.z80.accumulators import finish


@dataclass(frozen=True)
class RowSums:
    """Sums one after the other, in the order of the outputs.

    group: rows that the kernel writes at a time, the last of which may lack some; scratch has room
    for them. Sums of 16 bits that nothing is done to but adding the bias are `direct`: the kernel
    adds it, and writes the output.
    """

    job: Job
    layer: Linear
    plan: RequantPlan
    group: int

    @property
    def size(self) -> int:
        """Bytes of a sum."""
        return self.plan.acc_bytes

    @property
    def groups(self) -> int:
        """Groups of rows."""
        return -(-len(self.layer.bias) // self.group)

    @property
    def direct(self) -> bool:
        """Whether the bias is the kernel's task, and nothing else is left."""
        units = len(self.layer.bias)
        return self.size == 2 and self.plan.is_identity and units % self.group == 0

    @cached_property
    def symbol(self) -> str:
        """The first sum's address."""
        if self.direct:
            return tensor_symbol(self.layer.output)
        return self.job.scratch("sums", self.groups * self.group * self.size)

    @property
    def end(self) -> str:
        """The address behind the last sum."""
        return f"({self.symbol}+{self.groups * self.group * self.size})"

    def finish(self, bias: NDArray[np.int64]) -> None:
        """What is left, with what is added to each sum; see `kernels.z80.accumulators`."""
        if not self.direct:
            finish(self.job, self.layer, self.plan, self.symbol, bias)
