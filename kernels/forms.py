"""Forms: what a tensor between two layers looks like in SRAM, where both emitters know better.

A tensor's elements normally lie one after the other (dense), and the graph's input and outputs
always do. Between two layers an emitter may leave something that the next one reads faster: raw
sums that the reader requantizes on the fly, or a list of what is not zero. Emitters name the forms
that they can write and read; a tensor takes a form when its writer and its only reader agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kernels.ir import Node, Range

Serves = Callable[[Node, Node, Mapping[str, Range]], bool]


@dataclass(frozen=True, slots=True)
class Form:
    """One form. serves: whether it can stand between a writer and a reader, given proven ranges."""

    name: str
    serves: Serves
