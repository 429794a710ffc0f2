"""Recipes: chains of methods, checkpoints of equal bytes, and trainings that were interrupted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import models
from harness.run import Runner
from kernels import ir, reference
from kernels.compile import compile_graph
from kernels.target import find_target
from models import recipes, registry, tasks
from models.compress import (
    Distill,
    Importance,
    Method,
    PostTraining,
    PruneUnits,
    PruneWeights,
    QuantizeAware,
    Schedule,
    Train,
    WeightFormat,
    checkpoint,
    trainer,
)
from models.compress.recipe import Recipe
from models.errors import ModelError, ModelFileError, UnknownModel
from models.model import accuracy, predict
from models.task import Examples, Task
from models.training import TrainingStep
from models.zoo import recipes as zoo

SHORT = Schedule(epochs=3, batch=32, dropout=0.05, learning_rate=0.01)
CHAINS: dict[str, tuple[Method, ...]] = {
    "float": (Train(SHORT),),
    "int8 per layer": (Train(SHORT), PostTraining(8, per_row=False)),
    "int4": (Train(SHORT), PostTraining(4)),
    "int8 aware": (QuantizeAware(WeightFormat.INT8, per_row=True, schedule=SHORT),),
    "units, distilled, ternary": (
        Train(SHORT),
        PruneUnits(0.5, Importance.NORM, SHORT),
        Distill(2, teacher=SHORT, schedule=SHORT),
        QuantizeAware(WeightFormat.TERNARY, schedule=SHORT),
    ),
    "sparse, 2-bit": (
        PruneWeights(0.5, schedule=SHORT),
        QuantizeAware(WeightFormat.TWO_BIT, schedule=SHORT),
    ),
    "binary": (QuantizeAware(WeightFormat.BINARY, per_row=True, norm=True, schedule=SHORT),),
}
EPOCHS = dict(zip(CHAINS, (3, 3, 3, 3, 18, 6, 3), strict=True))


def examples(rng: np.random.Generator, n: int) -> Examples:
    """Three classes, each by which third of the counts is largest."""
    labels = rng.integers(0, 3, n)
    rates = np.full((n, 12), 0.7)
    rates.reshape(n, 3, 4)[np.arange(n), labels] = 3.0
    return Examples(rng.poisson(rates).clip(0, 30).astype(np.uint8), labels)


@pytest.fixture(scope="module")
def task() -> Task:
    rng = np.random.default_rng(7)
    train, validation = examples(rng, 225), examples(rng, 200)
    return Task("thirds", "made up", 3, train, validation, lambda g: examples(g, 225))


def recipe(name: str) -> Recipe:
    return Recipe(name, name, "thirds", (10, 8), CHAINS[name], 0.5, 30)


def interrupt(after: int) -> models.Progress:
    """Progress that is cut short after some epochs, as by a kill."""

    def stop(step: TrainingStep) -> None:
        if step.epoch == after:
            raise KeyboardInterrupt

    return stop


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_ends_in_a_network_that_learned(task: Task, tmp_path: Path, name: str) -> None:
    steps: list[TrainingStep] = []
    out = tmp_path / "net.npz"
    report = trainer.train(recipe(name), task, 1, out, steps.append)
    assert [step.epoch for step in steps] == list(range(1, EPOCHS[name] + 1))
    assert {step.epochs for step in steps} == {EPOCHS[name]}
    stored = checkpoint.load(out)
    trained, fake, integer = report.accuracies.values()
    assert min(trained, fake, integer) > 0.75
    assert abs(fake - integer) <= 0.01
    assert dict(stored.accuracies) == report.accuracies
    predicted = predict(stored.graph, task.validation.inputs)
    assert accuracy(predicted, task.validation.labels) == integer


@pytest.mark.parametrize("target", ["uno", "cpm"])
@pytest.mark.parametrize("name", ["int4", "binary", "units, distilled, ternary"])
def test_devices_compute_the_same_bits(task: Task, tmp_path: Path, name: str, target: str) -> None:
    out = tmp_path / "net.npz"
    trainer.train(recipe(name), task, 2, out, lambda _: None)
    graph = checkpoint.load(out).graph
    ir.verify(graph)
    assert graph.input.bounds == ir.Range(0, 30)
    runner = Runner(compile_graph(graph, find_target(target)))
    inputs = task.validation.inputs[:5]
    wanted = reference.run(graph, inputs)
    for number, x in enumerate(inputs):
        outputs = runner.infer(x).outputs
        assert outputs["logits"].tolist() == wanted["logits"][number].tolist()
        assert outputs["predicted"].tolist() == wanted["predicted"][number].tolist()


def test_activations_of_sixteen_bits(task: Task, tmp_path: Path) -> None:
    out = tmp_path / "net.npz"
    how = replace(recipe("units, distilled, ternary"), activations="int16")
    report = trainer.train(how, task, 0, out, lambda _: None)
    graph = checkpoint.load(out).graph
    values = reference.run(graph, task.train.inputs)["hidden1"]
    assert str(graph.tensors["hidden1"].dtype) == "int16"
    assert 511 <= values.max() <= 1023
    assert {layer.high for layer in checkpoint.load(out).layers[:-1]} == {1023}
    assert min(report.accuracies.values()) > 0.75


def test_chains_leave_their_marks(task: Task, tmp_path: Path) -> None:
    found = {}
    for name in CHAINS:
        trainer.train(recipe(name), task, 0, tmp_path / "net.npz", lambda _: None)
        found[name] = checkpoint.load(tmp_path / "net.npz")
    assert found["float"].sizes == (12, 10, 8, 3)
    assert found["units, distilled, ternary"].sizes == (12, 5, 4, 3)
    levels = {n: np.concatenate([x.levels.ravel() for x in c.layers]) for n, c in found.items()}
    assert set(levels["binary"]) == {-1, 1}
    assert set(levels["units, distilled, ternary"]) == {-1, 0, 1}
    assert {-1, 0, 1} <= set(levels["sparse, 2-bit"]) <= {-2, -1, 0, 1}
    assert np.abs(levels["int4"]).max() <= 7
    assert np.mean(levels["sparse, 2-bit"] == 0) >= 0.5
    assert all(len(layer.multiplier) == 1 for layer in found["int8 per layer"].layers)


@pytest.mark.parametrize("name", ["units, distilled, ternary", "sparse, 2-bit", "binary"])
def test_an_interrupted_training_comes_to_the_same_bytes(
    task: Task, tmp_path: Path, name: str
) -> None:
    whole, halves = tmp_path / "whole.npz", tmp_path / "halves.npz"
    trainer.train(recipe(name), task, 5, whole, lambda _: None)
    for epoch in range(1, EPOCHS[name] + 1, 2):
        with pytest.raises(KeyboardInterrupt):
            trainer.train(recipe(name), task, 5, halves, interrupt(epoch))
        torch.rand(epoch)  # what else draws from torch's generator changes nothing
    steps: list[TrainingStep] = []
    trainer.train(recipe(name), task, 5, halves, steps.append)
    assert len(steps) < 2
    assert halves.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["halves.npz", "whole.npz"]


def test_seeds_make_the_difference(task: Task, tmp_path: Path) -> None:
    written = []
    for number, seed in enumerate((3, 3, 4)):
        out = tmp_path / f"{number}.npz"
        trainer.train(recipe("float"), task, seed, out, lambda _: None)
        written.append(out.read_bytes())
    assert written[0] == written[1] != written[2]


def test_another_training_s_state_is_refused(task: Task, tmp_path: Path) -> None:
    out = tmp_path / "net.npz"
    with pytest.raises(KeyboardInterrupt):
        trainer.train(recipe("float"), task, 0, out, interrupt(1))
    other = replace(task, train=examples(np.random.default_rng(0), 225))
    for changed in (
        (recipe("float"), task, 1),
        (recipe("int4"), task, 0),
        (recipe("float"), other, 0),
    ):
        with pytest.raises(ModelError, match=r"net\.npz\.state is the state of another training"):
            trainer.train(*changed, out, lambda _: None)


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x05\x06" + bytes(18)])
def test_a_damaged_state_is_refused(task: Task, tmp_path: Path, content: bytes) -> None:
    out = tmp_path / "net.npz"
    out.with_name("net.npz.state").write_bytes(content)
    with pytest.raises(ModelFileError, match="delete it to start afresh"):
        trainer.train(recipe("float"), task, 0, out, lambda _: None)


def test_a_training_that_diverges_says_so(task: Task, tmp_path: Path) -> None:
    wild = replace(recipe("float"), chain=(Train(replace(SHORT, learning_rate=1e30)),))
    with pytest.raises(ModelError, match="diverged"):
        trainer.train(wild, task, 0, tmp_path / "net.npz", lambda _: None)
    assert not (tmp_path / "net.npz").exists()


def test_a_checkpoint_survives_saving(task: Task, tmp_path: Path) -> None:
    first, second = tmp_path / "a.npz", tmp_path / "b.npz"
    trainer.train(recipe("binary"), task, 0, first, lambda _: None)
    checkpoint.save(checkpoint.load(first), second)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("array", "value", "problem"),
    [
        ("fc1_weight", np.full((10, 12), np.nan, np.float16), "holds NaN"),
        ("fc1_levels", np.zeros((9, 12), np.int8), r"shape \(9, 12\), expected \(10, 12\)"),
        ("fc1_multiplier", np.zeros(10, np.int64), r"expected \[1, 65535\]"),
        ("fc1_multiplier", np.ones(9, np.int64), r"shape \(9,\), expected \(\(10,\), \(1,\)\)"),
        ("fc4_levels", np.zeros((9, 12), np.int8), "fc4_levels.* is unknown"),
        ("about", np.array(b"["), "expected a recipe's description"),
        ("about", np.array(b"[" * 100_000), "expected a recipe's description"),
    ],
)
def test_spoiled_checkpoints_are_refused(
    task: Task, tmp_path: Path, array: str, value: np.ndarray, problem: str
) -> None:
    path = tmp_path / "net.npz"
    trainer.train(recipe("float"), task, 0, path, lambda _: None)
    with np.load(path) as stored:
        arrays = {**stored, array: value}
    np.savez(path, allow_pickle=True, **arrays)
    with pytest.raises(ModelFileError, match=problem):
        checkpoint.load(path)


@pytest.mark.parametrize(
    ("place", "value", "problem"),
    [
        (("grids", 0, "dtype"), "float", "dtype is none of uint8, int8, int16"),
        (("grids", 0, "high"), 300, "outside uint8"),
        (("grids", 0, "high"), True, "high is no integer"),
        (("grids", 0, "shift"), 99, r"shift is no integer in \[0, 31\]"),
        (("grids", 1, "scale"), float("nan"), "scale is no number"),
        (("grids",), [], "grids is no list of 3 to 3"),
        (("sizes",), [12, 10, 8], "grids is no list of 2 to 2"),
        (("sizes", 1), 10**9, r"a size is no integer in \[1, 4096\]"),
        (("seed",), -1, "seed is no integer"),
        (("recipe",), {"name": "x"}, "title is no line"),
        (("recipe", "name"), "a\nb", "name is no line"),
        (("settings", "activations"), "int8", "none of uint8, int16"),
        (("settings", "input_high"), 1e300, "input_high is no integer"),
        (("accuracies",), {"x": 2}, r"an accuracy is no number in \[0, 1\]"),
        (("protocol",), "", "protocol is no line of 1 to 200"),
        (("more",), 1, "not exactly the fields seed, "),
    ],
)
def test_spoiled_descriptions_are_refused(
    task: Task, tmp_path: Path, place: tuple[str | int, ...], value: object, problem: str
) -> None:
    path = tmp_path / "net.npz"
    trainer.train(recipe("float"), task, 0, path, lambda _: None)
    with np.load(path) as stored:
        arrays = dict(stored)
    about = json.loads(arrays["about"].item())
    inner = about
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    np.savez(path, allow_pickle=True, **arrays | {"about": np.array(json.dumps(about).encode())})
    with pytest.raises(ModelFileError, match=problem) as refused:
        checkpoint.load(path)
    assert "\n" not in str(refused.value)


def test_recipes_are_found_and_describe_themselves() -> None:
    known = recipes.catalog()
    assert [found.name for found in known] == sorted(found.name for found in known)
    for found in known:
        assert found.task in tasks.names()
        assert found.name.startswith(f"{found.task}-")
        plain = json.loads(found.as_json())
        assert [step["method"] for step in plain["chain"]] == [
            type(m).__name__ for m in found.chain
        ]
    assert len({found.as_json() for found in known}) == len(known)
    with pytest.raises(UnknownModel, match="chat-a-ternary"):
        recipes.find("chat-a-tenary")


def test_recipes_are_trained_and_loaded_by_name(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = recipes.catalog()[0].name
    monkeypatch.setattr(tasks, "load_task", lambda *_: task)
    out = tmp_path / "net.npz"
    found = []

    def stop(step: TrainingStep) -> None:
        found.append(step)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        models.train(name, 0, out, stop)
    assert len(found) == 1
    assert out.with_name("net.npz.state").exists()
    assert set(registry.trainers()) >= {r.name for r in recipes.catalog()} | {"digits"}
    trainer.train(recipe("int4"), task, 0, out.with_name("other.npz"), lambda _: None)
    model = zoo.load_checkpoint(out.with_name("other.npz"))
    stored = checkpoint.load(out.with_name("other.npz"))
    trained, _, integer = stored.accuracies.values()
    assert model.reference.accuracy() == trained
    assert model.integer_accuracy() == integer
    assert model.title == "int4, 12-10-8-3"
