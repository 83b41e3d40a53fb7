import numpy as np

from tastemaker.data.duplicates import exact_duplicates, near_duplicates


def near(fingerprints: list[int], titles: list[str], max_bits: int = 1) -> dict[int, int]:
    hashes = np.array(fingerprints, np.uint64)
    return near_duplicates(hashes, titles, max_bits=max_bits, title_overlap_frac=0.6)


def test_each_repetition_points_to_the_first() -> None:
    assert exact_duplicates([b"a", b"b", b"a", b"a", b"b"]) == {2: 0, 3: 0, 4: 1}


def test_look_and_title_must_both_be_close() -> None:
    lamps = ["red oak lamp", "Red oak lamp!", "blue wool rug", "red oak lamp"]
    assert near([0b000, 0b001, 0b000, 0b111], lamps) == {1: 0}


def test_no_chain_drifts_away_from_the_kept_item() -> None:
    # 0 ~ 1 ~ 2, but 2 is two bits from 0 and 1 is gone already
    assert near([0b00, 0b01, 0b11], ["lamp"] * 3) == {1: 0}


def test_bits_of_the_whole_word_count() -> None:
    assert near([0, 1 << 63], ["lamp"] * 2) == {1: 0}
    assert near([0, (1 << 64) - 1], ["lamp"] * 2, max_bits=63) == {}


def test_an_empty_catalogue_has_none() -> None:
    assert near([], []) == {}
