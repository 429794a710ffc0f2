"""The encoders against hashes worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from models.chat import encoder
from models.errors import InputRefused


def codes(*grams: str) -> np.ndarray:
    return np.array([[ord(character) for character in gram] for gram in grams], np.int64)


def buckets(counts: np.ndarray) -> dict[int, int]:
    return {int(i): int(counts[i]) for i in np.flatnonzero(counts)}


def test_hash_is_modulo_65536() -> None:
    # " hi" = (32*31 + 104)*31 + 105; "zzz" = 121146 - 65536
    assert encoder.hash16(codes(" hi", "zzz")).tolist() == [34081, 55610]


def test_hash_starts_at_its_seed() -> None:
    assert encoder.hash16(codes("a", "b"), np.array([0, 7])).tolist() == [97, 7 * 31 + 98]


def test_query_trigrams_by_hand() -> None:
    # " hi " has " hi" (34081 & 127 = 33) and "hi " (37695 & 127 = 63).
    (counts,) = encoder.query_counts(["HI"])
    assert counts.dtype == np.uint8
    assert buckets(counts) == {33: 1, 63: 1}


def test_equal_trigrams_add_up() -> None:
    # " aa" 33856 -> 64, "aaa" 96321 -> 65 three times, "aa " 96256 -> 0
    assert buckets(encoder.query_counts(["aaaaa"])[0]) == {0: 1, 64: 1, 65: 3}


def test_leading_spaces_are_skipped_and_trailing_ones_count() -> None:
    plain, leading, trailing = encoder.query_counts(["hi", "   HI", "hi "])
    assert np.array_equal(plain, leading)
    assert trailing.sum() == 3


def test_an_empty_query_gives_zeros_among_others() -> None:
    counts = encoder.query_counts(["", "hi", "   "])
    assert counts.sum(axis=1).tolist() == [0, 2, 0]
    assert encoder.query_counts([]).shape == (0, 128)


def test_only_ascii_letters_are_lowered() -> None:
    upper, lower = encoder.query_counts(["A[Z", "a[z"])
    assert np.array_equal(upper, lower)
    assert not np.array_equal(lower, encoder.query_counts(["a{z"])[0])


def test_a_count_of_255_is_kept_and_256_refused() -> None:
    assert encoder.query_counts(["a" * 257])[0].max() == 255
    with pytest.raises(InputRefused, match="258 characters counts one bucket beyond 255"):
        encoder.query_counts(["hi", "a" * 258])


def test_other_than_ascii_is_refused() -> None:
    with pytest.raises(InputRefused, match="'é'"):
        encoder.query_counts(["café"])


def test_context_windows_hold_the_last_eight() -> None:
    texts = [bytes(window).decode() for window in encoder.windows("ABCDEFGHIJ")]
    assert texts[:2] == [" " * 8, " " * 7 + "a"]
    assert texts[-1] == "cdefghij"
    assert len(texts) == 11
    assert np.array_equal(encoder.empty_contexts(1), encoder.windows("")[:1])


def test_context_grams_by_hand() -> None:
    # Eight spaces: 7i seeds the hash, 31 * 7i + 32 for one space, and so on for two and three.
    expected = np.zeros(128, int)
    for n in (1, 2, 3):
        for i in range(8 - n + 1):
            spaces = {1: 32, 2: 32 * 32, 3: 32 * (961 + 31 + 1)}[n]
            expected[(7 * i * 31**n + spaces) % 128] += 1
    (counts,) = encoder.context_counts(encoder.empty_contexts(1))
    assert counts.tolist() == expected.tolist()
    assert counts.sum() == 21


def test_a_context_character_counts_by_position() -> None:
    # "a" last, at position 7: the unigram is 49*31 + 97 = 1616 -> 80.
    blank, one = encoder.context_counts(encoder.windows("A"))
    assert one[80] == blank[80] + 1
    assert (one != blank).any()


def test_words_follow_the_trigrams() -> None:
    # "hi" = 104 * 31 + 105 = 3329 -> 1; "a" = 97
    (counts,) = encoder.query_and_word_counts([" HI a  hi "])
    assert counts.dtype == np.uint8
    assert np.array_equal(counts[:128], encoder.query_counts(["HI a  hi "])[0])
    assert buckets(counts[128:]) == {1: 2, 97: 1}


def test_words_are_hashed_to_their_ends() -> None:
    (counts,) = encoder.query_and_word_counts(["zzz"])
    assert buckets(counts[128:]) == {55610 & 127: 1}


def test_queries_without_words_among_others() -> None:
    counts = encoder.query_and_word_counts(["", "a b", "  "])
    assert counts[:, 128:].sum(axis=1).tolist() == [0, 2, 0]
    assert encoder.query_and_word_counts([]).shape == (0, 256)


def test_words_must_be_ascii_too() -> None:
    with pytest.raises(InputRefused, match="'é'"):
        encoder.query_and_word_counts(["café"])
