"""Networks of every op against the reference, bit for bit, on every instruction set."""

import pytest
from builders import DENSE8, INDEX_LISTS, differences
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from network_strategies import networks
from strategies import batch

from kernels.compile import compile_graph
from kernels.emit import kernels_for
from kernels.errors import DoesNotFit, Unsupported
from kernels.ir import Graph, verify
from kernels.ops.convolution import Convolution
from kernels.ops.matrix_product import MatrixProduct
from kernels.target import find_target

CODE = "code"
TARGETS = ("uno", "mega", "attiny85", "cpm")
PROGRAMS = 60  # of each encoding, on each target
WIDEST = {DENSE8: (127, 32), INDEX_LISTS: (2, 24), CODE: (127, 32)}  # weight; accumulator's bits
PRODUCT_BITS = {"cpm": 31}


def encoded(graph: Graph, target: str, encoding: str) -> dict[str, str]:
    """That encoding for every layer that it has a kernel for."""
    isa = find_target(target).isa
    products = [node for node in graph.nodes if isinstance(node, MatrixProduct)]
    if isa == "z80" and encoding == CODE:
        whole = [node for node in products if isinstance(node, Convolution) and node.groups == 1]
        products = [node for node in whole if node.input.dtype.size == 1]
    return {n.name: encoding for n in products if encoding in kernels_for(isa, type(n))}


@pytest.mark.parametrize("encoding", WIDEST)
@pytest.mark.parametrize("target", TARGETS)
@settings(
    derandomize=True,
    deadline=None,
    max_examples=PROGRAMS,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(data=st.data())
def test_random_networks_are_bit_exact(target: str, encoding: str, data: st.DataObject) -> None:
    weight, accumulator = WIDEST[encoding]
    bits = PRODUCT_BITS.get(target, 48)
    if target == "cpm" and encoding == CODE:
        accumulator = 24
    graph = data.draw(networks(widest_weight=weight, accumulator=accumulator, product_bits=bits))
    verify(graph)
    try:
        program = compile_graph(graph, find_target(target), encoded(graph, target, encoding))
    except DoesNotFit:
        assert target != "mega"  # which has room for all
        assume(False)
    except Unsupported as refusal:
        # Z80 kernels requantize with 32 bits; those of code refuse some; short jumps span 4 KiB.
        if not any(hint in str(refusal) for hint in ("32 bits", "weights as code", "RJMP")):
            raise
        assume(False)
    assert differences(program, batch(graph, data.draw(st.integers(0, 1 << 32)))) == []
