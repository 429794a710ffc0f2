"""A recipe: all that a network's training depends on, but the seed and the data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from models.compress.methods import Method
from models.export import Settings
from models.export.layers import MAX_WEIGHT


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to come from nothing to a compressed network.

    task: the name of the task it is trained and scored on. hidden: units of each hidden layer at
    the start of the chain. chain: what is done, in order. input_scale: the real value of one count.
    input_high: the largest count that will ever enter the device, a promise on which accumulators
    are proven. activations: dtype of hidden activations, uint8 or int16.
    """

    name: str
    title: str
    task: str
    hidden: tuple[int, ...]
    chain: tuple[Method, ...]
    input_scale: float = 1.0
    input_high: int = 255
    activations: str = "uint8"

    def settings(self, max_weight: int = MAX_WEIGHT) -> Settings:
        """What its integer graph is to look like."""
        return Settings(
            input_scale=self.input_scale,
            input_high=self.input_high,
            activations=self.activations,
            max_weight=max_weight,
        )

    def describe(self) -> Mapping[str, Any]:
        """The recipe as plain data, each method with its name."""
        plain = asdict(self)
        methods = zip(self.chain, plain["chain"], strict=True)
        chain = [{"method": type(method).__name__, **values} for method, values in methods]
        return {**plain, "chain": chain}

    def as_json(self) -> str:
        """The description in JSON; equal recipes give equal text."""
        return json.dumps(self.describe(), sort_keys=True)
