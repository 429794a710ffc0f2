"""The methods' hyperparameters. Each record says what it does; `apply` does it in a workshop.

Records are plain data, so that recipes can be listed without importing torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from models.compress.options import STANDARD, Importance, Schedule, WeightFormat
from models.task import Task

if TYPE_CHECKING:
    from models.compress.distillation import Distillation
    from models.compress.network import Network


class Workshop(Protocol):
    """What methods work on: a network as it stands, and the means to train it."""

    task: Task
    network: Network
    distillation: Distillation | None
    post_training: PostTraining | None

    def fit(
        self, schedule: Schedule, before_epoch: Callable[[Network, int], None] | None = None
    ) -> None:
        """Train the network; `before_epoch` is given it and the epoch, from 0."""

    def fit_teacher(self, schedule: Schedule) -> Network:
        """Train a float network of the recipe's full width."""


class Method(Protocol):
    """A step of a chain."""

    @property
    def epochs(self) -> int:
        """Epochs of training that the step takes."""

    def apply(self, shop: Workshop) -> None:
        """Change the shop's network."""


@dataclass(frozen=True, slots=True)
class Train:
    """Train the network as it stands."""

    schedule: Schedule = STANDARD

    @property
    def epochs(self) -> int:
        """Epochs of training that the step takes."""
        return self.schedule.epochs

    def apply(self, shop: Workshop) -> None:
        """Train."""
        shop.fit(self.schedule)


@dataclass(frozen=True, slots=True)
class PruneUnits:
    """Structured pruning: the least important share of each hidden layer's units, then training.

    The layers shrink: rows, biases and the next layer's columns are removed.
    """

    share: float = 0.5
    importance: Importance = Importance.ACTIVITY
    schedule: Schedule = STANDARD

    @property
    def epochs(self) -> int:
        """Epochs of training that the step takes."""
        return self.schedule.epochs

    def apply(self, shop: Workshop) -> None:
        """Shrink every hidden layer, then train."""
        from models.compress import pruning  # noqa: PLC0415 - imports torch

        shop.network = pruning.prune_units(
            shop.network, shop.task.train.inputs, self.share, self.importance
        )
        shop.fit(self.schedule)


@dataclass(frozen=True, slots=True)
class PruneWeights:
    """Unstructured pruning by magnitude, gradually while training.

    Before epoch e the smallest weights of each layer are masked up to the sparsity
    sparsity * (1 - (1 - e / ramp)**3), where ramp is `ramp_share` of the epochs (Zhu and Gupta,
    "To prune, or not to prune", 2017). Masked weights stay zero in later steps of the chain.
    """

    sparsity: float = 0.5
    ramp_share: float = 0.6
    schedule: Schedule = STANDARD

    @property
    def epochs(self) -> int:
        """Epochs of training that the step takes."""
        return self.schedule.epochs

    def apply(self, shop: Workshop) -> None:
        """Train while masking."""
        from models.compress import pruning  # noqa: PLC0415 - imports torch

        ramp = max(1, round(self.ramp_share * self.epochs))
        shop.fit(
            self.schedule,
            lambda network, epoch: pruning.mask_smallest(
                network, pruning.gradual(self.sparsity, epoch, ramp)
            ),
        )


@dataclass(frozen=True, slots=True)
class QuantizeAware:
    """Training with quantized weights and activations, gradients passed straight through.

    per_row: one scale per output unit instead of one per layer, which costs a multiplication per
    output on the device where a plain shift would do. norm: batch normalization after every
    linear layer, folded into scales and biases at export; it makes scales per row.
    """

    weights: WeightFormat = WeightFormat.TERNARY
    per_row: bool = False
    norm: bool = False
    schedule: Schedule = STANDARD

    @property
    def epochs(self) -> int:
        """Epochs of training that the step takes."""
        return self.schedule.epochs

    def apply(self, shop: Workshop) -> None:
        """Set the quantizers, then train."""
        from models.compress import quantizers  # noqa: PLC0415 - imports torch

        shop.network.quantize(quantizers.make(self.weights, per_row=self.per_row), norm=self.norm)
        shop.fit(self.schedule)


@dataclass(frozen=True, slots=True)
class PostTraining:
    """Quantization of trained weights to `bits` (8 or 4), calibrated on the training inputs.

    per_row: one scale per output unit; without it one per layer, and requantizing is a shift.
    """

    bits: int = 8
    per_row: bool = True

    @property
    def epochs(self) -> int:
        """None."""
        return 0

    def apply(self, shop: Workshop) -> None:
        """Have the export quantize."""
        shop.post_training = self


@dataclass(frozen=True, slots=True)
class Distill:
    """From here on, learn from teachers as well: float networks of the recipe's full width.

    Loss = (1 - weight) * cross-entropy + weight * temperature**2 * KL(teachers || network), both
    softened by `temperature`; several teachers' probabilities are averaged (Hinton et al.,
    "Distilling the Knowledge in a Neural Network", 2015).

    teacher: how each teacher is trained; seeds differ. schedule: how the network is then trained,
    before the chain goes on; None leaves that to the next step.
    """

    teachers: int = 1
    weight: float = 0.6
    temperature: float = 1.5
    teacher: Schedule = STANDARD
    schedule: Schedule | None = None

    @property
    def epochs(self) -> int:
        """Epochs of training that the step takes, the teachers' included."""
        own = self.schedule.epochs if self.schedule else 0
        return self.teachers * self.teacher.epochs + own

    def apply(self, shop: Workshop) -> None:
        """Train the teachers, set the loss."""
        from models.compress.distillation import Distillation  # noqa: PLC0415 - imports torch

        teachers = tuple(shop.fit_teacher(self.teacher) for _ in range(self.teachers))
        shop.distillation = Distillation(teachers, self.weight, self.temperature)
        if self.schedule:
            shop.fit(self.schedule)
