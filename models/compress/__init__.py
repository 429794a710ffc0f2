"""Compression: pruning, quantization-aware training, post-training quantization, distillation.

A method is a frozen record of its hyperparameters (`models.compress.methods`) with one function
that does it. A chain of them, such as prune -> distill -> ternary, is part of a recipe.

    chain = (Train(), PruneUnits(share=0.5), Distill(), QuantizeAware(WeightFormat.TERNARY))

Importing this package does not import torch.
"""

from models.compress.methods import (
    Distill,
    Method,
    PostTraining,
    PruneUnits,
    PruneWeights,
    QuantizeAware,
    Train,
)
from models.compress.options import Importance, Schedule, WeightFormat

__all__ = [
    "Distill",
    "Importance",
    "Method",
    "PostTraining",
    "PruneUnits",
    "PruneWeights",
    "QuantizeAware",
    "Schedule",
    "Train",
    "WeightFormat",
]
