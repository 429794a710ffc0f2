"""Fixtures for models; tests of real data are collected where TRUECYCLE_Z80AI names its folder."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

collect_ignore = [] if os.environ.get("TRUECYCLE_Z80AI") else ["test_tinychat_real.py"]

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


@pytest.fixture
def chat_folder(tmp_path: Path) -> ChatFolder:
    """Write a folder in tinychat's format: `chat_folder(seed, changed entries, lines, ...)`."""

    def write(
        seed: int = 0, changes: dict[str, Any] | None = None, lines: str = LINES, **network: Any
    ) -> Path:
        arrays = chat_arrays(seed, **network) | (changes or {})
        kept = {name: value for name, value in arrays.items() if value is not None}
        np.savez(tmp_path / "model.npz", allow_pickle=True, **kept)
        with gzip.open(tmp_path / "training-data.txt.gz", "wt", encoding="utf-8") as stream:
            stream.write(lines)
        return tmp_path

    return write
