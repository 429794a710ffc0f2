"""Training of the float network, which can be interrupted after any epoch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.compress.journal import Journal, State
from models.digits.data import Split
from models.digits.network import build, scaled
from models.digits.recipe import Recipe
from models.training import Progress, TrainingStep

_CENTRE = 4


def train_network(
    data: Split, recipe: Recipe, seed: int, progress: Progress, journal: Journal
) -> nn.Sequential:
    """Train on one thread; all randomness comes from `seed`, and torch's own state is kept.

    Where the journal holds a training that was interrupted, it goes on, to the same bits.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the order of additions, hence every bit, depends on it
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            images, labels = scaled(data.train_images), torch.tensor(data.train_labels)
            training = _Training(recipe, len(images))
            first = training.restore(journal.current) if journal.current else 0
            for epoch in range(first, recipe.epochs):
                loss = training.epoch(images, labels)
                journal.note_epoch(training.state(epoch + 1))
                progress(TrainingStep(epoch + 1, recipe.epochs, loss))
            return training.network.eval()
    finally:
        torch.set_num_threads(threads)


class _Training:
    """A network with its optimizer and schedule."""

    def __init__(self, recipe: Recipe, examples: int) -> None:
        self.network, self.recipe = build(), recipe
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        steps = recipe.epochs * -(-examples // recipe.batch)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, steps)

    def epoch(self, images: Tensor, labels: Tensor) -> float:
        """Train on every image once; the mean loss."""
        self.network.train()
        total = 0.0
        order = torch.randperm(len(images))
        for start in range(0, len(order), self.recipe.batch):
            batch = order[start : start + self.recipe.batch]
            logits = self.network(_shifted(images[batch], self.recipe.shifted_share))
            loss = functional.cross_entropy(logits, labels[batch])
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            self.schedule.step()
            total += loss.item() * len(batch)
        return total / len(images)

    def state(self, epoch: int) -> State:
        """What `restore` needs to go on after that many epochs."""
        return {
            "epoch": epoch,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "random": torch.get_rng_state(),
        }

    def restore(self, state: State) -> int:
        """Take over a state; the epochs done."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["random"])
        return int(state["epoch"])


def _shifted(images: Tensor, share: float) -> Tensor:
    """The batch (n, 64), that share of it moved by up to one pixel in x and y."""
    padded = functional.pad(images.view(-1, 8, 8), (1, 1, 1, 1))
    moved = torch.stack([padded[:, y : y + 8, x : x + 8] for y in range(3) for x in range(3)], 1)
    which = torch.randint(0, 9, (len(images),))
    which = torch.where(torch.rand(len(images)) < share, which, _CENTRE)
    return moved[torch.arange(len(images)), which].reshape(len(images), -1)
