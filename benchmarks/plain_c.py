"""Plain C for an AVR: compiled by avr-gcc, where there is one, and run in the same emulator."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from elftools.elf.elffile import ELFFile
from numpy.typing import NDArray

from emulators.base import StopReason
from emulators.simavr import SimAvr
from kernels.dtypes import BIT, DType
from kernels.ops.conv2d import Conv2d
from kernels.ops.linear import Linear
from kernels.target import Target, find_target

SOURCES = Path(__file__).parent / "c"
FLAGS = ("-O3", "-std=gnu11", "-Wall", "-Werror", "-nostartfiles")
MISSING = "no avr-gcc here: ./dev bench --with-gcc-avr installs it"
_STACK = 256
_LIMIT = 100_000_000
_IN_ELF = 0x800000  # where a linker keeps data memory


@dataclass(frozen=True)
class PlainC:
    """A compiled layer: reads inputs at `x`, writes outputs at `y`."""

    target: Target
    text: bytes
    symbols: Mapping[str, int]

    def run(self, x: bytes, size: int) -> tuple[bytes, int]:
        """The outputs' bytes and the cycles of one call."""
        emulator = SimAvr(self.target.device)
        emulator.load([(0, self.text)])
        emulator.write(self.symbols["x"] - _IN_ELF, x)
        top = self.target.data.end - 1
        result = emulator.call(
            self.symbols["layer"], limit=_LIMIT, stack=top, stack_floor=top - _STACK
        )
        assert result.reason is StopReason.RETURNED, result.reason
        return emulator.read(self.symbols["y"] - _IN_ELF, size), result.cycles


def compiler() -> str | None:
    """The avr-gcc to be found."""
    return shutil.which("avr-gcc")


def version() -> str:
    """The compiler's name, version and flags."""
    run = subprocess.run(["avr-gcc", "-dumpversion"], capture_output=True, text=True, check=True)
    return f"avr-gcc {run.stdout.strip()} {FLAGS[0]}"


def compile_layer(source: str, header: str, folder: Path, device: str = "uno") -> PlainC:
    """Compile `c/<source>.c` with the layer's numbers as `layer.h` for a target."""
    target = find_target(device)
    (folder / "layer.h").write_text(header)
    elf = folder / f"{source}.elf"
    command = [
        "avr-gcc",
        f"-mmcu={target.device}",
        *FLAGS,
        f"-I{folder}",
        str(SOURCES / f"{source}.c"),
        "-o",
        str(elf),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with elf.open("rb") as stream:
        file = ELFFile(stream)
        symbols = {
            s.name: s["st_value"] for s in file.get_section_by_name(".symtab").iter_symbols()
        }
        return PlainC(target, file.get_section_by_name(".text").data(), symbols)


def layer_header(
    weights: NDArray[np.integer],
    bias: NDArray[np.integer],
    types: Mapping[str, str],
    *,
    shape: tuple[int, int],
    shift: int,
    source: DType,
) -> str:
    """What the sources include: sizes, types (of ACC, INPUT, OUTPUT), weights, bias, x and y."""
    outputs, inputs = shape
    weight = "int8_t" if weights.dtype == np.int8 else "uint8_t"
    packed = source == BIT
    lines = [
        "#include <stdint.h>",
        *(f"#define {name} {kind}" for name, kind in types.items()),
        f"#define INPUTS {inputs}",
        f"#define OUTPUTS {outputs}",
        f"#define SHIFT {shift}",
        f"static const __flash {weight} weights[] = {{{_numbers(weights)}}};",
        f"static const __flash int32_t bias[] = {{{_numbers(bias)}}};",
        f"INPUT x[{source.bytes_for(inputs)}];",
        f"OUTPUT y[{-(-outputs // 8) if packed else outputs}];",
    ]
    return "\n".join(lines) + "\n"


def convolution_header(layer: Conv2d, bits: int) -> str:
    """What `conv3x3.c` includes: sizes, types, weights (out, 3, 3, in), bias and multipliers.

    bits: of the sums, 16 that wrap, or 24.
    """
    how, size = layer.requantization, layer.input.shape[0]
    channels = layer.input.shape[-1]
    sums, signed = {16: ("uint16_t", "(int16_t)"), 24: ("__int24", "")}[bits]
    lines = [
        "#include <stdint.h>",
        f"#define ACC {sums}",
        f"#define SIGNED(acc) ({signed}(acc))",
        "#define INPUT int8_t",
        "#define OUTPUT int8_t",
        f"#define SIZE {size}",
        f"#define CHANNELS {channels}",
        f"#define SHIFT {how.shift}",
        f"#define LOW {how.low}",
        f"#define HIGH {how.high}",
        "static const __flash int8_t weights[] = "
        f"{{{_numbers(layer.weights.transpose(0, 2, 3, 1))}}};",
        f"static const __flash int32_t bias[] = {{{_numbers(layer.bias)}}};",
        f"static const __flash uint16_t multiplier[] = {{{_numbers(how.per_channel(channels))}}};",
        "INPUT x[SIZE * SIZE * CHANNELS];",
        "OUTPUT y[SIZE * SIZE * CHANNELS];",
    ]
    return "\n".join(lines) + "\n"


def chat_header(layers: Sequence[Linear]) -> str:
    """What `chat.c` includes: of each layer its sizes, weights, bias and shifts."""
    lines = ["#include <stdint.h>", f"#define IN1 {layers[0].input.count}"]
    for number, layer in enumerate(layers, 1):
        fields = (layer.weights.astype(np.int64) + 2).reshape(len(layer.bias), -1, 4)
        packed = (fields << (2 * np.arange(4))).sum(axis=2)
        lines += [
            f"#define OUT{number} {len(layer.bias)}",
            f"#define SHIFT{number} {layer.requantization.shift}",
            f"#define IN_SHIFT{number} {layer.input_shift}",
            f"static const __flash uint8_t weights{number}[] = {{{_numbers(packed)}}};",
            f"static const __flash int16_t bias{number}[] = {{{_numbers(layer.bias)}}};",
        ]
    last = f"OUT{len(layers)}"
    ends = ["uint8_t x[IN1], character;", f"int16_t y[{last}];"]
    return "\n".join([*lines, *ends]) + "\n"


def network_header(layers: Sequence[Linear]) -> str:
    """What `mlp.c` includes: of each layer its sizes, weights, bias, multipliers and shift."""
    lines = ["#include <stdint.h>", f"#define IN1 {layers[0].input.count}"]
    for number, layer in enumerate(layers, 1):
        how, outputs = layer.requantization, len(layer.bias)
        lines += [
            f"#define OUT{number} {outputs}",
            f"#define SHIFT{number} {how.shift}",
            f"static const __flash int8_t weights{number}[] = {{{_numbers(layer.weights)}}};",
            f"static const __flash int32_t bias{number}[] = {{{_numbers(layer.bias)}}};",
            f"static const __flash uint16_t multiplier{number}[] = "
            f"{{{_numbers(how.per_channel(outputs))}}};",
        ]
    return "\n".join([*lines, "uint8_t x[IN1];", "uint8_t y[1];"]) + "\n"


def _numbers(values: NDArray[np.integer]) -> str:
    return ", ".join(str(value) for value in values.ravel().tolist())
