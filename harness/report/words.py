"""What the figures say: the bottleneck, what limits, where the method pays and where not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.report.gather import Subject

_MARGIN = 0.02  # shares of the cycles that are not worth a sentence
_MUCH = 0.5  # of a memory
_POINT = 0.005  # of accuracy


def interpret(before: Subject | None, after: Subject, others: Sequence[Subject]) -> list[str]:
    """Sentences, each from the measured figures."""
    if after.cycles is None:
        return [f"{after.model.name} {after.misfit}."]
    lines = [_bottleneck(after), _limit(after), _spread(after), _exactness(after)]
    if before is not None:
        lines += _against(before, after)
    better = [one.model.name for one in others if _dominates(one, after)]
    if better:
        lines.append(
            f"Of the other models, {', '.join(better)} are at least as accurate, as small and as "
            f"fast as {after.model.name}, and better in one of the three."
        )
    elif others:
        lines.append(
            f"None of the other models is at least as accurate, as small and as fast as "
            f"{after.model.name}: it is on the front."
        )
    return lines


def _bottleneck(one: Subject) -> str:
    assert one.layer_cycles is not None
    assert one.mean is not None
    layer, cycles = max(one.layer_cycles.items(), key=lambda item: item[1])
    text = f"The bottleneck is {layer}: {cycles / one.mean:.0%} of the {one.mean:,.0f} cycles"
    macs, total = one.macs.get(layer), sum(one.macs.values())
    if not macs:
        return f"{text}, though it multiplies nothing."
    return (
        f"{text}, for {macs / total:.0%} of the multiply-accumulates: "
        f"{cycles / macs:.2f} cycles each."
    )


def _limit(one: Subject) -> str:
    target = one.target
    uses = {"flash": one.flash / target.code.size, "SRAM": one.sram / target.data.size}
    if target.unified:
        uses = {"memory": (one.flash + one.sram) / target.code.size}
    name, share = max(uses.items(), key=lambda item: item[1])
    assert one.mean is not None
    rate = target.clock_hz / one.mean
    limits = f"What limits is {name}" if share > _MUCH else f"Memory does not limit; of {name}"
    return (
        f"{limits}, {share:.0%} of the target's is used. "
        f"At {target.clock_hz / 1e6:g} MHz, {rate:,.1f} inferences a second are possible."
    )


def _spread(one: Subject) -> str:
    assert one.cycles is not None
    low, high = int(one.cycles.min()), int(one.cycles.max())
    if high - low < _MARGIN * low:
        return f"Latency hardly depends on the input: {low:,} to {high:,} cycles."
    p95 = int(np.percentile(one.cycles, 95, method="inverted_cdf"))
    return (
        f"Latency depends on the input: {low:,} to {high:,} cycles, 95 % of inferences within "
        f"{p95:,}. Kernels that skip zeros do less where fewer inputs are active."
    )


def _exactness(one: Subject) -> str:
    if one.equal:
        return f"All outputs of {one.examples:,} examples equal the integer reference's."
    return (
        f"NOT all outputs of {one.examples:,} examples equal the integer reference's: do not use."
    )


def _against(before: Subject, after: Subject) -> list[str]:
    lines = []
    if before.accuracy is not None and after.accuracy is not None:
        change = after.accuracy - before.accuracy
        what = "costs no accuracy" if change > -_POINT else f"costs {-100 * change:.1f} points"
        lines.append(
            f"Against {before.model.name}, {after.model.name} {what}: "
            f"{before.accuracy:.1%} before, {after.accuracy:.1%} after."
        )
    lines.append(
        f"Flash goes from {before.flash:,} to {after.flash:,} bytes "
        f"({before.flash / after.flash:.1f} to 1)."
    )
    if before.misfit:
        return [*lines, f"{before.model.name} {before.misfit.split(':')[0]}, so no time is known."]
    assert before.mean is not None
    assert after.mean is not None
    ratio = before.mean / after.mean
    took = f"{after.mean:,.0f} cycles, {before.mean:,.0f} before"
    lines.append(f"An inference takes {took} ({ratio:.1f} to 1).")
    return lines + _where_it_pays(before, after)


def _where_it_pays(before: Subject, after: Subject) -> list[str]:
    old, new = before.layer_cycles or {}, after.layer_cycles or {}
    common = {layer: old[layer] / new[layer] for layer in new if old.get(layer) and new[layer]}
    weighed = {layer: ratio for layer, ratio in common.items() if layer in after.macs}
    pays = {layer: ratio for layer, ratio in weighed.items() if ratio > 1 + _MARGIN}
    not_so = {layer: ratio for layer, ratio in weighed.items() if layer not in pays}
    lines = []
    if pays:
        best = ", ".join(
            f"{layer} ({ratio:.1f} times)"
            for layer, ratio in sorted(pays.items(), key=lambda i: -i[1])
        )
        lines.append(f"The method pays in {best}.")
    if not_so:
        worst = ", ".join(f"{layer} ({ratio:.2f} times)" for layer, ratio in not_so.items())
        lines.append(f"It does not pay in {worst}.")
    return lines


def _dominates(one: Subject, other: Subject) -> bool:
    if one.accuracy is None or other.accuracy is None or one.mean is None or other.mean is None:
        return False
    ours = (one.accuracy, -one.flash, -one.mean)
    theirs = (other.accuracy, -other.flash, -other.mean)
    return ours != theirs and all(a >= b for a, b in zip(ours, theirs, strict=True))
