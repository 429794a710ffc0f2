"""A model small enough to be followed by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.avr.targets import UNO
from kernels.dtypes import INT16, UINT8
from kernels.ir import Graph, Tensor
from kernels.ops.argmax import Argmax
from kernels.ops.linear import Linear
from kernels.quant import Requantization, Rounding
from kernels.target import Region
from models import Evaluation, Model, Reference

WEIGHTS = np.array([[1, 0, -2], [0, 1, 1]], np.int8)  # 6 products, 4 of them not with zero
INPUTS = np.array([[9, 0, 0], [0, 0, 0], [1, 2, 3], [0, 255, 0]], np.uint8)
CLASSES = np.array([0, 0, 1, 1])
FLOAT_ACCURACY = 0.875

CRAMPED_FLASH = replace(UNO, name="cramped", code=Region(0, 20))
CRAMPED_SRAM = replace(UNO, name="cramped", data=Region(0x100, 20))


def tiny_graph(weights: NDArray[np.int8] = WEIGHTS) -> Graph:
    """Counts in, logits = weights @ counts, and their argmax."""
    outputs, inputs = weights.shape
    x = Tensor("x", (inputs,), UINT8)
    logits = Tensor("logits", (outputs,), INT16)
    same = Requantization(np.array([1]), 0, Rounding.FLOOR, 0, INT16.low, INT16.high)
    fc = Linear("fc", x, logits, weights, np.zeros(outputs, np.int32), same, wrap=16)
    best = Argmax("best", logits, Tensor("class_index", (1,), UINT8))
    return Graph("tiny", x, (fc, best), ("logits", "class_index"))


def tiny_model(
    inputs: NDArray[np.uint8] = INPUTS,
    labels: Sequence[int] | None = (0, 0, 1, 0),
    **changes: Any,
) -> Model:
    """By default, three of four answers are right; the evaluation's one example is, too."""
    model = Model(
        name="tiny",
        title="two outputs",
        graph=tiny_graph(),
        inputs=inputs,
        labels=None if labels is None else np.array(labels),
        evaluation=Evaluation("1 example", INPUTS[2:3], CLASSES[2:3]),
        reference=Reference("a constant", lambda: FLOAT_ACCURACY),
        notes=("made by hand",),
    )
    return replace(model, **changes)
