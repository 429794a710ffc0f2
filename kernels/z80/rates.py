"""How often a layer's inputs are active, as far as its choice knows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.emit import Job
from kernels.errors import Unsupported
from kernels.ops.linear import Linear

_RATE = 0.25  # where nothing is known


def rates(job: Job, layer: Linear) -> NDArray[np.float64]:
    """How often each input is not zero, (inputs,); Unsupported for rates of other inputs."""
    known, count = job.choice.rates if job.choice else (), layer.input.count
    if known and len(known) != count:
        raise Unsupported(
            f"{layer.name}: the choice has rates of {len(known)} inputs, the layer {count}"
        )
    return np.array(known) if known else np.full(count, _RATE)
