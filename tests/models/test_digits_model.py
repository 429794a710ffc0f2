"""digits: the split, the shipped checkpoint and its training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

import models
from kernels import ir, reference
from kernels.ops.linear import Linear
from kernels.quant import Rounding
from models.digits import checkpoint, trainer
from models.digits.data import split
from models.digits.recipe import Recipe
from models.errors import ModelError, ModelFileError
from models.model import Model

SHORT = Recipe(epochs=2)


@pytest.fixture(scope="module")
def digits() -> Model:
    return models.load("digits-int8")


def test_the_split_parts_all_images() -> None:
    data = split()
    images, labels = load_digits(return_X_y=True)
    labelled = np.column_stack([images, labels]).astype(int)
    parts = np.concatenate(
        [
            np.column_stack([data.train_images, data.train_labels]),
            np.column_stack([data.test_images, data.test_labels]),
        ]
    )
    assert len(data.test_images) == 360
    assert sorted(parts.tolist()) == sorted(labelled.tolist())


def test_the_split_is_stratified() -> None:
    data = split()
    everyone = np.concatenate([data.train_labels, data.test_labels])
    expected = np.bincount(everyone) * 360 / len(everyone)
    assert np.abs(np.bincount(data.test_labels) - expected).max() < 1


def test_the_split_cannot_be_changed_by_a_caller() -> None:
    with pytest.raises(ValueError, match="read-only"):
        split().test_images[0, 0] = 1


def test_the_integer_graph_reaches_the_stored_accuracy(digits: Model) -> None:
    stored = checkpoint.load().accuracies
    assert digits.integer_accuracy() == stored.int8
    assert digits.reference.accuracy() == pytest.approx(stored.float32, abs=1 / 360)
    assert stored.int8 >= stored.float32 - 0.003
    assert stored.float32 > stored.linear


def test_the_graph_is_as_designed(digits: Model) -> None:
    graph = digits.graph
    ir.verify(graph)
    assert [tensor.shape for tensor in graph.tensors.values()] == [(64,), (32,), (16,), (10,), (1,)]
    assert [str(tensor.dtype) for tensor in graph.tensors.values()] == [
        "uint8",
        "uint8",
        "uint8",
        "int16",
        "uint8",
    ]
    assert graph.input.bounds == ir.Range(0, 16)
    for node in graph.nodes[:-1]:
        assert isinstance(node, Linear)
        how = node.requantization
        assert how.rounding is Rounding.HALF_UP
        assert how.multiplier.max() <= 255
        assert how.shift % 8 == 0
        assert node.wrap is None


def test_integer_logits_follow_the_float_ones(digits: Model) -> None:
    from models.digits import network  # noqa: PLC0415

    stored = checkpoint.load()
    wanted = network.activations(network.build(stored.parameters), digits.inputs)[-1]
    found = reference.run(digits.graph, digits.inputs)["logits"] * stored.layers[-1].scale
    assert np.abs(found - wanted).mean() < 0.02 * np.abs(wanted).mean()


def test_training_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second, other = tmp_path / "a.npz", tmp_path / "b.npz", tmp_path / "c.npz"
    steps: list[models.TrainingStep] = []
    trainer.train(3, first, steps.append, SHORT)
    state = torch.get_rng_state()
    torch.rand(5)  # a caller's own use of torch's generator changes nothing
    trainer.train(3, second, lambda _: None, SHORT)
    trainer.train(4, other, lambda _: None, SHORT)
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes() != other.read_bytes()
    assert [(step.epoch, step.epochs) for step in steps] == [(1, 2), (2, 2)]
    assert steps[1].loss < steps[0].loss
    torch.set_rng_state(state)


def test_an_interrupted_training_comes_to_the_same_bytes(tmp_path: Path) -> None:
    whole, halves = tmp_path / "whole.npz", tmp_path / "halves.npz"
    trainer.train(3, whole, lambda _: None, SHORT)

    def interrupt(_: models.TrainingStep) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer.train(3, halves, interrupt, SHORT)
    with pytest.raises(ModelError, match=r"halves\.npz\.state is the state of another training"):
        trainer.train(4, halves, interrupt, SHORT)
    steps: list[models.TrainingStep] = []
    trainer.train(3, halves, steps.append, SHORT)
    assert [step.epoch for step in steps] == [2]
    assert halves.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["halves.npz", "whole.npz"]


def test_training_keeps_the_caller_s_generator(tmp_path: Path) -> None:
    state = torch.get_rng_state()
    trainer.train(0, tmp_path / "a.npz", lambda _: None, SHORT)
    assert torch.equal(state, torch.get_rng_state())


def test_the_report_and_the_file_agree(tmp_path: Path) -> None:
    path = tmp_path / "digits.npz"
    report = trainer.train(5, path, lambda _: None, SHORT)
    stored = checkpoint.load(path)
    assert report.path == path
    assert list(report.accuracies.values()) == [
        stored.accuracies.float32,
        stored.accuracies.int8,
        stored.accuracies.linear,
    ]
    assert (stored.seed, stored.recipe) == (5, SHORT)


def test_a_checkpoint_survives_saving(tmp_path: Path) -> None:
    copy = tmp_path / "digits.npz"
    checkpoint.save(checkpoint.load(), copy)
    assert copy.read_bytes() == checkpoint.SHIPPED.read_bytes()


def test_a_checkpoint_with_nan_is_refused(tmp_path: Path) -> None:
    stored = checkpoint.load()
    (weight, bias), *rest = stored.parameters
    spoiled = weight.copy()
    spoiled[0, 0] = np.nan
    path = tmp_path / "digits.npz"
    checkpoint.save(replace(stored, parameters=((spoiled, bias), *rest)), path)
    with pytest.raises(ModelFileError, match=r"digits.npz: fc1_float_weight: holds NaN"):
        checkpoint.load(path)
