"""Forms of tensors between layers: taken where writer and only reader agree, dense elsewhere."""

from collections.abc import Sequence

import pytest
from builders import DENSE8, encode_all, graph_of, linear

from kernels import emit
from kernels.compile import decide
from kernels.dtypes import UINT8
from kernels.emit import Emitter, Job
from kernels.forms import Form
from kernels.ir import Graph, Tensor
from kernels.ops.linear import Linear
from kernels.passes.emission import emit_layers, lifetimes
from kernels.passes.layout import startup_of
from kernels.target import find_target

UNO = find_target("uno")
PAIRS = Form("pairs", lambda *_: True)
NEVER = Form("never", lambda *_: False)
SINGLE = Form("single", lambda writer, *_: writer.output.count == 1)


def chain(*, units: int = 2, outputs: Sequence[str] = ()) -> Graph:
    """Two layers; `one_out` lies between them."""
    source = Tensor("x", (3,), UINT8)
    one = linear("one", source, [[1, 2, 3]] * units)
    return graph_of(one, linear("two", one.output, [[1] * units]), source=source, outputs=outputs)


def forked() -> Graph:
    """One tensor, two readers."""
    source = Tensor("x", (3,), UINT8)
    one = linear("one", source, [[1, 2, 3]])
    two, three = (linear(name, one.output, [[1]]) for name in ("two", "three"))
    return graph_of(one, two, three, source=source, outputs=("two_out", "three_out"))


def pretend(
    patch: pytest.MonkeyPatch, reads: tuple[Form, ...], writes: tuple[Form, ...]
) -> list[Job]:
    """Make dense8 on AVR a kernel of those forms that writes nothing; the jobs that it gets."""
    jobs: list[Job] = []

    def write(job: Job) -> None:
        jobs.append(job)
        if job.writes:
            job.output_buffer(300, align=256)

    emit.kernels_for("avr", Linear)  # loads them
    patch.setitem(emit._EMITTERS, ("avr", Linear, DENSE8), Emitter(write, reads, writes))
    return jobs


def forms(graph: Graph) -> dict[str, str]:
    plan = decide(graph, UNO, encode_all(graph, DENSE8))
    return {tensor: form.name for tensor, form in plan.forms.items()}


@pytest.mark.parametrize(
    ("reads", "writes", "expected"),
    [
        ((PAIRS,), (PAIRS,), "pairs"),
        ((SINGLE, PAIRS), (PAIRS, SINGLE), "pairs"),
        ((NEVER,), (NEVER,), None),
        ((PAIRS,), (), None),
        ((), (PAIRS,), None),
    ],
)
def test_writer_and_reader_must_agree(
    monkeypatch: pytest.MonkeyPatch,
    reads: tuple[Form, ...],
    writes: tuple[Form, ...],
    expected: str | None,
) -> None:
    pretend(monkeypatch, reads, writes)
    assert forms(chain()) == ({"one_out": expected} if expected else {})


def test_the_reader_has_the_first_say(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, (SINGLE, PAIRS), (PAIRS, SINGLE))
    assert forms(chain(units=1)) == {"one_out": "single"}


def test_results_and_shared_tensors_are_dense(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, (PAIRS,), (PAIRS,))
    assert forms(chain(outputs=("one_out", "two_out"))) == {}
    assert forms(forked()) == {}


def test_emitters_are_told_and_the_arena_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = pretend(monkeypatch, (PAIRS,), (PAIRS,))
    graph = chain()
    plan = decide(graph, UNO, encode_all(graph, DENSE8))
    emission = emit_layers(graph, UNO, startup_of(UNO).ISA, plan, far=False)
    one, two = jobs
    assert (one.reads, one.writes, one.writer) == (None, PAIRS, None)
    assert (two.reads, two.writes, two.writer) == (PAIRS, None, one.node)
    buffers = {buffer.symbol: (buffer.size, buffer.align) for buffer in lifetimes(graph, emission)}
    assert buffers == {"t_x": (3, 1), "t_one_out": (300, 256), "t_two_out": (2, 1)}
