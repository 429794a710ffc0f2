"""A chain at work: the network as it stands, the data, and training that can be resumed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from models.compress.distillation import Distillation
from models.compress.export import layers_of
from models.compress.journal import Journal, State
from models.compress.methods import PostTraining
from models.compress.network import Network
from models.compress.options import Schedule
from models.compress.recipe import Recipe
from models.errors import ModelError
from models.export import settle
from models.task import Task
from models.training import Progress, TrainingStep

EpochHook = Callable[[Network, int], None]
SETTLED_SHARE = 0.25
"""Of the epochs of a training with quantized weights, the share that rounds as the device does."""


@dataclass(slots=True)
class Session:
    """Runs a recipe's chain.

    Every training is numbered, and draws all its randomness from (seed, number, epoch). So a
    session with a journal skips trainings that have ended, resumes the one that was interrupted
    after its last whole epoch, and comes to the same bits.
    """

    recipe: Recipe
    task: Task
    seed: int
    journal: Journal
    progress: Progress
    epochs: int = 0
    network: Network = field(init=False)
    distillation: Distillation | None = None
    post_training: PostTraining | None = None
    _trainings: int = 0
    _epochs_done: int = 0

    def run(self) -> Network:
        """The network after the whole chain, in evaluation mode."""
        self.epochs = sum(method.epochs for method in self.recipe.chain)
        with one_thread():
            self.network = self._fresh(0)
            for method in self.recipe.chain:
                method.apply(self)
        return self.network.eval()

    def fit(self, schedule: Schedule, before_epoch: EpochHook | None = None) -> None:
        """Train the session's network; `before_epoch` is given it and the epoch, from 0."""
        self._fit(self.network, schedule, self.distillation, before_epoch)

    def fit_teacher(self, schedule: Schedule) -> Network:
        """Train a float network of full width."""
        teacher = self._fresh(1 + self._trainings)
        self._fit(teacher, schedule, None, None)
        return teacher.eval()

    def _fresh(self, number: int) -> Network:
        how = self.recipe
        sizes = (self.task.train.inputs.shape[1], *how.hidden, self.task.classes)
        with seeded(self.seed, number, 0):
            return Network(sizes, how.input_scale, how.activations)

    def _fit(
        self,
        network: Network,
        schedule: Schedule,
        distillation: Distillation | None,
        before_epoch: EpochHook | None,
    ) -> None:
        number = self._trainings
        self._trainings += 1
        if number < len(self.journal.finished):
            network.load_state_dict(self.journal.finished[number])
            self._epochs_done += schedule.epochs
            return
        training = _Training(network, schedule, self.task, distillation)
        network.unsettle()
        first = training.restore(self.journal.current) if self.journal.current else 0
        settling = int(schedule.epochs * (1 - SETTLED_SHARE))
        for epoch in range(first, schedule.epochs):
            if before_epoch is not None:
                before_epoch(network, epoch)
            if network.quantized and epoch == settling:
                self._settle(network)
            with seeded(self.seed, number, epoch + 1) as generator:
                loss = training.epoch(generator)
            self.journal.note_epoch(training.state(epoch + 1))
            done = self._epochs_done + epoch + 1
            self.progress(TrainingStep(done, self.epochs, loss))
        self.journal.note_end(network.state_dict())
        self._epochs_done += schedule.epochs

    def _settle(self, network: Network) -> None:
        """From now on the network rounds where its integers will, so that export loses nothing."""
        layers = settle(layers_of(network), self.task.train.inputs, self.recipe.settings())
        network.settle([layer.grid for layer in layers])


class _Training:
    """A network with its optimizer."""

    def __init__(
        self,
        network: Network,
        schedule: Schedule,
        task: Task,
        distillation: Distillation | None,
    ) -> None:
        self.network, self.how, self.task = network, schedule, task
        self.distillation = distillation
        self.optimizer = torch.optim.AdamW(
            network.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
        )
        self.steps = schedule.epochs * -(-len(task.train.labels) // schedule.batch)
        self.step = 0

    def epoch(self, generator: np.random.Generator) -> float:
        """Train on every example once; the mean loss. ModelError where it is NaN or infinite."""
        draw = self.task.augmented if self.how.augment else None
        examples = draw(generator) if draw else self.task.train
        order = torch.randperm(len(examples.labels))
        if len(order) % self.how.batch == 1:
            order = order[:-1]  # batch normalization cannot take a batch of one
        counts = torch.tensor(examples.inputs)
        labels = torch.tensor(examples.labels)
        self.network.train()
        self.network.dropout = self.how.dropout
        total = 0.0
        for start in range(0, len(order), self.how.batch):
            batch = order[start : start + self.how.batch]
            total += self._step(counts[batch].float(), labels[batch]) * len(batch)
        loss = total / len(order)
        if not np.isfinite(loss):
            raise ModelError(f"training diverged: the loss is {loss}; lower the learning rate")
        return loss

    def _step(self, counts: Tensor, labels: Tensor) -> float:
        done = min(self.step / self.steps, 1)
        self.step += 1
        for group in self.optimizer.param_groups:
            group["lr"] = self.how.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
        logits = self.network(counts)
        if self.distillation is None:
            loss = functional.cross_entropy(logits, labels)
        else:
            loss = self.distillation.loss(logits, labels, counts)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss.item()

    def state(self, epoch: int) -> State:
        """What `restore` needs to go on after that many epochs."""
        return {
            "epoch": epoch,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
        }

    def restore(self, state: State) -> int:
        """Take over a state; the epochs done."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = int(state["step"])
        return int(state["epoch"])


@contextmanager
def one_thread() -> Iterator[None]:
    """The order of additions, hence every bit, depends on the number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def seeded(*key: int) -> Iterator[np.random.Generator]:
    """Randomness, of torch and of the generator given, from `key` alone; torch's own is kept."""
    sequence = np.random.SeedSequence(key)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(sequence.generate_state(1)[0]))
        yield np.random.default_rng(sequence)
