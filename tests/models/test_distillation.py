"""The distillation loss against its formula in plain Python."""

from __future__ import annotations

import math

import pytest
import torch

from models.compress.distillation import Distillation, distillation_loss
from models.compress.network import Network


def softmax(logits: list[float], temperature: float) -> list[float]:
    powers = [math.exp(value / temperature) for value in logits]
    return [power / sum(powers) for power in powers]


def by_hand(
    logits: list[list[float]],
    teachers: list[list[list[float]]],
    labels: list[int],
    weight: float,
    temperature: float,
) -> float:
    total = 0.0
    for row, (values, label) in enumerate(zip(logits, labels, strict=True)):
        soft = softmax(values, temperature)
        votes = [softmax(teacher[row], temperature) for teacher in teachers]
        target = [sum(column) / len(votes) for column in zip(*votes, strict=True)]
        divergence = sum(p * math.log(p / q) for p, q in zip(target, soft, strict=True))
        hard = -math.log(softmax(values, 1.0)[label])
        total += (1 - weight) * hard + weight * temperature**2 * divergence
    return total / len(logits)


@pytest.mark.parametrize(("weight", "temperature"), [(0.6, 1.5), (0.0, 1.5), (1.0, 4.0)])
def test_the_loss_is_the_formula(weight: float, temperature: float) -> None:
    logits = [[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]]
    teachers = [[[2.0, 0.0, -1.0], [1.0, 1.0, 1.0]], [[0.5, 0.5, 3.0], [-2.0, 2.0, 0.0]]]
    found = distillation_loss(
        torch.tensor(logits), torch.tensor(teachers), torch.tensor([0, 2]), weight, temperature
    )
    assert float(found) == pytest.approx(
        by_hand(logits, teachers, [0, 2], weight, temperature), rel=1e-5
    )


def test_a_network_that_equals_its_teacher_has_the_hard_loss_only() -> None:
    torch.manual_seed(0)
    teacher = Network((4, 3)).eval()
    counts, labels = torch.rand(5, 4), torch.tensor([0, 1, 2, 0, 1])
    how = Distillation((teacher,), 0.6, 1.5)
    hard = torch.nn.functional.cross_entropy(teacher(counts), labels)
    torch.testing.assert_close(how.loss(teacher(counts), labels, counts), 0.4 * hard)


def test_teachers_get_no_gradient() -> None:
    teacher, student = Network((4, 3)).eval(), Network((4, 3))
    counts = torch.rand(5, 4)
    loss = Distillation((teacher,), 0.6, 1.5).loss(
        student(counts), torch.zeros(5, dtype=torch.long), counts
    )
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert all(parameter.grad is not None for parameter in student.parameters())
