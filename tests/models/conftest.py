"""Fixtures for models; tests of real data are collected where TRUECYCLE_Z80AI names its folder."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic_chat import LINES, ChatFolder, chat_arrays

collect_ignore = [] if os.environ.get("TRUECYCLE_Z80AI") else ["test_tinychat_real.py"]


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
