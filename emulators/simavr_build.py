"""Builds `emulators._simavr`: our run loop in C around libsimavr (cffi, API mode).

setup.py hands `ffibuilder` to setuptools; nothing else imports this module.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from cffi import FFI

_HERE = Path(__file__).resolve().parent


def _pkg_config(option: str, default: str) -> str:
    """Ask pkg-config about simavr; `default` where it does not know."""
    tool = shutil.which("pkg-config")
    if tool is None:
        return default
    answer = subprocess.run([tool, option, "simavr"], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or default


def _declarations(header: str) -> str:
    """Give the header's text without preprocessor lines, which cffi does not read."""
    return "\n".join(line for line in header.splitlines() if not line.startswith("#"))


ffibuilder = FFI()
ffibuilder.cdef(_declarations((_HERE / "simavr_loop.h").read_text(encoding="utf-8")))
ffibuilder.cdef("static const char *const SIMAVR_VERSION;")
ffibuilder.set_source(
    "emulators._simavr",
    f"""
    #include "simavr_loop.h"
    static const char *const SIMAVR_VERSION = "{_pkg_config("--modversion", "1.6")}";
    """,
    sources=[f"emulators/simavr_{part}.c" for part in ("loop", "machine", "guard")],
    depends=["emulators/simavr_loop.h", "emulators/simavr_machine.h"],
    include_dirs=["emulators", _pkg_config("--variable=includedir", "/usr/include") + "/simavr"],
    libraries=["simavr"],
    # Chosen by benchmarks/test_emulator_speed.py; the loop is that sensitive to scheduling.
    extra_compile_args=["-O2", "-fschedule-insns", "-std=gnu11", "-Wall", "-Wextra"],
)
