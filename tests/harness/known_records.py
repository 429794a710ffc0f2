"""Records written by hand: a program that fits with its layers, and one that does not."""

from __future__ import annotations

from dataclasses import replace

from harness.record import DOES_NOT_FIT, FITS, REST, Record

FITTING = Record(
    model="net",
    target="uno",
    layer=None,
    encoding=None,
    verdict=FITS,
    n_inputs=100,
    cycles_sum=123_456_725,
    cycles_min=1_000_000,
    cycles_mean=1_234_567.25,
    cycles_p95=1_500_000,
    cycles_max=1_600_001,
    latency_ms=77.160453125,
    flash_bytes=30_123,
    flash_available=32_256,
    sram_bytes=612,
    sram_available=2048,
    stack_peak=8,
    macs=100_000,
    nnz=54_321,
    cycles_per_mac=12.3456725,
    bit_exact=True,
    accuracy=0.875,
    accuracy_by="emulator",
    reference_accuracy=0.9,
    emulator="simavr 1.7",
)
LAYER = replace(
    FITTING,
    layer="fc1",
    encoding="index-lists",
    cycles_sum=123_450_000,
    cycles_mean=1_234_500.0,
    flash_available=None,
    sram_bytes=604,
    sram_available=None,
    stack_peak=None,
    accuracy=None,
    accuracy_by=None,
    reference_accuracy=None,
)
REMAINDER = replace(
    LAYER,
    layer=REST,
    encoding=None,
    cycles_sum=6_725,
    cycles_min=67,
    cycles_mean=67.25,
    cycles_p95=68,
    cycles_max=68,
    latency_ms=0.004203125,
    flash_bytes=23,
    sram_bytes=None,
    macs=0,
    nnz=0,
    cycles_per_mac=None,
)
TOO_LARGE = replace(
    FITTING,
    model="big",
    verdict=DOES_NOT_FIT,
    n_inputs=0,
    cycles_sum=None,
    cycles_min=None,
    cycles_mean=None,
    cycles_p95=None,
    cycles_max=None,
    latency_ms=None,
    flash_bytes=40_000,
    stack_peak=None,
    cycles_per_mac=None,
    bit_exact=None,
    accuracy=None,
    accuracy_by=None,
    reference_accuracy=None,
    emulator=None,
)
LAYER_TOO_LARGE = replace(
    TOO_LARGE,
    layer="fc1",
    flash_bytes=39_900,
    flash_available=None,
    sram_bytes=None,
    sram_available=None,
)
RECORDS = (FITTING, LAYER, REMAINDER, TOO_LARGE, LAYER_TOO_LARGE)
