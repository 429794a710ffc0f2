"""The fastest plan that fits: exact costs, every budget, profile-guided variants."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness import bounded, costs, problem
from harness.bounded import with_bound
from harness.cache import Cache
from harness.candidates import prefixes, weighted_layers
from harness.combine import Candidate, Combination, Objective
from harness.costs import Cost, Refused, Size, Workload, layer_cost, layer_workload, program_cost
from harness.errors import HarnessError
from harness.limits import Limits, limits_of
from harness.plans import PlanPolicy, choose_draft
from harness.problem import spread
from harness.run import Runner
from harness.search import NoPlanFits, Search, _ceilings, search
from harness.stand_in import stand_in
from harness.worst_case import program_bound
from kernels import emit, reference
from kernels.choice import Choice
from kernels.compile import compile_graph, draft_graph, lower
from kernels.draft import Draft
from kernels.dtypes import INT16, UINT8
from kernels.emit import Job, emitter
from kernels.encodings import index_lists
from kernels.errors import DoesNotFit, Unsupported
from kernels.ir import Graph, Tensor
from kernels.ops.linear import Linear
from kernels.quant import Requantization, Rounding
from kernels.target import Region, find_target

UNO, CPM = find_target("uno"), find_target("cpm")
TINY = replace(UNO, code=Region(0, 500), data=Region(0x100, 300))
HOW = Requantization(np.array([1]), 6, Rounding.FLOOR, 0, 0, 255)
LAST = Requantization(np.array([1]), 0, Rounding.FLOOR, 0, INT16.low, INT16.high)


@pytest.fixture
def store(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture(autouse=True)
def _two_encodings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few enough to try every plan, however many encodings there are."""
    for isa in ("avr", "z80"):
        emit.kernels_for(isa, Linear)  # loads them
    kept = {
        key: one
        for key, one in emit._EMITTERS.items()
        if key[1] is not Linear or key[2] in {"dense8", "index-lists"}
    }
    monkeypatch.setattr(emit, "_EMITTERS", kept)


@pytest.fixture
def trade(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only dense8 on AVR, made to trade bytes for cycles: nops for each column that is not hot."""
    known = emit.kernels_for("avr", Linear)
    write = known["dense8"].write

    def slower(job: Job) -> None:
        write(job)
        assert job.choice is not None
        assert isinstance(job.node, Linear)
        job.code.emit("nop\n" * (job.node.input.count - len(job.choice.hot)))
        job.consts.data(".byte", [0] * (3 * len(job.choice.hot)))

    others = {key: one for key, one in emit._EMITTERS.items() if key[:2] != ("avr", Linear)}
    monkeypatch.setattr(emit, "_EMITTERS", others)
    emitter("avr", Linear, "dense8", profile=("hot",))(slower)


def sparse(rng: np.random.Generator, units: int, inputs: int) -> NDArray[np.int8]:
    """Weights in -1..1, one in ten of them."""
    weights = rng.integers(-1, 2, (units, inputs)).astype(np.int8)
    weights[rng.random((units, inputs)) < 0.9] = 0
    return weights


def network() -> Graph:
    """Two sparse layers, of which lists are smaller, and faster where few inputs are active."""
    rng = np.random.default_rng(3)
    x = Tensor("x", (60,), UINT8)
    one = Linear(
        "one", x, Tensor("h", (50,), UINT8), sparse(rng, 50, 60), np.ones(50, np.int32), HOW
    )
    weights = rng.integers(-2, 3, (20, 50)).astype(np.int8)
    out = Tensor("y", (20,), INT16)
    two = Linear("two", one.output, out, weights, np.zeros(20, np.int32), LAST)
    return Graph("pair", x, (one, two), ("y",))


BOTH = list(product(["dense8", "index-lists"], repeat=2))
COLUMNS = {layer.name: layer.matrix.shape[1] for layer in weighted_layers(lower(network()))}


def inputs(active: float) -> NDArray[np.int64]:
    """Thirty inputs of which a share of the elements is not zero."""
    rng = np.random.default_rng(5)
    return rng.integers(0, 256, (30, 60)) * (rng.random((30, 60)) < active)


def cycles(graph: Graph, plan: dict[str, Choice], xs: NDArray[np.int64]) -> list[int]:
    runner = Runner(compile_graph(graph, UNO, plan))
    return [runner.infer(x).cycles for x in xs]


def every_plan(found: Search) -> list[dict[str, Choice]]:
    layers: dict[str, list[Choice]] = {}
    for one in found.candidates:
        layers.setdefault(one.layer, []).append(one.choice)
    return [dict(zip(layers, picked, strict=True)) for picked in product(*layers.values())]


@pytest.mark.parametrize("active", [0.05, 1.0])
@pytest.mark.parametrize("objective", list(Objective))
def test_no_plan_is_better(store: Cache, active: float, objective: Objective) -> None:
    graph, xs = network(), inputs(active)
    found = search(graph, UNO, xs, limits_of(UNO), objective=objective, cache=store)
    work = Workload(graph, spread(xs, 24))
    plans = every_plan(found)
    costs = [program_cost(work, plan, UNO, store) for plan in plans]
    proven = [
        with_bound(cost, work, plan, UNO, store)
        for cost, plan in zip(costs, plans, strict=True)
        if isinstance(cost, Cost)
    ]
    assert objective.of(found.cost) == min(objective.of(cost) for cost in proven)
    assert len(costs) >= 4
    assert sum(tried.taken for tried in found.tried) == 1


def test_p95_and_max_are_of_all_layers_together() -> None:
    """Layers that are slow on different inputs: their sum is nowhere as slow as p95 and p95."""
    slow_first, slow_last = [200] * 4 + [100] * 20, [100] * 20 + [200] * 4
    always = [190] * 24

    def candidate(layer: str, encoding: str, cycles: list[int]) -> Candidate:
        return Candidate(layer, Choice(encoding), Cost(10, {}, (10, 10), 0, {}, 10, tuple(cycles)))

    found = [
        candidate("one", "peaks", slow_first),
        candidate("one", "flat", always),
        candidate("two", "peaks", slow_last),
        candidate("two", "flat", always),
    ]
    rank = {"one": Choice("flat"), "two": Choice("flat")}
    for objective in (Objective.MEAN, Objective.P95, Objective.MAX):
        ((plan,),) = Combination(rank, limits_of(UNO), objective, found).best([1000], 1)
        assert plan == {"one": Choice("peaks"), "two": Choice("peaks")}
    both = [candidate("two", "peaks", slow_first), *found[:2], found[3]]
    for objective in (Objective.P95, Objective.MAX):
        ((plan,),) = Combination(rank, limits_of(UNO), objective, both).best([1000], 1)
        assert plan == {"one": Choice("flat"), "two": Choice("flat")}


def test_no_input_exceeds_the_bound_that_is_kept_small(store: Cache) -> None:
    graph, within = network(), limits_of(UNO)
    found = search(graph, UNO, inputs(0.05), within, objective=Objective.BOUND, cache=store)
    fast = search(graph, UNO, inputs(0.05), within, cache=store)
    assert found.cost.bound == program_bound(draft_graph(graph, UNO, found.plan))
    assert max(cycles(graph, found.plan, inputs(1.0))) <= found.cost.bound < np.inf
    assert found.cost.bound < (program_bound(draft_graph(graph, UNO, fast.plan)) or 0)
    assert fast.cost.bound == np.inf  # nobody asked


def test_a_bound_that_is_not_known_is_told(store: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "program_bound", lambda _: None)
    with pytest.raises(HarnessError, match="no plan of pair has a known bound"):
        search(network(), UNO, inputs(0.1), limits_of(UNO), objective=Objective.BOUND, cache=store)


def test_where_no_plan_fits_nothing_is_run(store: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "Runner", None)
    monkeypatch.setattr(costs, "link_draft", None)
    graph, xs = network(), inputs(1.0)
    smallest = min(draft_graph(graph, UNO, {"one": a, "two": b}).flash for a, b in BOTH)
    for flash in (50, smallest - 1):
        with pytest.raises(NoPlanFits) as caught:
            search(graph, UNO, xs, limits_of(UNO, flash), cache=store)
        assert caught.value.draft.flash == smallest
        assert caught.value.budgets[0].excess == smallest - flash
    with pytest.raises(TypeError, match="not callable"):
        search(graph, UNO, xs, limits_of(UNO, smallest), cache=store)


def test_what_was_not_run_is_no_choice_where_cycles_count() -> None:
    cost = Cost(20, {}, (20, 10), 0, {}, 10, (500,) * 24)
    found = [
        Candidate("one", Choice("run"), cost),
        Candidate("one", Choice("sized"), Size(10, {}, (10, 10), 0, {})),
    ]
    taken = {
        objective: Combination({"one": Choice("run")}, limits_of(UNO), objective, found).best(
            [99], 1
        )[0]
        for objective in (Objective.MEAN, Objective.FLASH)
    }
    assert taken[Objective.MEAN] == [{"one": Choice("run")}]
    assert taken[Objective.FLASH] == [{"one": Choice("sized")}]


def test_what_no_plan_has_room_for_is_not_run(
    store: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_lists, "RANK", 1000)  # so that the first in rank does not fit
    graph, xs = network(), inputs(1.0)
    smallest = min(draft_graph(graph, UNO, {"one": a, "two": b}).flash for a, b in BOTH)
    patient = search(graph, UNO, xs, limits_of(UNO, smallest), cache=store)
    assert all(isinstance(one.cost, Cost) for one in patient.candidates)
    monkeypatch.setattr(problem, "SLACK", 0)
    quick = search(graph, UNO, xs, limits_of(UNO, smallest), cache=store)
    assert quick.plan == patient.plan
    assert quick.tried == patient.tried
    left = {(one.layer, str(one.choice)) for one in quick.candidates if isinstance(one.cost, Cost)}
    assert ("one", "dense8") not in left
    assert ("one", "index-lists") in left


def test_costs_are_those_of_the_program(store: Cache) -> None:
    graph, xs = network(), inputs(0.3)
    found = search(graph, UNO, xs, limits_of(UNO), cache=store)
    program = compile_graph(graph, UNO, found.plan)
    counts = cycles(graph, found.plan, spread(xs, 24))
    assert found.cost.cycles == tuple(counts)
    assert found.cost.flash == program.flash
    assert found.cost.mean == np.mean(counts)
    assert (found.cost.max, found.cost.p95) == (max(counts), sorted(counts)[22])


@pytest.mark.usefixtures("trade")
def test_the_budget_decides(store: Cache) -> None:
    graph, xs = network(), inputs(1.0)
    free = search(graph, UNO, xs, limits_of(UNO), cache=store)
    small = search(graph, UNO, xs, limits_of(UNO), objective=Objective.FLASH, cache=store)
    assert small.cost.flash < free.cost.flash
    assert small.cost.mean == free.cost.mean + sum(COLUMNS.values())  # a nop for each
    last = np.inf
    for flash in range(small.cost.flash, free.cost.flash + 1, 37):
        found = search(graph, UNO, xs, limits_of(UNO, flash), cache=store)
        assert found.cost.flash <= flash
        assert found.cost.mean <= last
        last = found.cost.mean
    with pytest.raises(DoesNotFit, match=r"flash needs [\d,]+ bytes, 100 are available"):
        search(graph, UNO, xs, limits_of(UNO, 100), cache=store)
    with pytest.raises(DoesNotFit) as caught:
        search(graph, UNO, xs, limits_of(UNO, small.cost.flash - 1), cache=store)
    assert caught.value.budgets[0].excess == 1


def test_sram_is_a_budget_too(store: Cache) -> None:
    graph, xs = network(), inputs(0.05)
    free = search(graph, UNO, xs, limits_of(UNO), fixed={"one": "index-lists"}, cache=store)
    tight = search(graph, UNO, xs, limits_of(UNO, sram=free.cost.sram - 1), cache=store)
    assert tight.cost.sram < free.cost.sram
    with pytest.raises(DoesNotFit, match="SRAM needs"):
        search(graph, UNO, xs, limits_of(UNO, sram=40), cache=store)


def test_a_layer_that_has_room_in_a_program_alone_is_run_elsewhere_alone(store: Cache) -> None:
    """Alone, the first layer's input is dense and its lists come on top; so is the second's."""
    rng = np.random.default_rng(4)
    x = Tensor("x", (200,), UINT8)
    one = Linear(
        "one", x, Tensor("h", (230,), UINT8), sparse(rng, 230, 200), np.ones(230, np.int32), HOW
    )
    two = Linear(
        "two", one.output, Tensor("y", (8,), INT16), sparse(rng, 8, 230), np.ones(8, np.int32), LAST
    )
    graph = Graph("pair", x, (one, two), ("y",))
    xs = rng.integers(0, 2, (9, 200))
    needed = draft_graph(graph, UNO, dict.fromkeys(("one", "two"), "index-lists")).budgets[1].needed
    values = reference.run(lower(graph), xs)
    layer = weighted_layers(lower(graph))[0]
    work = layer_workload(lower(graph), layer, x.range, values)
    plain, refused = (layer_cost(work, Choice("index-lists"), t, store) for t in (UNO, TINY))
    assert isinstance(plain, Cost)
    assert isinstance(refused, Refused)  # its flash is too small as well
    cramped = replace(UNO, data=Region(0x100, plain.needed[1] - 1))
    alone = layer_cost(work, Choice("index-lists"), cramped, store)
    assert isinstance(alone, Cost)
    assert (alone.cycles, alone.flash, alone.needed) == (plain.cycles, plain.flash, plain.needed)
    small = replace(UNO, data=Region(0x100, needed))
    assert search(graph, small, xs, limits_of(small), cache=store).cost.needed[1] <= needed


def test_devices_that_stand_in() -> None:
    names = ("attiny85", "uno", "atmega1284p", "mega")
    found = [stand_in(find_target(name)) for name in names]
    assert [one.name if one else None for one in found] == ["uno", "atmega1284p", None, None]


def test_one_memory_for_all_is_one_budget(store: Cache) -> None:
    graph, xs = network(), inputs(0.1)
    found = search(graph, CPM, xs, limits_of(CPM), objective=Objective.FLASH, cache=store)
    (needed,) = found.cost.needed
    again = search(graph, CPM, xs, limits_of(CPM, needed), cache=store)
    assert again.cost.needed <= (needed,)
    with pytest.raises(DoesNotFit, match="memory needs"):
        search(graph, CPM, xs, limits_of(CPM, needed // 2), cache=store)


def test_fixed_layers_are_not_searched(store: Cache) -> None:
    graph, xs = network(), inputs(0.05)
    found = search(graph, UNO, xs, limits_of(UNO), fixed={"one": "dense8"}, cache=store)
    assert found.plan["one"] == Choice("dense8")
    assert {one.choice for one in found.candidates if one.layer == "one"} == {Choice("dense8")}
    with pytest.raises(Unsupported, match="has no layer 'three'"):
        search(graph, UNO, xs, limits_of(UNO), fixed={"three": "dense8"}, cache=store)


def test_a_second_search_measures_nothing(store: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, xs = network(), inputs(0.1)
    first = search(graph, UNO, xs, limits_of(UNO), cache=store)
    monkeypatch.setattr(costs, "Runner", None)
    again = search(graph, UNO, xs, limits_of(UNO), cache=Cache(store.folder))
    assert (again.plan, again.tried) == (first.plan, first.tried)


def test_an_inexact_kernel_is_never_taken(store: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    run = costs.reference.run
    monkeypatch.setattr(
        costs.reference, "run", lambda graph, x: {k: v + 1 for k, v in run(graph, x).items()}
    )
    with pytest.raises(HarnessError, match="is not exact"):
        program_cost(Workload(network(), inputs(0.1)), {}, UNO, store)


def test_what_cannot_be_had_is_told(store: Cache) -> None:
    weights = np.ones((200, 200), np.int8)
    x, y = Tensor("x", (200,), UINT8), Tensor("y", (200,), INT16)
    graph = Graph("big", x, (Linear("fc", x, y, weights, np.zeros(200, np.int32), LAST),), ("y",))
    refused = program_cost(
        Workload(graph, np.zeros((1, 200), np.int64)), {"fc": Choice("dense8")}, UNO, store
    )
    assert isinstance(refused, Refused)
    excess = draft_graph(graph, UNO, {"fc": "dense8"}).flash - UNO.code.size
    assert refused.problem.startswith("does not fit uno")
    assert f"({excess:,} too many)" in refused.problem


@pytest.mark.usefixtures("trade")
def test_hot_columns_are_tried_where_an_encoding_makes_use_of_them(store: Cache) -> None:
    found = search(network(), UNO, inputs(0.5), limits_of(UNO), cache=store)
    hot = [one for one in found.candidates if one.layer == "one" and one.choice.hot]
    sizes = [len(one.choice.hot) for one in hot]
    assert sizes == sorted(sizes)
    assert sizes[-1] == 60
    assert len(sizes) > 5
    means = [one.cost.mean for one in hot if isinstance(one.cost, Cost)]
    assert means == sorted(means, reverse=True)
    for smaller, larger in pairwise(hot):
        assert set(smaller.choice.hot) < set(larger.choice.hot)


def test_prefixes_grow_by_bytes_and_stop_at_what_is_used() -> None:
    active = np.array([0.0, 0.9, 0.5, 0.5, 0.1])
    events = np.array([9, 1, 10, 1, 8])
    assert prefixes(active, events, 20) == [1, 2, 3, 4]
    assert prefixes(active, events, 2) == [2, 4]
    assert prefixes(np.zeros(3), np.ones(3)) == []


@pytest.mark.parametrize(
    ("target", "flash", "sram", "problem"),
    [
        (UNO, 32257, None, "uno has 32,256 bytes of flash, not 32,257"),
        (UNO, None, 0, "uno has 2,048 bytes of SRAM, not 0"),
        (CPM, None, 100, "limit it by --flash alone"),
    ],
)
def test_limits_that_a_target_does_not_have(
    target: object, flash: int | None, sram: int | None, problem: str
) -> None:
    with pytest.raises(HarnessError, match=problem):
        limits_of(target, flash, sram)  # type: ignore[arg-type]


def test_limits() -> None:
    assert limits_of(UNO) == Limits((32256, 2048))
    assert limits_of(UNO, 1000, 200).excess((990, 230)) == 30
    assert limits_of(CPM, 5000) == Limits((5000,))


def test_programs_that_load_constants_near_are_considered_too() -> None:
    mega = find_target("mega")
    for target, ceilings in (
        (UNO, [limits_of(UNO)]),
        (mega, [limits_of(mega), limits_of(mega, 1 << 16)]),
        (CPM, [limits_of(CPM)]),
    ):
        one = problem.Problem(network(), target, inputs(1.0), limits_of(target), {})
        assert _ceilings(one) == ceilings


@pytest.mark.usefixtures("trade")
def test_policies(store: Cache) -> None:
    graph, xs = network(), inputs(1.0)
    within = limits_of(UNO)

    def plan(policy: PlanPolicy, limits: Limits = within) -> dict[str, int]:
        """How many columns of each layer are hot."""
        draft = choose_draft(graph, UNO, xs, policy, limits=limits, cache=store)
        return {layer: len(choice.hot) for layer, choice in draft.plan.choices.items()}

    assert plan(PlanPolicy.RANK) == plan(PlanPolicy.AUTO) == {"one": 0, "two": 0}
    assert plan(PlanPolicy.FASTEST) == COLUMNS
    assert plan(PlanPolicy.SMALLEST) == {"one": 0, "two": 0}
    flash = draft_graph(graph, UNO, {}).flash
    assert plan(PlanPolicy.FASTEST, limits_of(UNO, flash)) == {"one": 0, "two": 0}
    with pytest.raises(DoesNotFit):
        plan(PlanPolicy.AUTO, limits_of(UNO, 100))
    assert plan(PlanPolicy.RANK, limits_of(UNO, 100)) == {"one": 0, "two": 0}


@pytest.mark.usefixtures("trade")
def test_a_chosen_plan_is_remembered(store: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, xs = network(), inputs(1.0)

    def choose(**changes: Any) -> Draft:
        task: dict[str, Any] = {"limits": limits_of(UNO), "inputs": xs} | changes
        return choose_draft(graph, UNO, policy=PlanPolicy.FASTEST, cache=store, **task)

    first = choose()
    assert {layer: len(choice.hot) for layer, choice in first.plan.choices.items()} == COLUMNS
    monkeypatch.setattr("harness.plans.search", lambda *_, **__: pytest.fail("searched again"))
    again = choose()
    assert again.plan.choices == first.plan.choices
    assert again.parts == first.parts
    other = {"one": Choice("dense8")}
    for change in ({"limits": limits_of(UNO, 9999)}, {"inputs": xs[1:]}, {"fixed": other}):
        with pytest.raises(pytest.fail.Exception, match="searched again"):
            choose(**change)
