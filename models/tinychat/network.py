"""The same network in float PyTorch: x = 32 * count, acc / 4, ReLU; nothing wraps or rounds."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.model import accuracy
from models.tinychat.graph import COUNT_SHIFT, SHIFT
from models.tinychat.weights import Weights


class FloatNetwork(nn.Module):
    """Counts, float32 (batch, 256), to logits, float32 (batch, classes)."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for weight, bias in weights.layers:
            layer = nn.Linear(weight.shape[1], weight.shape[0])
            layer.weight.data = torch.tensor(weight, dtype=torch.float32)
            layer.bias.data = torch.tensor(bias, dtype=torch.float32)
            self.layers.append(layer)

    def forward(self, counts: Tensor) -> Tensor:
        """Logits; the biases are in units of the accumulators, as in the integer network."""
        return self.activations(counts)[-1]

    def activations(self, counts: Tensor) -> list[Tensor]:
        """What each layer gives, ReLU included; the logits last."""
        values = counts * float(1 << COUNT_SHIFT)
        found = []
        for number, layer in enumerate(self.layers, start=1):
            values = layer(values) / float(1 << SHIFT)
            if number < len(self.layers):
                values = torch.relu(values)
            found.append(values)
        return found


def float_layers(weights: Weights, inputs: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """What each layer gives for inputs, uint8 (n, 256); float32 (n, units) each."""
    with torch.no_grad():
        found = FloatNetwork(weights).activations(torch.tensor(inputs, dtype=torch.float32))
    return [layer.numpy() for layer in found]


def float_accuracy(weights: Weights, inputs: NDArray[np.uint8], labels: NDArray[np.int64]) -> float:
    """Share of inputs, uint8 (n, 256), whose first largest logit is the label's."""
    with torch.no_grad():
        logits = FloatNetwork(weights)(torch.tensor(inputs, dtype=torch.float32)).numpy()
    # torch.argmax does not promise the first one among equals.
    return accuracy(logits.argmax(axis=1), labels)
