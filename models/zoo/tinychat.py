"""tinychat: z80ai's chat network, 2-bit weights and 16-bit arithmetic that may wrap."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.chat.talk import Talk
from models.evaluation import ReplyTable
from models.model import FLOAT, Evaluation, Model, Reference, Stages
from models.registry import register
from models.tasks.tinychat import DATA
from models.tinychat import load_tinychat

NAME = "tinychat"
TITLE = "tinychat of HarryR/z80ai, weights in -2..1"
BENCHMARK_QUERIES = 100


@register(NAME, TITLE, DATA)
def load(folder: Path) -> Model:
    """The network in `folder`; its inputs are the free-running replies to the first 100 queries."""
    chat = load_tinychat(folder)
    examples = chat.teacher_forced
    what = f"{len(examples.labels):,} characters, teacher-forced, protocol B"

    def reference_accuracy() -> float:
        from models.tinychat.network import float_accuracy  # noqa: PLC0415 - imports torch

        return float_accuracy(chat.weights, examples.inputs, examples.labels)

    def stages(inputs: NDArray[np.uint8]) -> Stages:
        from models.tinychat.network import float_layers  # noqa: PLC0415 - imports torch

        return {FLOAT: float_layers(chat.weights, inputs)}

    sizes = "-".join(str(tensor.count) for tensor in list(chat.graph.tensors.values())[:-1])

    def blind() -> str:
        share = ReplyTable(chat.pairs, chat.weights.charset).accuracy(chat.pairs)
        return f"a table of reply prefixes that ignores the query reaches {share:.1%}"

    return Model(
        name=NAME,
        title=f"{TITLE}, {sizes}",
        graph=chat.graph,
        inputs=chat.free_running(BENCHMARK_QUERIES),
        labels=None,
        evaluation=Evaluation(what, examples.inputs, examples.labels),
        reference=Reference(f"float PyTorch, {what}", reference_accuracy, stages),
        notes=(
            "protocol B: trained and scored on all data, so accuracy is memory, not generalization",
            blind,
            f"inputs: free-running replies to the first {BENCHMARK_QUERIES} unique queries",
        ),
        talk=Talk(chat.weights.charset),
    )
