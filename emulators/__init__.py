"""Emulators driven from Python: exact cycles, stack peaks and profiles of real machine code."""
