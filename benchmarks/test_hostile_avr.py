"""Hostile programs on each AVR: each ends by a named reason, and the process stays as it was."""

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from emulators.base import StopReason
from harness.pytest_plugin import Cycles

MCUS = ("atmega328p", "atmega2560", "atmega1284p", "attiny85")
LONGEST = 600  # seconds
PROGRAM = Path(__file__).with_name("hostile_avr.py")
NAMED = {*map(str, StopReason), "image refused"}


def campaign(mcu: str, images: int) -> dict[str, Any]:
    """Run it in a process of its own: a crash or a hang fails, and so does any word it prints."""
    command = [sys.executable, str(PROGRAM), mcu, "0", str(images)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=True)
    assert ended.stderr == ""
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer


def render(answers: dict[str, dict[str, Any]]) -> str:
    images = sum(next(iter(answers.values()))["ends"].values())
    table = Table(title=f"{images:,} hostile images per device")
    table.add_column("")
    for mcu in answers:
        table.add_column(mcu, justify="right")
    reasons = sorted({reason for answer in answers.values() for reason in answer["ends"]})
    for reason in reasons:
        table.add_row(reason, *(str(answer["ends"].get(reason, 0)) for answer in answers.values()))
    table.add_section()
    table.add_row("memory growth, MB", *(f"{a['grown_mb']:.2f}" for a in answers.values()))
    table.add_row("seconds", *(f"{a['seconds']:.1f}" for a in answers.values()))
    out = StringIO()
    Console(file=out, width=100).print(table)
    return out.getvalue()


def test_hostile_avr_images(cycles: Cycles, hostile_images: int) -> None:
    answers = {mcu: campaign(mcu, hostile_images) for mcu in MCUS}
    cycles.note(render(answers))
    for answer in answers.values():
        assert set(answer["ends"]) <= NAMED
        assert sum(answer["ends"].values()) == hostile_images
    assert sum(answer["grown_mb"] for answer in answers.values()) < 5
