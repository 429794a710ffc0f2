"""paged-trits: trits with a page of flash for each block of five outputs: faster, and larger.

Codes are what `trits` has. As those of a block begin at an address whose low byte is 0, an input's
number is the low byte of its code's address. What a page has left is for biases, and for constants
that may lie anywhere. Layers of more inputs than have room there have no pages.
"""

from __future__ import annotations

from kernels.encodings import trits
from kernels.encodings.trits import decode, encode, grouping, problem

__all__ = [
    "INPUTS",
    "NAME",
    "PAGE",
    "RANK",
    "decode",
    "encode",
    "grouping",
    "problem",
]

NAME = "paged-trits"
RANK = 6
PAGE = 256
INPUTS = PAGE - 1 - 2 - 3 * trits.BLOCK  # the end's code, where pairs are, biases of three bytes
