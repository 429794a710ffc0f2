"""From trained layers to the integer graph; numpy only.

layers = settle(real_layers, calibration, Settings())
graph = build_graph("name", layers, settings)
fake_quantized(real_layers, layers, inputs)     the same network in float, for comparison
on_grid(layer, grid, input_scale, number)       integers where scales were settled before
"""

from models.export.graph import build_graph
from models.export.layers import Grid, IntegerLayer, LevelLayer, RealLayer, Settings
from models.export.scales import on_grid
from models.export.settle import fake_quantized, fake_quantized_layers, per_layer, settle

__all__ = [
    "Grid",
    "IntegerLayer",
    "LevelLayer",
    "RealLayer",
    "Settings",
    "build_graph",
    "fake_quantized",
    "fake_quantized_layers",
    "on_grid",
    "per_layer",
    "settle",
]
