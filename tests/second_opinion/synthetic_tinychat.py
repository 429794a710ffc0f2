"""A network of tinychat's shape with random weights, for where tinychat's own are not at hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from models.chat.encoder import INPUTS
from models.tinychat import Tinychat, Weights

CHARSET = " ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789?!\0"
QUERIES = ("hello", "are you real", "what is this")


def synthetic_tinychat(seed: int, hidden: tuple[int, ...]) -> Tinychat:
    """A network with that many units in its hidden layers."""
    rng = np.random.default_rng(seed)
    layers = []
    for inputs, outputs in pairwise([INPUTS, *hidden, len(CHARSET)]):
        weights = rng.choice([-2, -1, 0, 1], size=(outputs, inputs), p=[0.01, 0.14, 0.72, 0.13])
        bias = rng.integers(-60, 61, outputs)
        layers.append((weights.astype(np.int8), bias.astype(np.int16)))
    return Tinychat(Weights(tuple(layers), CHARSET), ())
