"""Decisions about pieces: kept at once, undone, and found again."""

import json
from pathlib import Path
from typing import Any

import pytest

from steno.data.manifest import Manifest, Utterance
from steno.decoding.transcript import Transcript, Word
from steno.errors import ManifestError, StenoError, TextError
from steno.labelling.session import Item, Session, State


def utterance(folder: Path, name: str, text: str | None = None, **extra: Any) -> Utterance:
    return Utterance(name, folder / f"{name}.wav", 1.5, text, extra=extra)


def added(session: Session, given: Utterance) -> Item:
    item = session.add(given)
    assert item is not None
    return item


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(tmp_path / "out.jsonl")


def test_a_text_is_kept_normalised_with_the_draft_that_was_put_right(session: Session, tmp_path: Path) -> None:
    item = added(session, utterance(tmp_path, "a"))
    item.draft = Transcript("hallo word")
    session.label(item, "Hello, World!", "anna")
    assert rows(tmp_path / "out.jsonl") == [
        {
            "audio_filepath": "a.wav",
            "duration": 1.5,
            "id": "a",
            "text": "hello world",
            "speaker": "anna",
            "draft": "hallo word",
        }
    ]
    assert session.state(item) is State.LABELLED
    assert session.progress.changed.rate == 1


def test_decisions_are_changed_and_undone(session: Session, tmp_path: Path) -> None:
    first, second = (added(session, utterance(tmp_path, name)) for name in "ab")
    session.label(first, "one")
    session.label(second, "two")
    session.label(first, "three")
    assert [row["text"] for row in rows(session.to)] == ["three", "two"]
    session.set_aside(first)
    assert [row["id"] for row in rows(session.to)] == ["b"]
    assert [row["id"] for row in rows(session.aside)] == ["a"]
    assert session.state(first) is State.UNUSABLE
    session.reopen(first)
    session.reopen(second)
    assert session.state(first) is session.state(second) is State.OPEN
    assert not session.to.exists()
    assert not session.aside.exists()


def test_another_session_goes_on(session: Session, tmp_path: Path) -> None:
    given = [utterance(tmp_path, name) for name in "abc"]
    items = [added(session, one) for one in given]
    session.label(items[0], "one", "anna")
    session.set_aside(items[1])
    again = Session(session.to)
    states = [again.state(added(again, one)) for one in given]
    assert states == [State.LABELLED, State.UNUSABLE, State.OPEN]
    assert (again.row(again[0]).text, again.row(again[0]).speaker) == ("one", "anna")
    again.label(again[2], "three")
    assert [row.text for row in Manifest(session.to)] == ["one", "three"]
    found = again.progress
    assert (found.pieces, found.labelled, found.unusable) == (3, 2, 1)


def test_what_was_cut_otherwise_before_is_not_asked_for_again(session: Session, tmp_path: Path) -> None:
    session.label(added(session, Utterance("a", tmp_path / "a.wav#t=0,5", 5.0)), "one")
    again = Session(session.to)
    assert again.add(Utterance("a", tmp_path / "a.wav#t=0,4", 4.0)) is None
    assert again.add(Utterance("a", tmp_path / "a.wav#t=5,9", 4.0)) is not None
    assert again.add(Utterance("a", tmp_path / "other" / "a.wav#t=0,4", 4.0)) is not None


def test_files_of_one_name_have_ids_of_their_own(session: Session, tmp_path: Path) -> None:
    items = [added(session, Utterance("a", tmp_path / folder / "a.wav", 1.0)) for folder in ("x", "y", "x/y")]
    for item in items:
        session.label(item, "one")
    assert [row.id for row in Manifest(session.to)] == ["a", "y-a", "x-y-a"]
    again = Session(session.to)
    assert added(again, Utterance("a", tmp_path / "y" / "a.wav", 1.0)).utterance.id == "y-a"


def test_a_manifests_own_text_is_a_draft_and_the_models_mark_goes(session: Session, tmp_path: Path) -> None:
    item = added(session, utterance(tmp_path, "a", "hallo", confidence=0.4, labelled_by="m", room="hall"))
    assert item.draft == Transcript("hallo")
    assert item.confidence == 0.4
    session.label(item, "hello")
    (row,) = rows(session.to)
    assert (row["draft"], row["room"]) == ("hallo", "hall")
    assert not row.keys() & {"confidence", "labelled_by"}


def test_corrections_of_corrections_are_measured_against_the_first_draft(session: Session, tmp_path: Path) -> None:
    item = added(session, utterance(tmp_path, "a", "hallo"))
    session.label(item, "hello")
    (row,) = Manifest(session.to)
    again = Session(session.to)
    again.label(added(again, row), "hollow")
    assert rows(session.to)[0]["draft"] == "hallo"


def test_confidence_is_of_the_words(session: Session, tmp_path: Path) -> None:
    item = added(session, utterance(tmp_path, "a"))
    assert item.confidence is None
    item.draft = Transcript("a b", (Word("a", 0, 1, 0.5), Word("b", 1, 2, 1.0)))
    assert item.confidence == 0.75


def test_what_the_alphabet_cannot_spell_is_refused_with_a_suggestion(session: Session, tmp_path: Path) -> None:
    item = added(session, utterance(tmp_path, "a"))
    with pytest.raises(TextError, match="2"):
        session.label(item, "2 cats & dogs")
    assert session.state(item) is State.OPEN
    assert session.suggestion("2 cats & dogs") == "two cats and dogs"
    assert session.suggestion("two cats") is None
    assert Session(tmp_path / "x.jsonl", " abcd").suggestion("2 cats") is None


def test_nobody_speaks(session: Session, tmp_path: Path) -> None:
    session.label(added(session, utterance(tmp_path, "a")), " ")
    assert rows(session.to)[0]["text"] == ""


def test_what_is_there_is_a_manifest_or_refused(tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_text("no manifest\n")
    with pytest.raises(ManifestError, match=r"out\.jsonl:1"):
        Session(tmp_path / "out.jsonl")


def test_a_place_that_cannot_be_written_keeps_what_was_decided(session: Session, tmp_path: Path) -> None:
    first, second = (added(session, utterance(tmp_path, name)) for name in "ab")
    session.label(first, "one")
    (tmp_path / "out.jsonl.part").mkdir()
    with pytest.raises(StenoError, match=r"out\.jsonl"):
        session.label(second, "two")
    assert session.state(second) is State.OPEN
    assert [row["text"] for row in rows(session.to)] == ["one"]
