"""Whether a model fits a target, with which plan, and if not, what would do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.cache import Cache
from harness.limits import Limits, limits_of
from harness.search import Candidate, NoPlanFits, Objective, Search, search
from kernels.choice import Choices
from kernels.compile import draft_graph
from kernels.draft import Draft
from kernels.errors import Budget, CompilerError
from kernels.target import Target, targets
from models import Model


@dataclass(frozen=True, eq=False, slots=True)
class Elsewhere:
    """Another target on which the model fits, with its fastest plan there."""

    target: Target
    found: Search


@dataclass(frozen=True, eq=False, slots=True)
class Fit:
    """A verdict. found: the plan that is taken, None where none fits.

    draft: of that plan, or of the smallest one. budgets: what it needs of each memory.
    elsewhere: where this target does not do, those that would, the quickest first.
    """

    model: Model
    found: Search | None
    draft: Draft
    budgets: tuple[Budget, ...]
    candidates: tuple[Candidate, ...]
    elsewhere: tuple[Elsewhere, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether there is a plan within the limits."""
        return self.found is not None


def fit(
    model: Model,
    target: Target,
    limits: Limits,
    *,
    objective: Objective = Objective.MEAN,
    fixed: Choices | None = None,
    cache: Cache | None = None,
) -> Fit:
    """Search for the best plan within limits; where there is none, look at the other targets.

    Raises CompilerError for what cannot be compiled at all.
    """
    cache = cache or Cache()
    graph, inputs = model.graph, model.calibration
    try:
        found = search(graph, target, inputs, limits, objective=objective, fixed=fixed, cache=cache)
    except NoPlanFits as misfit:
        return Fit(
            model,
            None,
            misfit.draft,
            misfit.budgets,
            misfit.candidates,
            tuple(sorted(_elsewhere(model, target, fixed, cache), key=_milliseconds)),
        )
    draft = draft_graph(graph, target, found.plan)
    return Fit(model, found, draft, limits.budgets(draft), found.candidates)


def _elsewhere(
    model: Model, target: Target, fixed: Choices | None, cache: Cache
) -> Iterator[Elsewhere]:
    for other in targets().values():
        if other.name == target.name:
            continue
        limits = limits_of(other)
        try:
            found = search(model.graph, other, model.calibration, limits, fixed=fixed, cache=cache)
        except CompilerError:
            continue
        yield Elsewhere(other, found)


def _milliseconds(one: Elsewhere) -> float:
    return one.target.milliseconds(one.found.cost.mean)
