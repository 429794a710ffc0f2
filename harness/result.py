"""A measurement as it is shown, stored, compared and sent between processes: plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from harness.measure import Measurement
from harness.record import Record


@dataclass(frozen=True, slots=True)
class Result:
    """What one benchmark found of one program.

    benchmark: its name; for a test, pytest's node id. inputs: a digest of the inputs that were run.
    records: the whole program, then its layers in order, then the rest. remarks: lines for below
    the table.
    """

    benchmark: str
    inputs: str
    records: tuple[Record, ...]
    remarks: tuple[str, ...] = ()

    @property
    def total(self) -> Record:
        """The record of the whole program."""
        return self.records[0]

    def flat(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return asdict(self)

    @classmethod
    def from_flat(cls, stored: Mapping[str, Any]) -> Result:
        """From what `flat` gave; TypeError or KeyError for anything else."""
        return cls(
            benchmark=stored["benchmark"],
            inputs=stored["inputs"],
            records=tuple(Record(**record) for record in stored["records"]),
            remarks=tuple(stored["remarks"]),
        )


def records_of(results: Iterable[Result]) -> list[Record]:
    """The records of all results."""
    return [record for result in results for record in result.records]


def result_of(measurement: Measurement, benchmark: str) -> Result:
    """What is to be told of a measurement, under the benchmark's name."""
    remarks = tuple(_remarks(measurement))
    return Result(benchmark, measurement.inputs, measurement.records, remarks)


def _remarks(measurement: Measurement) -> list[str]:
    model = measurement.model
    lines = []
    if measurement.misfit:
        lines.append(f"{model.name} {measurement.misfit}")
    if measurement.difference:
        where = measurement.difference
        lines.append(
            f"{model.name} on {measurement.target.name} is NOT bit-exact: input {where.sample}, "
            f"{where.tensor}[{where.index}]: emulator {where.got}, reference {where.want}"
        )
    if measurement.total.accuracy_by:
        lines.append(
            f"{model.name}: accuracy by the {measurement.total.accuracy_by}, "
            f"{model.evaluation.what}"
        )
    return lines + [f"{model.name}: {note}" for note in model.lines]
