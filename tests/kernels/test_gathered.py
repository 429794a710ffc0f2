"""Convolutions by kernels of other layers: the scratch of window and product is large enough."""

import numpy as np
import pytest
from builders import differences, graph_of, requantization

from kernels.compile import compile_graph
from kernels.dtypes import UINT8
from kernels.ir import Tensor
from kernels.ops.conv2d import Conv2d
from kernels.target import find_target


@pytest.mark.parametrize(
    ("target", "encoding"),
    [("uno", "trits"), ("mega", "trits"), ("uno", "paged-trits"), ("cpm", "threaded-lists")],
)
@pytest.mark.parametrize("groups", [1, 2])
def test_products_that_take_more_than_their_outputs(
    target: str, encoding: str, groups: int
) -> None:
    """Trits write five outputs where a group has one, threaded lists leave a gap behind theirs."""
    source = Tensor("x", (1, 1, groups), UINT8)
    output = Tensor("conv_out", (2, 2, groups), UINT8)
    weights = np.array([[[[2, 2], [-2, 0]]]] * groups, np.int8)
    how = requantization(shift=1, low=0, high=255)
    bias = np.zeros(groups, np.int32)
    conv = Conv2d("conv", source, output, weights, bias, how, groups=groups, padding=(1, 1))
    graph = graph_of(conv, source=source)
    program = compile_graph(graph, find_target(target), {"conv": encoding})
    inputs = np.random.default_rng(groups).integers(0, 256, (5, *source.shape))
    assert differences(program, inputs) == []
