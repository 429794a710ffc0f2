"""Where a model fits, if not on the target that was asked for: sizes first, then one run each."""

from __future__ import annotations

from dataclasses import dataclass

from harness.cache import Cache
from harness.combine import Plan
from harness.costs import Cost, program_cost
from harness.limits import Limits, limits_of
from harness.problem import Problem
from harness.progress import Progress, silent
from harness.search import smallest_plan
from kernels.choice import Choices, as_choice
from kernels.errors import CompilerError
from kernels.target import Target, targets
from models import Model


@dataclass(frozen=True, eq=False, slots=True)
class Elsewhere:
    """A target with room for the model. plan: by rank if that fits, else the smallest; run once."""

    target: Target
    plan: Plan
    cost: Cost

    @property
    def milliseconds(self) -> float:
        """Mean time of an inference."""
        return self.target.milliseconds(self.cost.mean)


def elsewhere(
    model: Model,
    target: Target,
    limits: Limits,
    *,
    fixed: Choices | None,
    cache: Cache,
    progress: Progress = silent,
) -> list[Elsewhere]:
    """All other targets with room, the quickest first; the same one, if limits took some of it."""
    others = [
        one for one in targets().values() if one.name != target.name or limits_of(one) != limits
    ]
    found = []
    for number, other in enumerate(others):
        progress("other targets", number, len(others))
        try:
            one = _on(model, other, fixed, cache)
        except CompilerError:
            continue
        if one:
            found.append(one)
    return sorted(found, key=lambda one: one.milliseconds)


def _on(model: Model, target: Target, fixed: Choices | None, cache: Cache) -> Elsewhere | None:
    given = {name: as_choice(choice) for name, choice in (fixed or {}).items()}
    limits, graph = limits_of(target), model.graph
    problem = Problem(graph, target, model.calibration, limits, given, cache=cache)
    plan = problem.rank if problem.fits_by_rank else smallest_plan(problem)
    if plan is None:
        return None
    cost = program_cost(problem.work, plan, target, cache)
    return Elsewhere(target, plan, cost) if isinstance(cost, Cost) else None
