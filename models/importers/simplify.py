"""A float graph made simpler: lines folded into products, bounds fused into what they follow.

Each rule changes one place and is tried again until none applies:

1. A line before a reshape goes behind it.
2. A line behind a product goes into the product.
3. A line before products alone goes into them, unless it shifts what is padded with zeros.
4. Bounds behind a product, a sum or other bounds become theirs.
5. What is left of lines is a product with a diagonal, depthwise on images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from models.errors import UnsupportedOperator
from models.importers.float_nodes import (
    Affine,
    Array,
    Clamp,
    FloatNodes,
    Product,
    Reshape,
    Sum,
)


def simplified(nodes: FloatNodes) -> FloatNodes:
    """The same function; raises UnsupportedOperator for a line that has no integer form."""
    current = nodes.pruned()
    while any(_apply(rule, current) for rule in _RULES):
        current = current.pruned()
    return current


def _apply(rule: Callable[[FloatNodes, int], bool], nodes: FloatNodes) -> bool:
    return any(rule(nodes, number) for number in range(len(nodes.nodes)))


def _bypass(nodes: FloatNodes, number: int) -> None:
    """Let the readers of a node read its source."""
    (source,) = nodes.nodes[number].sources
    for reader in nodes.readers(number):
        if reader >= 0:
            node = nodes.nodes[reader]
            sources = tuple(source if s == number else s for s in node.sources)
            nodes.nodes[reader] = replace(node, sources=sources)
    if nodes.result == number:
        nodes.result = source


def _sink(nodes: FloatNodes, number: int) -> bool:
    """Rule 1, and 4's special case of bounds: what works on each value swaps with a reshape."""
    line, readers = nodes.nodes[number], nodes.readers(number)
    if not isinstance(line, Affine | Clamp) or len(readers) != 1 or readers[0] < 0:
        return False
    reshape = nodes.nodes[readers[0]]
    if not isinstance(reshape, Reshape):
        return False
    nodes.nodes[number] = replace(reshape, sources=line.sources)
    moved = replace(line, sources=(number,), shape=reshape.shape)
    if isinstance(line, Affine) and isinstance(moved, Affine):
        full = (np.broadcast_to(v, line.shape) for v in (line.gain, line.shift))
        gain, shift = (values.reshape(reshape.shape) for values in full)
        moved = replace(moved, gain=gain, shift=shift)
    nodes.nodes[readers[0]] = moved
    return True


def _fold_back(nodes: FloatNodes, number: int) -> bool:
    """Rule 2."""
    line = nodes.nodes[number]
    if not isinstance(line, Affine):
        return False
    before = nodes.nodes[line.sources[0]]
    lines = line.per_channel()
    if not isinstance(before, Product) or lines is None or np.isfinite([before.low]).any():
        return False
    if np.isfinite(before.high) or len(nodes.readers(line.sources[0])) > 1:
        return False
    gain, shift = lines
    nodes.nodes[line.sources[0]] = replace(
        before, weights=_scaled(before.weights, gain), bias=before.bias * gain + shift
    )
    _bypass(nodes, number)
    return True


def _scaled(weights: Array, gain: Array) -> Array:
    return weights * gain.reshape(-1, *(1,) * (weights.ndim - 1))


def _fold_forward(nodes: FloatNodes, number: int) -> bool:
    """Rule 3."""
    line = nodes.nodes[number]
    if not isinstance(line, Affine):
        return False
    lines, readers = line.per_channel(), nodes.readers(number)
    if lines is None or not readers or -1 in readers:
        return False
    gain, shift = lines
    products = [node for node in (nodes.nodes[r] for r in readers) if isinstance(node, Product)]
    if len(products) < len(readers) or (shift.any() and any(any(p.padding) for p in products)):
        return False
    for reader, product in zip(readers, products, strict=True):
        part = len(product.weights) // product.groups
        own = [values.reshape(product.groups, -1).repeat(part, axis=0) for values in (gain, shift)]
        taps = (1,) * (product.weights.ndim - 2)
        gains, shifts = (values.reshape(*values.shape, *taps) for values in own)
        bias = product.bias + (product.weights * shifts).reshape(len(product.weights), -1).sum(1)
        nodes.nodes[reader] = replace(product, weights=product.weights * gains, bias=bias)
    _bypass(nodes, number)
    return True


def _fuse(nodes: FloatNodes, number: int) -> bool:
    """Rule 4."""
    clamp = nodes.nodes[number]
    if not isinstance(clamp, Clamp):
        return False
    before = nodes.nodes[clamp.sources[0]]
    if not isinstance(before, Product | Sum | Clamp) or len(nodes.readers(clamp.sources[0])) > 1:
        return False
    low, high = (float(np.clip(v, clamp.low, clamp.high)) for v in (before.low, before.high))
    nodes.nodes[clamp.sources[0]] = replace(before, low=low, high=high)
    _bypass(nodes, number)
    return True


def _diagonal(nodes: FloatNodes, number: int) -> bool:
    """Rule 5."""
    line = nodes.nodes[number]
    if not isinstance(line, Affine):
        return False
    lines = line.per_channel()
    if lines is None:
        raise UnsupportedOperator(
            "arithmetic with a constant of several values per channel",
            line.place,
            "one constant per channel, or Flatten and Linear behind it",
        )
    (gain, shift), axes = lines, len(line.shape) - 1
    weights = gain.reshape(-1, 1, *(1,) * axes) if axes else np.diag(gain)
    nodes.nodes[number] = Product(
        sources=line.sources,
        shape=line.shape,
        place=line.place,
        weights=weights,
        bias=shift,
        stride=(1,) * axes,
        padding=(0,) * axes,
        groups=len(gain) if axes else 1,
    )
    return True


_RULES = (_sink, _fold_back, _fold_forward, _fuse, _diagonal)
