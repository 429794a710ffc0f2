"""What ops with one input and no weights share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kernels.ir import Sharing, Tensor


@dataclass(frozen=True, eq=False)
class Unary:
    """A base of ops' records: one tensor in, one out, nothing multiplied by weights."""

    name: str
    input: Tensor
    output: Tensor

    sharing = Sharing.NONE
    macs = 0
    nnz = 0

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensors read."""
        return (self.input.name,)

    def _source_problems(self, inputs: Sequence[Tensor]) -> list[str]:
        if inputs[0] != self.input:
            return [f"was built for input {self.input}, the graph has {inputs[0]}"]
        return []

    def _same_type_problems(self) -> list[str]:
        """Of ops that pass values on as they are."""
        one, other = self.input, self.output
        if (one.dtype, one.scale, one.zero_point) != (other.dtype, other.scale, other.zero_point):
            return ["input and output must have one dtype, scale and zero point"]
        return []
