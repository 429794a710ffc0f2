"""Knowledge distillation: learning from teachers' softened probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from models.compress.network import Network


@dataclass(frozen=True, eq=False, slots=True)
class Distillation:
    """The teachers, in evaluation mode, and how much they count; see `methods.Distill`."""

    teachers: tuple[Network, ...]
    weight: float
    temperature: float

    def loss(self, logits: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
        """The loss of logits (batch, classes), given labels (batch,) and counts (batch, in)."""
        with torch.no_grad():
            teachers = torch.stack([teacher(counts) for teacher in self.teachers])
        return distillation_loss(logits, teachers, labels, self.weight, self.temperature)


def distillation_loss(
    logits: Tensor, teachers: Tensor, labels: Tensor, weight: float, temperature: float
) -> Tensor:
    """(1 - weight) * cross-entropy + weight * temperature**2 * KL(mean of teachers || network).

    logits: (batch, classes). teachers: logits, (teachers, batch, classes). labels: (batch,).
    """
    targets = functional.softmax(teachers / temperature, dim=-1).mean(0)
    softened = functional.log_softmax(logits / temperature, dim=-1)
    divergence = functional.kl_div(softened, targets, reduction="batchmean")
    hard = functional.cross_entropy(logits, labels)
    return (1 - weight) * hard + weight * temperature**2 * divergence
