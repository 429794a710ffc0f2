"""Some of the hostile programs that `benchmarks/test_hostile_avr.py` runs by the thousand."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from emulators.base import StopReason

ROOT = Path(__file__).parents[2]
IMAGES = 150


@pytest.mark.parametrize("mcu", ["atmega328p", "atmega2560", "atmega1284p", "attiny85"])
def test_hostile_images_end_by_a_named_reason(mcu: str) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "hostile_avr.py"), mcu, "0", str(IMAGES)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=True, env=environment
    )
    assert ended.stderr == ""
    ends = json.loads(ended.stdout)["ends"]
    assert sum(ends.values()) == IMAGES
    assert set(ends) <= {*map(str, StopReason), "image refused"}
    assert len(ends) >= 5
