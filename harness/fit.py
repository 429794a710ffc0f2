"""Whether a model fits a target, with which plan, and if not, what would do."""

from __future__ import annotations

from dataclasses import dataclass

from harness.cache import Cache
from harness.combine import Candidate, Objective
from harness.elsewhere import Elsewhere, elsewhere
from harness.limits import Limits
from harness.progress import Progress, silent
from harness.search import NoPlanFits, Search, search
from kernels.choice import Choices
from kernels.compile import draft_graph
from kernels.draft import Draft
from kernels.errors import Budget
from kernels.target import Target
from models import Model


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
    progress: Progress = silent,
) -> Fit:
    """Search for the best plan within limits; where there is none, look at the other targets.

    Raises CompilerError for what cannot be compiled at all.
    """
    cache = cache or Cache()
    graph, inputs = model.graph, model.calibration
    try:
        found = search(
            graph,
            target,
            inputs,
            limits,
            objective=objective,
            fixed=fixed,
            cache=cache,
            progress=progress,
        )
    except NoPlanFits as misfit:
        return Fit(
            model,
            None,
            misfit.draft,
            misfit.budgets,
            misfit.candidates,
            tuple(elsewhere(model, target, limits, fixed=fixed, cache=cache, progress=progress)),
        )
    draft = draft_graph(graph, target, found.plan)
    return Fit(model, found, draft, limits.budgets(draft), found.candidates)
