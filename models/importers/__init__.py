"""Networks that come from elsewhere.

    network = from_torch(module, example)       a FloatNetwork
    graph = network.quantize(calibration, input_scale=1 / 255)

Importing this package does not import torch; `from_torch` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.importers.float_network import FloatLayer, FloatNetwork

if TYPE_CHECKING:
    import torch

__all__ = ["FloatLayer", "FloatNetwork", "from_torch"]


def from_torch(
    module: torch.nn.Module, example: torch.Tensor, name: str = "imported"
) -> FloatNetwork:
    """The float network of a PyTorch module, traced by torch.export in evaluation mode.

    example: any input, float (batch, *shape). Linear, ReLU, BatchNorm1d, arithmetic with constants,
    Dropout, and whatever only changes shapes are taken, in any module that runs them in sequence.

    Raises UnsupportedOperator for anything else, ModelError for a module that cannot be traced and
    for weights that are NaN or infinite.
    """
    from models.importers import pytorch  # noqa: PLC0415 - imports torch

    return pytorch.import_module(module, example, name)
