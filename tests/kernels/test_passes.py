"""Choice of encodings, layout, fit and link: what a plan says is what a program is."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from builders import (
    DENSE8,
    INDEX_LISTS,
    TARGETS,
    compile_with,
    graph_of,
    linear,
    single,
    tiny_graph,
    with_kernels,
)

from kernels.asm import Isa
from kernels.avr.isa import AVR
from kernels.compile import compile_graph, decide
from kernels.dtypes import BIT, UINT8
from kernels.encodings import encodings
from kernels.errors import CompilerError, DoesNotFit, Unsupported
from kernels.image import Arena, Kind, Part
from kernels.ir import Graph, Tensor
from kernels.passes.arena import plan_arena
from kernels.passes.emission import Emission, emit_layers, lifetimes
from kernels.passes.encoding import choose_encodings
from kernels.passes.fit import check_fit
from kernels.passes.layout import lay_out, startup_of
from kernels.passes.link import link
from kernels.passes.ranges import prove_ranges
from kernels.target import Target, find_target, targets
from kernels.toolchain import Linked, assemble

UNO, CPM = find_target("uno"), find_target("cpm")


def choose(graph: Graph, wanted: dict[str, str]) -> dict[str, str]:
    choices = choose_encodings(graph, UNO, prove_ranges(graph), wanted)
    return {layer: str(choice) for layer, choice in choices.items()}


def emitted(graph: Graph, target: Target, encoding: str, isa: Isa | None = None) -> Emission:
    plan = decide(graph, target, {"fc": encoding})
    isa = isa or startup_of(target).ISA
    return emit_layers(graph, target, isa, plan, far=False)


def sram(graph: Graph, target: Target, emission: Emission) -> dict[str, int]:
    arena = plan_arena(lifetimes(graph, emission))
    return {name: target.arena_origin(arena.size) + at for name, at in arena.offsets.items()}


def test_small_weights_get_index_lists_and_others_dense8() -> None:
    x = Tensor("x", (2,), UINT8)
    few = linear("few", x, [[2, -2], [0, 1]])
    many = linear("many", few.output, [[3, 0]])
    graph = graph_of(few, many, source=x)
    assert choose(graph, {}) == {"few": INDEX_LISTS, "many": DENSE8}
    assert choose(graph, {"few": DENSE8}) == {"few": DENSE8, "many": DENSE8}


def test_accumulators_too_wide_for_index_lists_get_dense8() -> None:
    assert choose(single([[1, 0]], (1 << 23) - 255), {}) == {"fc": DENSE8}


def test_layers_without_weights_get_no_encoding() -> None:
    assert choose(tiny_graph(), {}) == {"fc": INDEX_LISTS}


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"best": DENSE8}, "net has no layer 'best' with weights"),
        ({"fc9": DENSE8}, "net has no layer 'fc9' with weights"),
        ({"fc": "csr"}, f"unknown encoding 'csr'; known encodings: {', '.join(encodings())}"),
        ({"fc": INDEX_LISTS}, r"fc: index-lists cannot hold weights of \[-2, 3\]; use .*dense8"),
    ],
)
def test_encodings_that_cannot_be(wanted: dict[str, str], message: str) -> None:
    graph = single([[-2, 3]])
    with pytest.raises(Unsupported, match=message):
        choose(graph, wanted)


def test_a_layer_that_no_encoding_serves() -> None:
    reasons = "dense8 reads inputs of whole bytes, not of uint1;.*xnor holds weights of -1 and 1"
    with pytest.raises(Unsupported, match=rf"fc: no encoding serves it: .*{reasons}"):
        choose(single([[5]], source=BIT), {})


def test_targets_are_found_by_name() -> None:
    assert {name: find_target(name) for name in targets()} == targets()
    assert {"uno", "mega", "cpm"} <= targets().keys()
    with pytest.raises(Unsupported, match=r"unknown target 'due'; known targets: uno, .*, cpm, "):
        find_target("due")


@pytest.mark.parametrize(("target", "encoding"), with_kernels(*TARGETS))
def test_parts_follow_one_another_and_make_up_the_image(target: str, encoding: str) -> None:
    program = compile_with(tiny_graph(encoding), target, encoding)
    parts = program.image.parts
    assert parts[0].address == program.image.origin == program.target.code.origin
    assert all(one.address + one.size == then.address for one, then in pairwise(parts))
    assert sum(part.size for part in parts) == program.flash == len(program.image.data)
    layers = {part.layer for part in parts}
    assert sum(program.image.size_of(layer) for layer in layers) == program.flash
    assert program.flash % startup_of(program.target).WORD == 0
    kinds = [part.kind for part in parts]
    assert kinds == sorted(kinds, key=[Kind.STARTUP, Kind.CODE, Kind.CONST].index)
    assert list(program.layer_starts) == ["fc", "best"]
    assert program.entry == program.layer_starts["fc"] < program.layer_starts["best"] < program.end


def test_shared_constants_are_placed_once_and_aligned() -> None:
    x = Tensor("x", (3,), UINT8)
    one = linear("one", x, [[1, 2, 3]], dtype=x.dtype)
    graph = graph_of(one, linear("two", one.output, [[5]]), source=x)
    program = compile_with(graph, "cpm", DENSE8)
    (table,) = (part for part in program.image.parts if part.name == "triangles_centered")
    assert program.image.symbols["triangles_centered"] % 256 == 0
    assert 512 <= table.size < 512 + 256
    assert table.layer is None
    end = table.address + table.size
    assert program.image.symbols["triangles_centered"] == end - 512
    numbers = [n * (n + 1) // 2 for n in range(-128, 128)]
    data = program.image.data[end - 512 - program.image.origin : end - program.image.origin]
    assert list(data) == [n & 0xFF for n in numbers] + [n >> 8 for n in numbers]


@pytest.mark.parametrize("target", ["uno", "mega", "cpm"])
def test_the_arena_and_the_stack_lie_in_data_memory(target: str) -> None:
    program = compile_with(tiny_graph(), target, INDEX_LISTS)
    memory = program.target.data
    begin = program.target.arena_origin(program.arena.size)
    assert memory.origin <= begin
    assert begin % 256 == 0
    assert program.stack_floor == begin + program.arena.size
    assert program.stack_top == memory.end - 1
    assert program.stack_top - program.stack_floor + 1 >= program.target.stack_reserve


def test_uno_flash_is_too_small() -> None:
    with pytest.raises(DoesNotFit) as caught:
        compile_with(single(np.ones((200, 200), np.int8)), "uno", DENSE8)
    error = caught.value
    flash, sram = error.budgets
    needs = {need.part: need.size for need in flash.needs}
    assert (error.target, flash.memory, flash.available) == ("uno", "flash", 32 * 1024 - 512)
    assert list(needs) == ["startup", "fc", "return", "fc_outputs", "fc constants"]
    assert needs["fc constants"] == 200 * 200 + 200 * 3  # a 24-bit bias each
    assert flash.needed == sum(needs.values())
    assert flash.excess == flash.needed - flash.available > 0 >= sram.excess
    excess = f"({flash.excess:,} too many)"
    for figure in (f"{flash.needed:,}", "32,256", excess, "fc constants 40,600"):
        assert figure in str(error)
    assert "SRAM" not in str(error)


def test_uno_sram_is_too_small() -> None:
    graph = single(np.ones((1, 2100), np.int8))
    with pytest.raises(DoesNotFit) as caught:
        compile_with(graph, "uno", DENSE8)
    flash, sram = caught.value.budgets
    assert (sram.memory, sram.available) == ("SRAM", 2048)
    assert {need.part: need.size for need in sram.needs} == {"arena": 2108, "stack": 16}
    assert (sram.needed, sram.excess) == (2124, 76)
    assert flash.excess < 0


def test_code_data_and_stack_share_the_memory_of_cpm() -> None:
    graph = single(np.ones((200, 300), np.int8))
    with pytest.raises(DoesNotFit) as caught:
        compile_with(graph, "cpm", DENSE8)
    (memory,) = caught.value.budgets
    assert (memory.memory, memory.available) == ("memory", 57 * 1024)
    names = [need.part for need in memory.needs]
    assert names[0] == "startup"
    assert names[-2:] == ["arena", "stack"]
    assert [need.in_image for need in memory.needs[-3:]] == [True, False, False]
    assert memory.needed == sum(need.size for need in memory.needs)


def code_of(size: int) -> Sequence[Part]:
    return [Part("fc", "fc", Kind.CODE, 0, size)]


def test_flash_and_sram_fit_to_the_byte() -> None:
    check_fit(UNO, code_of(UNO.code.size), Arena({}, UNO.data.size - UNO.stack_reserve))
    with pytest.raises(DoesNotFit, match=r"flash needs 32,257 bytes.*\(1 too many\)"):
        check_fit(UNO, code_of(UNO.code.size + 1), Arena({}, 0))
    with pytest.raises(DoesNotFit, match=r"SRAM needs 2,049 bytes.*\(1 too many\)"):
        check_fit(UNO, code_of(0), Arena({}, UNO.data.size - UNO.stack_reserve + 1))


@pytest.mark.parametrize("arena", [0, 1, 255, 256, 257, 1000])
def test_unified_memory_fits_to_the_byte_below_the_aligned_arena(arena: int) -> None:
    room = CPM.arena_origin(arena) - CPM.code.origin
    assert CPM.arena_origin(arena) + arena <= CPM.data.end - CPM.stack_reserve
    check_fit(CPM, code_of(room), Arena({}, arena))
    with pytest.raises(DoesNotFit, match=r"\(1 too many\)"):
        check_fit(CPM, code_of(room + 1), Arena({}, arena))


def test_a_wrong_instruction_size_is_found_by_the_linker() -> None:
    graph = tiny_graph()
    forms = tuple(replace(f, size=4) if f.mnemonic == "lpm" else f for f in AVR.forms)
    emission = emitted(graph, UNO, DENSE8, replace(AVR, forms=forms))
    with pytest.raises(CompilerError, match=r"best lies at 0x[0-9a-f]+, planned was 0x"):
        link(UNO, lay_out(emission, UNO), sram(graph, UNO, emission))


@pytest.mark.parametrize("target", ["uno", "cpm"])
def test_a_plan_with_a_wrong_address_is_refused(target: str) -> None:
    graph, machine = tiny_graph(), find_target(target)
    emission = emitted(graph, machine, INDEX_LISTS)
    pieces, addresses = lay_out(emission, machine), sram(graph, machine, emission)
    assert link(machine, pieces, addresses).parts == tuple(piece.part for piece in pieces)
    part = pieces[1].part
    early = replace(part, address=part.address - 2, size=part.size + 2)
    pieces[1] = replace(pieces[1], part=early)
    message = f"fc lies at {part.address:#x}, planned was {part.address - 2:#x}"
    with pytest.raises(CompilerError, match=message):
        link(machine, pieces, addresses)


def test_an_image_of_another_size_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(source: str, target: Target) -> Linked:
        linked = assemble(source, target)
        return replace(linked, data=linked.data[:-2])

    size = compile_graph(tiny_graph(), UNO).flash
    monkeypatch.setattr("kernels.passes.link.assemble", cut)
    message = f"the image has {size - 2:,} bytes, planned were {size:,}"
    with pytest.raises(CompilerError, match=message):
        compile_graph(tiny_graph(), UNO)


@pytest.mark.parametrize(
    ("layer", "tensor", "encoding", "symbol"),
    [("t", "stream", DENSE8, "t_stream"), ("t_a", "a_acc", INDEX_LISTS, "t_a_acc")],
)
def test_names_that_collide_are_refused(
    layer: str, tensor: str, encoding: str, symbol: str
) -> None:
    x = Tensor(tensor, (1,), UINT8)
    graph = graph_of(linear(layer, x, [[1]]), source=x)
    with pytest.raises(CompilerError, match=f"are called {symbol}: rename a layer or"):
        compile_with(graph, "uno", encoding)


def test_labels_that_collide_are_refused() -> None:
    x = Tensor("x", (1,), UINT8)
    first = linear("a", x, [[1]], dtype=UINT8)
    graph = graph_of(first, linear("a_b0", first.output, [[1]]), source=x)
    with pytest.raises(CompilerError, match="two symbols are called a_b0_outputs"):
        compile_graph(graph, UNO, {"a": INDEX_LISTS, "a_b0": DENSE8})


def test_places_are_named_after_code_never_after_sram() -> None:
    program = compile_with(tiny_graph(), "uno", INDEX_LISTS)
    image = program.image
    parts = {part.name: part for part in image.parts}
    assert len(image.data) > UNO.data.origin + 10  # code addresses that look like SRAM's
    assert image.place(0) == "startup + 0"
    assert image.place(image.symbols["fc_b0_scanned"] + 4) == "fc_b0_scanned + 4"
    assert image.place(parts["best"].address + 2) == "best + 2"
    names = {image.place(address).split(" + ")[0] for address in range(len(image.data))}
    assert names <= image.symbols.keys() | parts.keys()
    assert names.isdisjoint(program.arena.offsets)
    assert not any(name.startswith(("part", "_")) for name in names)
    far_away = replace(image, origin=0x100, symbols={}, parts=())
    assert far_away.place(0x20) == "0x0020"


def test_the_source_is_what_was_linked() -> None:
    program = compile_graph(tiny_graph(), UNO)
    assert program.encodings == {"fc": INDEX_LISTS}
    assert "infer:" in program.source
    for part in program.image.parts:
        assert f"; {part.name}: {part.size} bytes" in program.source
