"""Layers that share a form take less within a network than alone; searches reckon with it."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.cache import Cache
from harness.costs import Cost, Workload, program_cost
from harness.limits import limits_of
from harness.problem import CALIBRATION, spread
from harness.search import search
from kernels import emit
from kernels.choice import Choice
from kernels.dtypes import INT16, UINT8
from kernels.ir import Graph, Tensor
from kernels.ops.linear import Linear
from kernels.quant import Requantization, Rounding
from kernels.target import find_target

UNO = find_target("uno")
NAMES = ("index-lists", "trits", "packed2")
HOW = Requantization(np.array([1]), 3, Rounding.FLOOR, 0, 0, 255)
LAST = Requantization(np.array([1]), 0, Rounding.FLOOR, 0, INT16.low, INT16.high)


def network(rng: np.random.Generator) -> Graph:
    """Three ternary layers, 40-40-30-10."""
    source = tensor = Tensor("x", (40,), UINT8)
    nodes = []
    for name, units in (("one", 40), ("two", 30), ("three", 10)):
        last = name == "three"
        output = Tensor(f"{name}_out", (units,), INT16 if last else UINT8)
        weights = rng.choice([-1, 0, 0, 1], (units, tensor.count)).astype(np.int8)
        bias = rng.integers(-9, 9, units).astype(np.int32)
        nodes.append(Linear(name, tensor, output, weights, bias, LAST if last else HOW))
        tensor = output
    return Graph("three", source, tuple(nodes), (tensor.name,))


@pytest.fixture
def _three_encodings(monkeypatch: pytest.MonkeyPatch) -> None:
    emit.kernels_for("avr", Linear)  # loads them
    kept = {k: one for k, one in emit._EMITTERS.items() if k[1] is not Linear or k[2] in NAMES}
    monkeypatch.setattr(emit, "_EMITTERS", kept)


@pytest.mark.usefixtures("_three_encodings")
def test_no_plan_of_plain_choices_is_better_in_its_own_bytes(tmp_path: Path) -> None:
    rng, store = np.random.default_rng(0), Cache(tmp_path)
    graph = network(rng)
    xs: NDArray[np.int64] = rng.integers(0, 256, (30, 40)) * (rng.random((30, 40)) < 0.3)
    work = Workload(graph, spread(xs, CALIBRATION))
    layers = [node.name for node in graph.nodes]
    means: dict[int, float] = {}
    for names in product(NAMES, repeat=3):
        plan = {layer: Choice(name) for layer, name in zip(layers, names, strict=True)}
        cost = program_cost(work, plan, UNO, store)
        assert isinstance(cost, Cost)
        means[cost.flash] = min(cost.mean, means.get(cost.flash, cost.mean))
    best = float("inf")
    for flash, mean in sorted(means.items()):
        found = search(graph, UNO, xs, limits_of(UNO, flash), cache=store).cost
        best = min(best, mean)
        assert found.mean <= best
        assert found.flash <= flash
        best = found.mean
