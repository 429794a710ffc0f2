"""Which plan a program is compiled with: by rank where that fits, else by measurement."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from numpy.typing import NDArray

from harness.cache import Cache
from harness.combine import Objective
from harness.limits import Limits, limits_of
from harness.search import NoPlanFits, search
from kernels.choice import Choices
from kernels.compile import draft_graph, link_draft
from kernels.draft import Draft
from kernels.errors import DoesNotFit
from kernels.image import Program
from kernels.ir import Graph
from kernels.target import Target
from models import Model


class PlanPolicy(StrEnum):
    """rank: each layer's first encoding in rank, whether or not that fits; nothing is measured.

    fastest: the least mean cycles, measured over calibration inputs, of the plans that fit.
    smallest: the least flash. auto: by rank where that fits, else the fastest that does.
    """

    AUTO = "auto"
    FASTEST = "fastest"
    SMALLEST = "smallest"
    RANK = "rank"


def choose_draft(
    graph: Graph,
    target: Target,
    inputs: NDArray[Any],
    policy: PlanPolicy = PlanPolicy.AUTO,
    *,
    fixed: Choices | None = None,
    limits: Limits | None = None,
    cache: Cache | None = None,
) -> Draft:
    """The graph with the plan that a policy chooses; `fixed` choices as they are.

    inputs: calibration inputs. Raises DoesNotFit where no plan fits, and CompilerError.
    """
    within = limits or limits_of(target)
    if policy in (PlanPolicy.RANK, PlanPolicy.AUTO):
        draft = draft_graph(graph, target, fixed)
        needed = [budget.needed for budget in draft.budgets]
        if policy is PlanPolicy.RANK or within.excess(needed) <= 0:
            return draft
    objective = Objective.FLASH if policy is PlanPolicy.SMALLEST else Objective.MEAN
    try:
        found = search(graph, target, inputs, within, objective=objective, fixed=fixed, cache=cache)
    except NoPlanFits as misfit:
        raise DoesNotFit(target.name, misfit.budgets) from None
    return draft_graph(graph, target, found.plan)


def compile_model(
    model: Model,
    target: Target,
    policy: PlanPolicy = PlanPolicy.AUTO,
    fixed: Choices | None = None,
) -> Program:
    """Compile a model with the plan that a policy chooses; CompilerError where that fails."""
    return link_draft(choose_draft(model.graph, target, model.calibration, policy, fixed=fixed))
