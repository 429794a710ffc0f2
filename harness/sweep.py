"""Many configurations at once: models x targets x encodings x budgets x shards of inputs.

Every finished configuration is a line of a file, so an interrupted sweep goes on where it was. The
outcome of a configuration depends on nothing else, wherever it ran.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np

from harness.emulate import Shard, run_shard
from harness.errors import HarnessError
from harness.executor import Executor
from harness.plans import PlanPolicy, compile_model
from harness.record import DOES_NOT_FIT, FITS
from kernels import reference
from kernels.errors import CompilerError, DoesNotFit
from kernels.image import Program
from kernels.target import Region, Target, find_target
from models import Model, load

REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Configuration:
    """One job of a sweep.

    encodings: (layer, name) pairs. budget: bytes of code memory in place of the target's own; None
    for these. start, count: which examples of the model's evaluation. data: the model's folder.
    plan: how the encodings of the other layers are chosen, within the budget.
    """

    model: str
    target: str
    encodings: tuple[tuple[str, str], ...]
    budget: int | None
    start: int
    count: int
    data: str | None = None
    plan: PlanPolicy = PlanPolicy.AUTO

    @property
    def program(self) -> Configuration:
        """The same for all shards of a program's inputs."""
        return replace(self, start=0, count=0)

    @property
    def key(self) -> str:
        """A name: equal for equal configurations, wherever the data lies."""
        return json.dumps(asdict(replace(self, data=None)))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a configuration gave. Sums are over its examples, and exact; None where nothing ran.

    verdict: `fits`, `does not fit`, or `refused`, with the reason. layer_cycles: sums by layer.
    right: how many classes were right. equal: how many examples equal the reference. held: how
    each layer's weights are.
    """

    configuration: Configuration
    verdict: str
    reason: str | None = None
    flash_bytes: int | None = None
    sram_bytes: int | None = None
    examples: int = 0
    cycles_sum: int | None = None
    cycles_min: int | None = None
    cycles_max: int | None = None
    layer_cycles: Mapping[str, int] | None = None
    right: int | None = None
    equal: int | None = None
    held: Mapping[str, str] | None = None


def configurations(
    models: Sequence[str],
    targets: Sequence[str],
    *,
    encodings: Mapping[str, Sequence[str]] | None = None,
    budgets: Sequence[int | None] = (None,),
    examples: int | None = None,
    shard: int = 256,
    data: Path | None = None,
    plan: PlanPolicy = PlanPolicy.AUTO,
) -> list[Configuration]:
    """All combinations. encodings: names to try by layer; layers that a model lacks are left out.

    examples: of each model's evaluation, None for all; shard: how many a job runs.
    """
    found = []
    folder = None if data is None else str(data)
    for name in models:
        model = _model(name, folder)
        layers = {node.name for node in model.graph.nodes}
        tried = {layer: names for layer, names in (encodings or {}).items() if layer in layers}
        choices = [tuple(zip(tried, names, strict=True)) for names in product(*tried.values())]
        count = min(examples or len(model.evaluation.inputs), len(model.evaluation.inputs))
        starts = range(0, count, shard)
        for target, chosen, budget, start in product(targets, choices, budgets, starts):
            size = min(shard, count - start)
            found.append(Configuration(name, target, chosen, budget, start, size, folder, plan))
    return found


def run_configuration(configuration: Configuration) -> Outcome:
    """Compile and run one configuration; what cannot be compiled is an outcome, too."""
    model = _model(configuration.model, configuration.data)
    try:
        program = _compiled(configuration.program)
    except DoesNotFit as misfit:
        flash = sum(need.size for need in misfit.needs if need.in_image)
        return Outcome(configuration, DOES_NOT_FIT, str(misfit), flash_bytes=flash)
    except CompilerError as error:
        return Outcome(configuration, REFUSED, str(error))
    part = slice(configuration.start, configuration.start + configuration.count)
    inputs, labels = model.evaluation.inputs[part], model.evaluation.labels[part]
    emulated = run_shard(Shard(program, inputs))
    expected = reference.run(model.graph, inputs)
    equal = np.all(
        [
            (emulated.outputs[n] == expected[n]).reshape(len(inputs), -1).all(axis=1)
            for n in model.graph.outputs
        ],
        axis=0,
    )
    answers = emulated.outputs[model.graph.outputs[-1]].reshape(len(inputs), -1)[:, 0]
    return Outcome(
        configuration,
        FITS,
        flash_bytes=program.flash,
        sram_bytes=program.arena.size + emulated.stack_peak,
        examples=len(inputs),
        cycles_sum=int(emulated.cycles.sum()),
        cycles_min=int(emulated.cycles.min()),
        cycles_max=int(emulated.cycles.max()),
        layer_cycles={name: int(n.sum()) for name, n in emulated.layer_cycles.items()},
        right=int((answers == labels).sum()),
        equal=int(equal.sum()),
        held={layer: str(choice) for layer, choice in program.choices.items()},
    )


@lru_cache(maxsize=4)
def _model(name: str, data: str | None) -> Model:
    return load(name, Path(data) if data else None)


@lru_cache(maxsize=16)
def _compiled(configuration: Configuration) -> Program:
    model, encodings = _model(configuration.model, configuration.data), configuration.encodings
    return compile_model(model, _target(configuration), configuration.plan, dict(encodings))


def _target(configuration: Configuration) -> Target:
    target = find_target(configuration.target)
    if configuration.budget is None:
        return target
    code = Region(target.code.origin, configuration.budget)
    return replace(target, code=code, data=code if target.unified else target.data)


def sweep(
    wanted: Sequence[Configuration],
    executor: Executor,
    journal: Path,
    progress: Callable[[int], None] | None = None,
) -> list[Outcome]:
    """Run what is not in the journal yet, and add it there; all outcomes, in the order wanted.

    progress: told how many outcomes are there.
    """
    found = {outcome.configuration.key: outcome for outcome in read_journal(journal)}
    missing = [one for one in wanted if one.key not in found]
    done = len(wanted) - len(missing)
    with journal.open("a", encoding="utf-8") as stream:
        for _, outcome in executor.map(run_configuration, missing):
            found[outcome.configuration.key] = outcome
            stream.write(_line(outcome))
            stream.flush()
            done += 1
            if progress:
                progress(done)
    return [found[one.key] for one in wanted]


def _line(outcome: Outcome) -> str:
    flat = asdict(outcome)
    del flat["configuration"]["data"]
    return json.dumps(flat) + "\n"


def read_journal(path: Path) -> list[Outcome]:
    """The outcomes in a journal; a last line that was cut off is taken away.

    Raises HarnessError for a file that is no journal.
    """
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    try:
        return [_outcome(json.loads(line)) for line in whole.splitlines()]
    except (ValueError, KeyError, TypeError) as error:
        raise HarnessError(f"{path} is no journal of a sweep: {error!r}") from None


def _outcome(flat: dict[str, object]) -> Outcome:
    stored = flat.pop("configuration")
    if not isinstance(stored, dict):
        raise TypeError("configuration")
    plan = PlanPolicy(stored.pop("plan", PlanPolicy.RANK))  # all that there was once
    encodings = tuple((str(layer), str(name)) for layer, name in stored.pop("encodings"))
    return Outcome(Configuration(encodings=encodings, plan=plan, **stored), **flat)  # type: ignore[arg-type]


def merged(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Shards of the same program added up, in the order of the first ones."""
    programs: dict[Configuration, list[Outcome]] = {}
    for outcome in outcomes:
        programs.setdefault(outcome.configuration.program, []).append(outcome)
    return [_added(program, parts) for program, parts in programs.items()]


def _added(program: Configuration, parts: Sequence[Outcome]) -> Outcome:
    first = parts[0]
    whole = replace(program, count=sum(part.configuration.count for part in parts))
    if first.verdict != FITS:
        return replace(first, configuration=whole)
    layers = [part.layer_cycles or {} for part in parts]
    return replace(
        first,
        configuration=whole,
        sram_bytes=max(part.sram_bytes or 0 for part in parts),
        examples=sum(part.examples for part in parts),
        cycles_sum=sum(part.cycles_sum or 0 for part in parts),
        cycles_min=min(part.cycles_min or 0 for part in parts),
        cycles_max=max(part.cycles_max or 0 for part in parts),
        layer_cycles={name: sum(one[name] for one in layers) for name in layers[0]},
        right=sum(part.right or 0 for part in parts),
        equal=sum(part.equal or 0 for part in parts),
    )
