"""KenLM reads what is written for it, and gives the numbers of the ARPA file."""

import random
from pathlib import Path
from typing import Any

import arpa_oracle
import numpy as np
import pytest

from steno.errors import LanguageModelError
from steno.lm import open_lm
from steno.lm.binary import murmur
from steno.lm.build import build
from steno.lm.files import KENLM_ORDER
from steno.lm.probing import probing_table
from steno.lm.score import SentenceScore, score_text
from steno.lm.trie import equal_bins, nearest, packed

SETTINGS = [
    {"order": 2},
    {"order": 3},
    {"order": 4, "prune": (0, 0, 1)},
    {"order": 3, "vocabulary": 100},
    {"order": 6, "units": "characters"},
    {"order": 6, "prune": (0, 0, 90)},
]


@pytest.fixture
def heard(tmp_path: Path, novel: Path) -> Path:
    """Some sentences of the text, shuffled words of it, and words that it lacks."""
    chance = random.Random(1)
    lines = novel.read_text(encoding="utf-8").splitlines()
    words = " ".join(lines).split()
    lines = lines[:20] + [" ".join(chance.choices([*words, "qzx"], k=12)) for _ in range(40)]
    path = tmp_path / "heard.txt"
    path.write_text("\n".join([*lines, "qzx qzx", "the qzx of"]), encoding="utf-8")
    return path


def scores(path: Path, text: Path) -> list[SentenceScore]:
    return list(score_text(open_lm(path), [text]))


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_kenlm_gives_the_numbers_of_the_arpa_file(
    settings: dict[str, Any], heard: Path, novel: Path, tmp_path: Path
) -> None:
    exact, small, arpa = tmp_path / "exact.bin", tmp_path / "small.bin", tmp_path / "m.arpa"
    build([novel], [exact, arpa], **settings)
    build([novel], [small], compact=True, **settings)
    oracle = arpa_oracle.read(arpa)
    for plain, packed_, score in zip(scores(arpa, heard), scores(small, heard), scores(exact, heard), strict=True):
        expected = arpa_oracle.sentence_log10(oracle, score.text.split())
        assert score.log10 == pytest.approx(expected, abs=1e-4)
        assert plain.log10 == pytest.approx(expected, abs=1e-4)
        assert packed_.log10 == pytest.approx(expected, rel=0.05)
        assert (score.unknown, score.tokens) == (packed_.unknown, packed_.tokens)
    assert small.stat().st_size < exact.stat().st_size


def test_the_words_can_be_listed(novel: Path, tmp_path: Path) -> None:
    words = set(novel.read_text(encoding="utf-8").split())
    for name, compact in (("a.bin", False), ("b.bin", True), ("c.arpa", False), ("d.arpa.gz", False)):
        build([novel], [tmp_path / name], order=2, compact=compact)
        model = open_lm(tmp_path / name)
        assert (model.order, model.units, set(model.words())) == (2, "words", words)
        assert len(model.words()) == len(words)


def test_characters_are_told_from_words(novel: Path, tmp_path: Path) -> None:
    build([novel], [tmp_path / "c.bin"], order=5, units="characters")
    model = open_lm(tmp_path / "c.bin")
    assert model.units == "characters"
    assert set(model.words()) <= set("|'abcdefghijklmnopqrstuvwxyz")


def test_orders_above_kenlm_s_are_told(novel: Path, tmp_path: Path) -> None:
    build([novel], [tmp_path / "c.bin"], order=KENLM_ORDER + 1, units="characters")
    assert open_lm(tmp_path / "c.bin").order == 7
    with pytest.raises(LanguageModelError, match=r"order 7.*support up to 6"):
        scores(tmp_path / "c.bin", novel)


@pytest.mark.parametrize("compact", [False, True])
def test_a_truncated_file_is_refused(compact: bool, novel: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.bin"
    build([novel], [path], order=3, compact=compact)
    content = path.read_bytes()
    for size in (60, 100, 110, 5000, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(LanguageModelError, match=r"m\.bin: is truncated"):
            open_lm(path)


def test_another_version_of_the_format_is_refused(novel: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.bin"
    build([novel], [path], order=2)
    path.write_bytes(path.read_bytes().replace(b"version 5", b"version 4", 1))
    with pytest.raises(LanguageModelError, match="another version"):
        open_lm(path)


def test_the_same_text_gives_the_same_bytes(novel: Path, tmp_path: Path) -> None:
    names = ("a.bin", "b.bin", "a.arpa.gz", "b.arpa.gz")
    for name in names:
        build([novel], [tmp_path / name], order=3)
    contents = [(tmp_path / name).read_bytes() for name in names]
    assert contents[0] == contents[1]
    assert contents[2] == contents[3]


# ---- the parts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"", 0), (b"a", 0x71717D2D36B6B11), (b"<unk>", 0xEA91E7561F5B392B), (b"sentence", 0xEF126EEF2C2ECA64)],
)
def test_words_are_hashed_as_by_the_reference(data: bytes, expected: int) -> None:
    """The numbers are those of Appleby's MurmurHash64A in C++ with seed 0."""
    assert murmur(data) == expected


@pytest.mark.parametrize(("entries", "size"), [(0, 1), (1, 2), (2, 3), (5, 6), (40, 41), (1000, 1500)])
@pytest.mark.parametrize("seed", range(5))
def test_every_entry_of_a_table_is_found(entries: int, size: int, seed: int) -> None:
    table = np.zeros(entries, [("key", "<u8"), ("value", "<i4")])
    keys = np.unique(np.random.default_rng(seed).integers(1, 2**63, entries, np.uint64))
    table["key"], table["value"] = keys, np.arange(entries)

    def find(key: int) -> int | None:
        place = key % size
        while placed["key"][place] not in (0, key):
            place = (place + 1) % size
        return int(placed["value"][place]) if placed["key"][place] == key else None

    placed = probing_table(table, size)
    assert [find(int(key)) for key in keys] == list(range(entries))
    assert find(2**63 + 1) is None


def test_entries_wrap_round_the_end() -> None:
    table = np.zeros(4, [("key", "<u8")])
    table["key"] = [4, 9, 14, 5]  # all but one want the last of five buckets
    assert probing_table(table, 5)["key"].tolist() in ([9, 14, 5, 0, 4], [5, 9, 14, 0, 4])


@pytest.mark.parametrize("widths", [(3,), (17, 8), (18, 8, 8, 23), (57, 1)])
def test_fields_are_packed_bit_after_bit(widths: tuple[int, ...]) -> None:
    chance = random.Random(sum(widths))
    values = [[chance.getrandbits(width) for _ in range(21)] for width in widths]
    fields = [(np.array(column, np.int64), width) for column, width in zip(values, widths, strict=True)]
    whole = int.from_bytes(packed(fields).tobytes(), "little")
    for entry in zip(*values, strict=True):
        for value, width in zip(entry, widths, strict=True):
            assert whole % (1 << width) == value
            whole >>= width
    assert whole == 0


def test_bins_are_equally_full_and_the_nearest_is_taken() -> None:
    values = np.random.default_rng(1).normal(size=1000).astype(np.float32)
    bins = equal_bins(values, 10)
    assert np.all(np.diff(bins) > 0)
    chosen = nearest(bins, values)
    np.testing.assert_array_equal(chosen, np.abs(values[:, None] - bins).argmin(1))
    few = equal_bins(values[:3], 10)
    assert set(few[nearest(few, values[:3])]) == set(values[:3])


def test_a_short_text_may_have_no_long_n_grams(tmp_path: Path) -> None:
    text = tmp_path / "short.txt"
    text.write_text("aa b\nb\n", encoding="utf-8")
    for compact in (False, True):
        built = build([text], [tmp_path / "m.bin"], order=6, compact=compact)
        assert built.counted == [5, 4, 3, 1, 0, 0]
        assert scores(tmp_path / "m.bin", text)[0].unknown == 0
