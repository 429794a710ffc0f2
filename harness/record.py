"""The record of a measurement: flat, frozen, one per program and one per layer of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

SCHEMA = 2
REST = "(rest)"
FITS, DOES_NOT_FIT = "fits", "does not fit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a program, or a layer of it, costs on a target. Fields are the columns of CSV and JSON.

    layer: None for the whole program; "(rest)" for startup, shared constants and the final return,
    so that layers' cycles and flash add up to the program's. encoding: of the layer's weights.
    verdict: `fits` or `does not fit`; in the latter case what was not run is None.
    cycles_*: over the inputs; p95 is the smallest cycle count that 95 % of inputs do not exceed.
    The sum is the exact integer behind the mean.
    latency_ms: the mean at the device's clock. flash_bytes: text + rodata + data. sram_bytes: arena
    and measured stack peak; for a layer, the buffers in use while it runs. For a program that does
    not fit, both are what it would need, a reserve for the stack included. *_available: of the
    target; one memory may be both.
    accuracy: the share of right answers of the emulated program, or of the integer reference, as
    accuracy_by says; the emulated program equals the latter where bit_exact is true.
    reference_accuracy: the float PyTorch network's, on the same data.
    """

    model: str
    target: str
    layer: str | None
    encoding: str | None
    verdict: str
    n_inputs: int
    cycles_sum: int | None
    cycles_min: int | None
    cycles_mean: float | None
    cycles_p95: int | None
    cycles_max: int | None
    latency_ms: float | None
    flash_bytes: int
    flash_available: int | None
    sram_bytes: int | None
    sram_available: int | None
    stack_peak: int | None
    macs: int
    nnz: int
    cycles_per_mac: float | None
    bit_exact: bool | None
    accuracy: float | None
    accuracy_by: str | None
    reference_accuracy: float | None
    emulator: str | None

    def flat(self) -> dict[str, Any]:
        """The fields by name, in order."""
        return asdict(self)
