"""Phrases that decoding prefers: how they are written, and what they gain."""

from pathlib import Path

import pytest

from steno.decoding.hotwords import DEFAULT_BOOST, Hotword, PhraseGraph, parse_hotwords
from steno.errors import DecodingError
from steno.text import ENGLISH


def test_forms(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("# names\nNew York:2\n\nkarenin\n")
    found = parse_hotwords(["Anna", "don't go:-1.5", f"@{tmp_path / 'list.txt'}"], ENGLISH)
    assert found == [
        Hotword("anna", DEFAULT_BOOST),
        Hotword("don't go", -1.5),
        Hotword("new york", 2.0),
        Hotword("karenin", DEFAULT_BOOST),
    ]


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("щи", "outside the alphabet"),
        ("b2b", "'2'"),
        ("anna:much", "not a number"),
        ("anna:nan", "not a number"),
        ("", "empty"),
        ("@none", "none"),
    ],
)
def test_what_cannot_be_meant_is_refused(entry: str, says: str) -> None:
    with pytest.raises(DecodingError, match=says):
        parse_hotwords([entry], ENGLISH)


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("fine\nb4d\n")
    with pytest.raises(DecodingError, match=r"list\.txt:2"):
        parse_hotwords([f"@{tmp_path / 'list.txt'}"], ENGLISH)


def test_a_list_of_another_encoding(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    for coding in ("utf-16", "utf-8-sig"):
        names.write_text("# names\nChloé:2\n", encoding=coding)
        assert parse_hotwords([f"@{names}"], ENGLISH) == [Hotword("chloe", 2.0)]
    names.write_text("anna\nChloé:2\n", encoding="cp1252")
    with pytest.raises(DecodingError, match=r"names\.txt:2: is not UTF-8 text: byte 5") as caught:
        parse_hotwords([f"@{names}"], ENGLISH)
    assert "iconv -f WINDOWS-1252" in caught.value.hint


def gain(graph: PhraseGraph, symbols: list[int]) -> float:
    node, before, total = graph.root, None, 0.0
    for symbol in symbols:
        node, more = graph.step(node, before, symbol)
        before, total = symbol, total + more
    return total + graph.finish(node)


def test_a_whole_phrase_gains_and_a_part_of_it_nothing() -> None:
    graph = PhraseGraph([([1, 2, 3], 6.0), ([7], 2.0)])
    assert gain(graph, [1, 2, 3]) == pytest.approx(6)
    assert gain(graph, [5, 1, 2, 3, 5, 7]) == pytest.approx(8)
    assert gain(graph, [1, 2]) == pytest.approx(0)
    assert gain(graph, [1, 2, 5]) == pytest.approx(0)
    assert gain(graph, [1, 1, 2, 3]) == pytest.approx(6)
    assert gain(graph, [1, 7]) == pytest.approx(2)


def test_a_phrase_that_begins_another_keeps_its_gain() -> None:
    graph = PhraseGraph([([1], 2.0), ([1, 2, 3], 6.0)])
    assert gain(graph, [1, 2, 3]) == pytest.approx(6)
    assert gain(graph, [1, 2, 9]) == pytest.approx(2)


def test_characters_gain_only_as_whole_words() -> None:
    space, c, a, t, s = range(5)
    graph = PhraseGraph(
        [([c, a, t], 3.0)], lambda before, symbol: before in (None, space), lambda symbol: symbol == space
    )
    assert gain(graph, [c, a, t]) == pytest.approx(3)
    assert gain(graph, [a, space, c, a, t, space, a]) == pytest.approx(3)
    assert gain(graph, [c, a, t, s]) == pytest.approx(0)
    assert gain(graph, [s, c, a, t]) == pytest.approx(0)
