"""What kernels with weights as code share: which outputs go together, and what each input adds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.encodings import code
from kernels.encodings.code import Term
from kernels.ops.convolution import Convolution


def window_terms(layer: Convolution, first: int, count: int) -> list[list[list[tuple[Term, ...]]]]:
    """Terms of a block of outputs for each row, pixel and channel of the window.

    Channels that a group does not see have no terms.
    """
    rows, columns = layer.window.size
    block = full_matrix(layer)[first : first + count]
    terms = iter(code.encode(block))
    return [
        [[next(terms) for _ in range(layer.image[2])] for _ in range(columns)] for _ in range(rows)
    ]


def full_matrix(layer: Convolution) -> NDArray[np.int8]:
    """The weights over all channels of a window, int8 (out, rows * columns * in).

    Zeros where an output's group does not see a channel.
    """
    channels, out = layer.image[2], len(layer.weights)
    part, outputs = channels // layer.groups, out // layer.groups
    full = np.zeros((out, layer.window.area, channels), np.int8)
    own = layer.matrix.reshape(out, layer.window.area, part)
    for unit in range(out):
        first = unit // outputs * part
        full[unit, :, first : first + part] = own[unit]
    return full.reshape(out, -1)
