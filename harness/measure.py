"""Measure a model on a target: compile, run every input, compare with the reference, count."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import Difference, HarnessError, Mismatch
from harness.plans import PlanPolicy, compile_model
from harness.record import DOES_NOT_FIT, FITS, REST, Record
from harness.run import DEFAULT_LIMIT, Run, Runner
from kernels import reference
from kernels.choice import Choices
from kernels.errors import DoesNotFit, Need
from kernels.image import Program
from kernels.ir import Graph
from kernels.target import Target, find_target
from models import Model, accuracy, load


@dataclass(frozen=True, eq=False, slots=True)
class Measurement:
    """What was measured of a model on a target.

    inputs: a digest of the inputs that were run. records: the whole program, then its layers in
    order, then the rest. difference: the first place where emulator and reference disagree. misfit:
    why the program was not run.
    """

    model: Model
    target: Target
    inputs: str
    records: tuple[Record, ...]
    program: Program | None
    difference: Difference | None
    misfit: DoesNotFit | None

    @property
    def total(self) -> Record:
        """The record of the whole program."""
        return self.records[0]

    @property
    def bit_exact(self) -> bool:
        """Whether it ran, and every output of every input equals the reference."""
        return self.program is not None and self.difference is None

    def check(self) -> None:
        """Raise DoesNotFit or Mismatch unless the program ran bit-exact."""
        if self.misfit:
            raise self.misfit
        if self.difference:
            raise Mismatch(f"{self.model.name} on {self.target.name}", self.difference)


def measure(
    model: Model | str,
    target: Target | str,
    *,
    inputs: NDArray[Any] | None = None,
    encodings: Choices | None = None,
    plan: PlanPolicy = PlanPolicy.AUTO,
    limit: int = DEFAULT_LIMIT,
    reference_accuracy: Callable[[Model], float] = lambda model: model.reference.accuracy(),
    progress: Callable[[int], None] | None = None,
) -> Measurement:
    """Measure a model, or the one of that name, on a target, or the one of that name.

    inputs: integers (n, *input shape) in place of the model's own; there is then no accuracy.
    encodings: by layer's name; plan: how those of the other layers are chosen. limit: cycles after
    which an inference is given up. progress: told how many inputs have been run.
    A program that does not fit is a measurement too, without cycles. Raises CompilerError,
    HarnessError or ModelError for what could not be compiled, run or loaded.
    """
    model = load(model) if isinstance(model, str) else model
    target = find_target(target) if isinstance(target, str) else target
    own = inputs is None
    x = model.inputs if inputs is None else inputs
    if not len(x):
        raise HarnessError(f"{model.name}: there are no inputs to run")
    expected = reference.run(model.graph, x)
    try:
        program = compile_model(model, target, plan, encodings)
    except DoesNotFit as misfit:
        records = _unfit(model, target, misfit)
        return Measurement(model, target, digest(x), records, None, None, misfit)
    runner = Runner(program, limit=limit)
    runner.infer(x[0], profile=True)  # traced, so it also sees code read as data, as profiles do
    runs = []
    for number, run in enumerate(runner.infer_all(x), start=1):
        runs.append(run)
        if progress:
            progress(number)
    difference = first_difference(model.graph, expected, runs)
    score = _Score()
    if own and difference is None:
        score = _score(model, runs, reference_accuracy(model))
    counted = _Counted(model, program, runs, runner.emulator.name, difference is None, score)
    return Measurement(model, target, digest(x), counted.records(), program, difference, None)


def digest(inputs: NDArray[Any]) -> str:
    """A short name for these inputs: other values, dtypes or shapes have another."""
    described = f"{inputs.dtype.newbyteorder('<').str} {inputs.shape} ".encode()
    values = np.ascontiguousarray(inputs, inputs.dtype.newbyteorder("<")).tobytes()
    return sha256(described + values).hexdigest()[:16]


def first_difference(
    graph: Graph, expected: reference.Values, runs: Sequence[Run]
) -> Difference | None:
    """Where outputs of the emulator, run by run, first differ from the reference's batch."""
    for sample, run in enumerate(runs):
        for tensor in graph.outputs:
            got, want = run.outputs[tensor].ravel(), expected[tensor][sample].ravel()
            wrong = np.flatnonzero(got != want)
            if wrong.size:
                at = int(wrong[0])
                return Difference(sample, tensor, at, int(got[at]), int(want[at]))
    return None


@dataclass(frozen=True, slots=True)
class _Score:
    accuracy: float | None = None
    by: str | None = None
    reference: float | None = None


def _score(model: Model, runs: Sequence[Run], float_accuracy: float) -> _Score:
    if model.labels is None:
        return _Score(model.integer_accuracy(), "integer reference", float_accuracy)
    answers = np.array([int(run.outputs[model.graph.outputs[-1]][0]) for run in runs])
    return _Score(accuracy(answers, model.labels), "emulator", float_accuracy)


@dataclass(frozen=True, eq=False, slots=True)
class _Counted:
    """Makes records of runs."""

    model: Model
    program: Program
    runs: Sequence[Run]
    emulator: str
    bit_exact: bool
    score: _Score

    def records(self) -> tuple[Record, ...]:
        nodes = self.model.graph.nodes
        layers = [
            self._record(
                [run.layer_cycles[node.name] for run in self.runs],
                layer=node.name,
                encoding=self._encoding(node.name),
                flash_bytes=self.program.image.size_of(node.name),
                sram_bytes=self.program.layer_sram[node.name],
                macs=node.macs,
                nnz=node.nnz,
            )
            for node in nodes
        ]
        rest = self._record(
            [run.cycles - sum(run.layer_cycles.values()) for run in self.runs],
            layer=REST,
            flash_bytes=self.program.image.size_of(None),
        )
        return self._total(), *layers, rest

    def _encoding(self, layer: str) -> str | None:
        choice = self.program.choices.get(layer)
        return None if choice is None else str(choice)

    def _total(self) -> Record:
        target, peak = self.program.target, max(run.stack_peak for run in self.runs)
        return self._record(
            [run.cycles for run in self.runs],
            layer=None,
            flash_bytes=self.program.flash,
            flash_available=target.code.size,
            sram_bytes=self.program.arena.size + peak,
            sram_available=target.data.size,
            stack_peak=peak,
            macs=sum(node.macs for node in self.model.graph.nodes),
            nnz=sum(node.nnz for node in self.model.graph.nodes),
            accuracy=self.score.accuracy,
            accuracy_by=self.score.by,
            reference_accuracy=self.score.reference,
        )

    def _record(
        self, cycles: Sequence[int], *, layer: str | None, flash_bytes: int, **fields: Any
    ) -> Record:
        counts = np.array(cycles, np.int64)
        mean, macs = float(counts.mean()), fields.get("macs", 0)
        return _record(
            self.model,
            self.program.target,
            layer=layer,
            verdict=FITS,
            n_inputs=len(counts),
            cycles_sum=int(counts.sum()),
            cycles_min=int(counts.min()),
            cycles_mean=mean,
            cycles_p95=int(np.percentile(counts, 95, method="inverted_cdf")),
            cycles_max=int(counts.max()),
            latency_ms=self.program.target.milliseconds(mean),
            flash_bytes=flash_bytes,
            cycles_per_mac=mean / macs if macs else None,
            bit_exact=self.bit_exact,
            emulator=self.emulator,
            **fields,
        )


def _unfit(model: Model, target: Target, misfit: DoesNotFit) -> tuple[Record, ...]:
    nodes = model.graph.nodes
    total = _record(
        model,
        target,
        layer=None,
        verdict=DOES_NOT_FIT,
        flash_bytes=_image_bytes(misfit.needs),
        flash_available=target.code.size,
        sram_bytes=sum(need.size for need in misfit.needs if not need.in_image),
        sram_available=target.data.size,
        macs=sum(node.macs for node in nodes),
        nnz=sum(node.nnz for node in nodes),
    )
    layers = [
        _record(
            model,
            target,
            layer=node.name,
            verdict=DOES_NOT_FIT,
            flash_bytes=_image_bytes(misfit.needs, node.name),
            macs=node.macs,
            nnz=node.nnz,
        )
        for node in nodes
    ]
    rest = _record(
        model,
        target,
        layer=REST,
        verdict=DOES_NOT_FIT,
        flash_bytes=_image_bytes(misfit.needs, None),
    )
    return total, *layers, rest


def _image_bytes(needs: Iterable[Need], *layers: str | None) -> int:
    """Bytes in the image, of some layers or of all."""
    return sum(n.size for n in needs if n.in_image and (not layers or n.layer in layers))


def _record(model: Model, target: Target, **fields: Any) -> Record:
    """A record in which what is not named is unknown."""
    unknown: dict[str, Any] = dict.fromkeys(Record.__dataclass_fields__)
    return Record(
        **unknown
        | {"model": model.name, "target": target.name, "n_inputs": 0, "macs": 0, "nnz": 0}
        | fields
    )
