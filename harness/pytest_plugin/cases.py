"""Which tests run: the mark `cycles` makes them, `--cycles-model` and `--cycles-target` choose."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import pytest

from harness.pytest_plugin.session import SESSION
from kernels.target import Target, targets
from models import Model


@dataclass(frozen=True, slots=True)
class Case:
    """What the fixture `measured` measures. inputs: how many, the first ones; None for all."""

    model: Model | str
    target: Target | str
    inputs: int | None = None

    def __str__(self) -> str:
        parts = [name_of(self.model), name_of(self.target)]
        return "-".join(parts + ([str(self.inputs)] if self.inputs else []))


def name_of(thing: Model | Target | str) -> str:
    """The name of a model or target, which may be given by name."""
    return thing if isinstance(thing, str) else thing.name


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test for each case of the mark."""
    if "measured" not in metafunc.fixturenames:
        return
    mark = metafunc.definition.get_closest_marker("cycles")
    if mark is None:
        return
    try:
        cases = list(_cases(*mark.args, **mark.kwargs))
    except TypeError as error:
        name = metafunc.definition.nodeid
        raise pytest.UsageError(f"{name}: pytest.mark.cycles: {error}") from None
    metafunc.parametrize("measured", cases, ids=map(str, cases), indirect=True)


def _cases(
    models: Sequence[Model | str],
    targets: Sequence[Target | str] | None = None,
    inputs: Sequence[int | None] = (None,),
) -> Iterable[Case]:
    for model, target, count in product(models, targets or _all_targets(), inputs):
        yield Case(model, target, count)


def _all_targets() -> tuple[str, ...]:
    return tuple(targets())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the benchmarks of the models and targets that were asked for."""
    session = config.stash[SESSION]
    chosen = {"target": session.targets, "model": session.models}
    kept = [item for item in items if all(_is_of(item, *wanted) for wanted in chosen.items())]
    if len(kept) < len(items):
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept


def _is_of(item: pytest.Item, what: str, wanted: Sequence[str]) -> bool:
    """Whether a test's model, or target, is a wanted one, or it has none."""
    found = _name_in(item, what)
    return not wanted or found is None or found in wanted


def _name_in(item: pytest.Item, what: str) -> str | None:
    callspec = getattr(item, "callspec", None)
    parameters = callspec.params if callspec else {}
    case = parameters.get("measured")
    value = getattr(case, what) if isinstance(case, Case) else parameters.get(what)
    return name_of(value) if isinstance(value, Model | Target | str) else None
