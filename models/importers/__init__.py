"""Networks that come from elsewhere.

    network = from_torch(module, example)       a FloatNetwork or a FloatGraph
    graph = network.quantize(calibration, input_scale=1 / 255)

Importing this package does not import torch; `from_torch` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.importers.float_graph import FloatGraph
from models.importers.float_network import FloatLayer, FloatNetwork

if TYPE_CHECKING:
    import torch

__all__ = ["FloatGraph", "FloatLayer", "FloatNetwork", "from_torch"]


def from_torch(
    module: torch.nn.Module, example: torch.Tensor, name: str = "imported"
) -> FloatNetwork | FloatGraph:
    """The float network of a PyTorch module, traced by torch.export in evaluation mode.

    example: any input, float (batch, *shape). Linear layers and convolutions, batch normalization,
    pools, ReLU and other bounds, functions of one value such as sigmoid, sums of two values,
    arithmetic with constants, dropout, and whatever only changes shapes are taken. A plain sequence
    of Linear layers and ReLU gives a FloatNetwork, anything else a FloatGraph.

    Raises UnsupportedOperator for anything else, ModelError for a module that cannot be traced and
    for weights that are NaN or infinite.
    """
    from models.importers import pytorch  # noqa: PLC0415 - imports torch

    return pytorch.import_module(module, example, name)
