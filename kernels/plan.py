"""What the passes decide of a graph before any code is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kernels.choice import Choice
from kernels.forms import Form
from kernels.ir import Range


@dataclass(frozen=True, eq=False, slots=True)
class Plan:
    """Decisions by name. ranges: of every tensor, proven. choices: of layers with weights.

    forms: of tensors that are not dense in SRAM.
    """

    ranges: Mapping[str, Range]
    choices: Mapping[str, Choice]
    forms: Mapping[str, Form]
