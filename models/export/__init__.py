"""From trained layers to the integer graph; numpy only.

layers = settle(real_layers, calibration, Settings())
graph = build_graph("name", layers, settings)
fake_quantized(layers, inputs)      the same network in float, for comparison
"""

from models.export.graph import build_graph
from models.export.layers import IntegerLayer, LevelLayer, RealLayer, Settings
from models.export.settle import fake_quantized, per_layer, settle

__all__ = [
    "IntegerLayer",
    "LevelLayer",
    "RealLayer",
    "Settings",
    "build_graph",
    "fake_quantized",
    "per_layer",
    "settle",
]
