"""A reply by the emulated network itself: each character that it gives is in its next input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import HarnessError
from harness.measure import first_difference
from harness.run import Run, Runner
from harness.table import Heading, Table
from kernels import reference
from kernels.image import Program
from models import Model

END = "(end)"


@dataclass(frozen=True, eq=False, slots=True)
class Spoken:
    """A reply to a text. characters, cycles: of each inference, the one that ended it, too.

    bit_exact: whether every output of each equals the reference's.
    """

    program: Program
    text: str
    reply: str
    characters: tuple[str, ...]
    cycles: tuple[int, ...]
    bit_exact: bool

    @property
    def milliseconds(self) -> float:
        """Of the whole reply, on the target."""
        return self.program.target.milliseconds(sum(self.cycles))


def say(model: Model, program: Program, text: str) -> Spoken:
    """Have the network reply in the emulator.

    Raises HarnessError for a model that is no chat, ModelError or GraphError for a text that it
    cannot be given.
    """
    if model.talk is None:
        raise HarnessError(f"{model.name} takes no text: give --input or --file")
    runner, runs, output = Runner(program), list[Run](), model.graph.outputs[-1]

    def predict(inputs: NDArray[np.uint8]) -> NDArray[np.int64]:
        done = list(runner.infer_all(inputs))
        runs.extend(done)
        return np.array([run.outputs[output].flat[0] for run in done], np.int64)

    reply = model.talk.reply(text, predict)
    expected = reference.run(model.graph, reply.inputs)
    charset = model.talk.charset
    return Spoken(
        program,
        text,
        reply.text,
        tuple(END if one == len(charset) - 1 else charset[one] for one in reply.outputs),
        tuple(run.cycles for run in runs),
        first_difference(model.graph, expected, runs) is None,
    )


def spoken_table(said: Spoken) -> Table:
    """A row for each inference; what it comes to in the title."""
    target, cycles = said.program.target, sum(said.cycles)
    verdict = "equal to the reference" if said.bit_exact else "NOT equal to the reference"
    title = (
        f"{said.program.graph.name} on {target.name}: {said.text!r} -> {said.reply!r}\n"
        f"{len(said.cycles)} inferences, {cycles:,} cycles, {said.milliseconds:,.1f} ms, {verdict}"
    )
    rows = tuple(
        (repr(character) if character != END else END, f"{n:,}", f"{target.milliseconds(n):.3f}")
        for character, n in zip(said.characters, said.cycles, strict=True)
    )
    headings = (Heading("character", left=True), Heading("cycles"), Heading("ms"))
    return Table(title, headings, rows)


def spoken_content(said: Spoken) -> dict[str, Any]:
    """The same for JSON."""
    return {
        "model": said.program.graph.name,
        "target": said.program.target.name,
        "text": said.text,
        "reply": said.reply,
        "characters": list(said.characters),
        "character_cycles": list(said.cycles),
        "cycles": sum(said.cycles),
        "latency_ms": said.milliseconds,
        "bit_exact": said.bit_exact,
    }
