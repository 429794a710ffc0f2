"""Which plan a program is compiled with: by rank where that fits, else by measurement."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from numpy.typing import NDArray

from harness.cache import Cache
from harness.combine import Objective, Plan
from harness.fingerprint import choosing_sources, fingerprint
from harness.limits import Limits, limits_of
from harness.search import NoPlanFits, search
from kernels.choice import Choice, Choices, as_choice
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

    inputs: calibration inputs. A plan that was chosen once is remembered in the cache. Raises
    DoesNotFit where no plan fits, and CompilerError.
    """
    if policy is PlanPolicy.RANK:
        return draft_graph(graph, target, fixed)
    given = {name: as_choice(choice) for name, choice in (fixed or {}).items()}
    task = _Task(graph, target, inputs, policy, given, limits or limits_of(target))
    store = cache or Cache()
    plan = store.get(task.key, lambda: _plain(task.choose(store)), _read)
    return draft_graph(graph, target, plan)


@dataclass(frozen=True, eq=False, slots=True)
class _Task:
    """What a plan is chosen for."""

    graph: Graph
    target: Target
    inputs: NDArray[Any]
    policy: PlanPolicy
    given: Plan
    limits: Limits

    @property
    def key(self) -> str:
        """What the plan depends on, the code that chooses it included."""
        return fingerprint("plan", choosing_sources(), self)

    def choose(self, cache: Cache) -> Plan:
        """By rank if that will do, else by search."""
        if self.policy is PlanPolicy.AUTO:
            draft = draft_graph(self.graph, self.target, self.given)
            if self.limits.excess([budget.needed for budget in draft.budgets]) <= 0:
                return dict(draft.plan.choices)
        objective = Objective.FLASH if self.policy is PlanPolicy.SMALLEST else Objective.MEAN
        try:
            found = search(
                self.graph,
                self.target,
                self.inputs,
                self.limits,
                objective=objective,
                fixed=self.given,
                cache=cache,
            )
        except NoPlanFits as misfit:
            raise DoesNotFit(self.target.name, misfit.budgets) from None
        return found.plan


def _plain(plan: Plan) -> dict[str, Any]:
    """As JSON."""
    return {layer: asdict(choice) for layer, choice in plan.items()}


def _read(value: Any) -> Plan:
    return {
        str(layer): Choice(
            str(choice["encoding"]),
            tuple(int(unit) for unit in choice["hot"]),
            tuple(float(rate) for rate in choice["rates"]),
            int(choice["kept"]),
        )
        for layer, choice in value.items()
    }


def compile_model(
    model: Model,
    target: Target,
    policy: PlanPolicy = PlanPolicy.AUTO,
    fixed: Choices | None = None,
) -> Program:
    """Compile a model with the plan that a policy chooses; CompilerError where that fails."""
    return link_draft(choose_draft(model.graph, target, model.calibration, policy, fixed=fixed))
