"""Errors of a measurement, with the figures behind them."""

from __future__ import annotations

from dataclasses import dataclass

from emulators.base import CallResult, EmulatorError
from kernels.errors import CompilerError
from models.errors import ModelError


class HarnessError(Exception):
    """A measurement could not be made, or its result must not be used."""


class RunFailed(HarnessError):
    """A program did not return as it should. `where` names the place as symbol + offset."""

    def __init__(self, program: str, result: CallResult, where: str) -> None:
        access = "" if result.address is None else f", address {result.address:#06x}"
        super().__init__(
            f"{program}: {result.reason} at {where} (pc {result.pc:#06x}{access}), "
            f"after {result.cycles:,} cycles"
        )
        self.result, self.where = result, where


@dataclass(frozen=True, slots=True)
class Difference:
    """The first element of an output that the emulator and the reference disagree on."""

    sample: int
    tensor: str
    index: int
    got: int
    want: int


class Mismatch(HarnessError):
    """An emulated output differs from the reference."""

    def __init__(self, program: str, where: Difference) -> None:
        super().__init__(
            f"{program}: input {where.sample}: {where.tensor}[{where.index}] is {where.got} in the "
            f"emulator, {where.want} in the reference"
        )
        self.where = where


KNOWN_ERRORS = (CompilerError, EmulatorError, HarnessError, ModelError)
"""What users can cause: shown as one line. Anything else is a defect, shown with its traceback."""
