"""A training's state on disk after every epoch, so that an interrupted one can go on.

The file holds tensors, numbers and strings only, and is read without unpickling anything else.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from models.errors import ModelError
from models.files import refusing

SUFFIX = ".state"
State = dict[str, Any]


@dataclass(slots=True)
class Journal:
    """What was trained so far. Trainings of a chain are numbered from 0.

    path: the file; None keeps nothing. fingerprint: names recipe, seed and data.
    finished: the final network states of trainings that ended. current: the running one's state
    after its last epoch: `epoch`, `network`, `optimizer`, `schedule`.
    """

    path: Path | None
    fingerprint: str
    finished: list[State] = field(default_factory=list)
    current: State | None = None

    @classmethod
    def beside(cls, out: Path, what: str, *data: NDArray[Any]) -> Self:
        """The opened journal of the training that will write `out`, in `<out>.state`.

        what, data: all that a training depends on, in words and in arrays. Raises as `open` does.
        """
        digest = hashlib.sha256(what.encode())
        for array in data:
            digest.update(np.ascontiguousarray(array).tobytes())
        journal = cls(out.with_name(out.name + SUFFIX), digest.hexdigest())
        journal.open()
        return journal

    def open(self) -> None:
        """Read the file where there is one.

        Raises ModelError for another training's state, ModelFileError for a damaged file.
        """
        if self.path is None or not self.path.exists():
            return
        with refusing(self.path, None, "expected a training's state; delete it to start afresh"):
            stored = torch.load(self.path, weights_only=True)
            fingerprint = stored["fingerprint"]
            self.finished, self.current = list(stored["finished"]), stored["current"]
        if fingerprint != self.fingerprint:
            raise ModelError(
                f"{self.path} is the state of another training; delete it to start afresh"
            )

    def note_epoch(self, state: State) -> None:
        """Write the running training's state."""
        self.current = state
        self._write()

    def note_end(self, network: State) -> None:
        """Write that the running training ended."""
        self.finished.append({name: value.clone() for name, value in network.items()})
        self.current = None
        self._write()

    def remove(self) -> None:
        """Delete the file: the checkpoint is written."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def _write(self) -> None:
        if self.path is None:
            return
        partial = self.path.with_name(f".{self.path.name}.{os.getpid()}.partial")
        stored = {
            "fingerprint": self.fingerprint,
            "finished": self.finished,
            "current": self.current,
        }
        try:
            torch.save(stored, partial)
            partial.replace(self.path)
        finally:
            partial.unlink(missing_ok=True)
