"""What an evaluation finds, as frozen records."""

from __future__ import annotations

from dataclasses import dataclass

_HEAD = ("", "accuracy", "perplexity", "exact", "agrees")


@dataclass(frozen=True, slots=True)
class Scores:
    """One predictor's figures on the validation examples; shares are in [0, 1].

    accuracy: next characters, teacher-forced, or images. perplexity: None where the predictor
    has no probabilities. exact: replies that are right to their end, free-running; None for
    images. agreement: examples with the same first choice as the float reference's, None without
    one. scale: the factor by which logits were multiplied for the perplexity.
    """

    name: str
    protocol: str
    examples: int
    accuracy: float
    perplexity: float | None = None
    exact: float | None = None
    agreement: float | None = None
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Sample:
    """What a predictor said to a query, and every reply that the data has for it."""

    name: str
    query: str
    reply: str
    expected: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """Candidates and baselines under one protocol."""

    task: str
    protocol: str
    candidates: tuple[Scores, ...]
    baselines: tuple[Scores, ...]
    samples: tuple[Sample, ...] = ()

    def text(self) -> str:
        """A table in plain text, the protocol above it and samples below."""
        every = self.candidates + self.baselines
        rows = [_HEAD, *map(_cells, every)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [f"{self.task}, {self.protocol}; {every[0].examples:,} examples"]
        for name, *figures in rows:
            cells = [figure.rjust(width) for figure, width in zip(figures, widths[1:], strict=True)]
            lines.append("  ".join([name.ljust(widths[0]), *cells]).rstrip())
        for sample in self.samples:
            expected = " / ".join(sample.expected)
            lines.append(f"{sample.name}: {sample.query!r} -> {sample.reply!r} (data: {expected})")
        return "\n".join(lines)


def _cells(scores: Scores) -> tuple[str, ...]:
    shares = (_percent(scores.exact), _percent(scores.agreement))
    chance = "" if scores.perplexity is None else f"{scores.perplexity:.2f}"
    return (scores.name, _percent(scores.accuracy), chance, *shares)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"
