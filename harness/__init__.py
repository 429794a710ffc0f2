"""Measuring: images meet emulators; tables, records, the pytest plugin and the CLI.

from harness import measure
measure("digits-int8", "uno").total.cycles_mean
"""

from harness.measure import Measurement, measure
from harness.record import Record

__all__ = ["Measurement", "Record", "measure"]
