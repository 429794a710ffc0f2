"""Pruning: layers shrink, dead units leave without a trace, masks stay."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.compress.network import Network
from models.compress.options import Importance, WeightFormat
from models.compress.pruning import gradual, mask_smallest, prune_units, unit_scores
from models.compress.quantizers import make

INPUTS = np.random.default_rng(0).integers(0, 9, (50, 6)).astype(np.uint8)
COUNTS = torch.tensor(INPUTS, dtype=torch.float32)


def network(seed: int = 0, *, norm: bool = False) -> Network:
    torch.manual_seed(seed)
    made = Network((6, 8, 4, 3), 0.25)
    if norm:
        made.quantize(make(WeightFormat.BINARY, per_row=True), norm=True)
        made.train()(COUNTS)
    return made.eval()


def with_dead_units() -> tuple[Network, list[list[int]]]:
    """A network whose even units never fire, and lead nowhere where that is not enough."""
    made = network()
    dead = [[0, 2, 4, 6], [0, 2]]
    for layer, units in zip(made.stack, dead, strict=False):
        layer.weight.data[units] = 0
        layer.bias.data[units] = 0
    return made, dead


@pytest.mark.parametrize("importance", Importance)
def test_dead_units_leave_and_nothing_changes(importance: Importance) -> None:
    made, _ = with_dead_units()
    smaller = prune_units(made, INPUTS, 0.5, importance).eval()
    assert smaller.sizes == (6, 4, 2, 3)
    torch.testing.assert_close(smaller(COUNTS), made(COUNTS))
    assert sum(p.numel() for p in smaller.parameters()) == 6 * 4 + 4 + 4 * 2 + 2 + 2 * 3 + 3


@pytest.mark.parametrize("importance", Importance)
def test_dead_units_score_zero(importance: Importance) -> None:
    made, dead = with_dead_units()
    for scores, units in zip(unit_scores(made, INPUTS, importance), dead, strict=True):
        assert set(units) <= set(torch.flatten(torch.nonzero(scores == 0)).tolist())


def test_a_unit_that_leads_nowhere_is_not_important() -> None:
    made = network()
    made.stack[1].weight.data[:, 3] = 0
    for importance in Importance:
        assert unit_scores(made, INPUTS, importance)[0][3] == 0


def test_normalization_and_quantizers_shrink_along() -> None:
    made = network(norm=True)
    smaller = prune_units(made, INPUTS, 0.5, Importance.NORM).eval()
    assert [layer.norm is not None and layer.norm.num_features for layer in smaller.stack] == [
        4,
        2,
        3,
    ]
    assert smaller.quantized
    assert smaller(COUNTS).shape == (50, 3)


def test_one_unit_always_stays() -> None:
    assert prune_units(network(), INPUTS, 0.99, Importance.NORM).sizes == (6, 1, 1, 3)
    assert prune_units(network(), INPUTS, 0.0, Importance.NORM).sizes == (6, 8, 4, 3)


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_shares_that_leave_nothing_are_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        prune_units(network(), INPUTS, share, Importance.NORM)


def test_the_smallest_weights_are_masked_and_stay_so() -> None:
    made = network()
    for sparsity in (0.25, 0.5):
        mask_smallest(made, sparsity)
    for layer in made.stack:
        magnitudes = layer.weight.detach().abs().flatten()
        kept = layer.mask.flatten().bool()
        assert int((~kept).sum()) == round(0.5 * len(kept))
        assert magnitudes[kept].min() > magnitudes[~kept].max()
        layer.weight.data[layer.mask == 0] = 100.0
        assert layer.used_weight().abs().max() < 100


def test_gradual_sparsity() -> None:
    assert [round(gradual(0.8, epoch, 4), 4) for epoch in range(6)] == [
        0, 0.4625, 0.7, 0.7875, 0.8, 0.8,
    ]  # fmt: skip
