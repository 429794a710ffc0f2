"""Figures from logits or log-probabilities and labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_HALVINGS = 36
_LEAST_SCALE, _MOST_SCALE = 1e-8, 1e4


def log_softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Logarithms of the probabilities, float64 (n, classes)."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    normal: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return normal


def perplexity(log_probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The exponential of the mean cross-entropy, which is 1 at best; e.g. 40 for 40 even guesses.

    log_probabilities: (n, classes). labels: (n,).
    """
    chosen = log_probabilities[np.arange(len(labels)), labels]
    return float(np.exp(-chosen.mean()))


def fit_scale(logits: NDArray[Any], labels: NDArray[np.int64]) -> float:
    """The factor on logits (n, classes) for which the labels (n,) are likeliest.

    The cross-entropy is convex in the factor, so its slope is bisected, on a logarithmic scale from
    1e-8 to 1e4; perfectly separated labels give 1e4.
    """
    low, high = np.log(_LEAST_SCALE), np.log(_MOST_SCALE)
    right = logits[np.arange(len(labels)), labels].astype(np.float64)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        chances = np.exp(log_softmax(logits * np.exp(middle)))
        slope = float(np.mean((chances * logits).sum(axis=1) - right))
        low, high = (low, middle) if slope > 0 else (middle, high)
    return float(np.exp(high))
