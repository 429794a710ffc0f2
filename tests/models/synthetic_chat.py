"""Random networks and a little data in tinychat's format."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

CHARSET = " ABCDEHIKLNORTUY!?\0"
LINES = """# greetings
hello there|HI
 Hello There | hey you

are you real|R U?
i am certain|NO
x|too short
no reply|
"""

ChatFolder = Callable[..., Path]


def chat_arrays(seed: int, hidden: Sequence[int] = (24, 16), bias: int = 60) -> dict[str, Any]:
    """A random network in z80ai's format; biases reach up to +-`bias`."""
    rng = np.random.default_rng(seed)
    sizes = [256, *hidden, len(CHARSET)]
    architecture = {"input_size": 256, "hidden_sizes": list(hidden), "num_classes": sizes[-1]}
    arrays: dict[str, Any] = {
        "_architecture": np.array(json.dumps(architecture).encode()),
        "_charset": np.array(CHARSET.encode()),
    }
    for number, (inputs, outputs) in enumerate(pairwise(sizes), start=1):
        weights = rng.choice([-2, -1, 0, 1], size=(outputs, inputs), p=[0.1, 0.2, 0.4, 0.3])
        arrays[f"fc{number}_weight"] = weights.astype(np.int8)
        arrays[f"fc{number}_bias"] = rng.integers(-bias, bias, outputs, endpoint=True, dtype="i2")
    return arrays
