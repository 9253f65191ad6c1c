"""`steno transcribe`: every kind of argument, both formats, exit codes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import soundfile
import tiny

from steno import audio
from steno.data.manifest import Manifest
from steno.runtime import Recognizer


@pytest.fixture
def expected(model: Path, tones: Path) -> dict[str, str]:
    """Texts of the dev set's files, by name."""
    rows = list(Manifest(tones / "dev.jsonl"))
    found = Recognizer(model).transcribe([audio.load(row.audio) for row in rows])
    return {str(row.audio): transcript.text for row, transcript in zip(rows, found, strict=True)}


def test_one_file_gives_its_text_alone(steno: Callable, model: Path, expected: dict[str, str]) -> None:
    name = next(iter(expected))
    assert steno("transcribe", name, "--model", model) == (0, expected[name] + "\n", "")


def test_threads_are_those_of_the_models(
    steno: Callable, model: Path, expected: dict[str, str], tones: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int | None] = []
    real = onnxruntime.InferenceSession

    def session(path: str, options: onnxruntime.SessionOptions, **others: object) -> object:
        given.append(options.intra_op_num_threads)
        return real(path, options, **others)

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    name = next(iter(expected))
    assert steno("transcribe", name, "--model", model, "--threads", 3).out == expected[name] + "\n"
    assert steno("evaluate", "--data", tones / "dev.jsonl", "--model", model, "--threads", 2).code == 0
    assert given == [3, 2]
    assert steno("transcribe", name, "--model", model, "--threads", 0).code == 2


def test_folders_and_globs_give_a_line_a_file(
    steno: Callable, model: Path, tones: Path, expected: dict[str, str]
) -> None:
    lines = "".join(f"{name}\t{text}\n" for name, text in sorted(expected.items()))
    assert steno("transcribe", tones / "dev", "--model", model) == (0, lines, "")
    assert steno("transcribe", f"{tones}/d*/*.wav", "--model", model) == (0, lines, "")


def test_standard_input(steno: Callable, model: Path, expected: dict[str, str]) -> None:
    name = next(iter(expected))
    assert steno("transcribe", "-", "--model", model, stdin=Path(name).read_bytes()).out == expected[name] + "\n"
    ran = steno("transcribe", "-", "--model", model, stdin=b"")
    assert ran.code == 1
    assert "0 bytes of audio" in ran.err


def test_json_has_errors_in_their_place(steno: Callable, model: Path, expected: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"nothing")
    first, second, *_ = expected
    stdin = Path(first).read_bytes()
    files = [first, str(tmp_path / "bad.wav"), "-", str(tmp_path / "gone.wav"), second, first]
    ran = steno("transcribe", *files, "--model", model, "--format", "json", stdin=stdin)
    assert ran.code == 1
    rows = json.loads(ran.out)
    assert [row["file"] for row in rows] == files
    texts = [expected[first], None, expected[first], None, expected[second], expected[first]]
    assert [row.get("text") for row in rows] == texts
    heard, failed = {"file", "text", "words"}, {"file", "error"}
    assert [set(row) for row in rows] == [failed if text is None else heard for text in texts]
    assert "no such file" in rows[3]["error"]
    assert "2 of 6 files" in ran.err
    assert "Traceback" not in ran.err


def test_json_without_failures(steno: Callable, model: Path, expected: dict[str, str]) -> None:
    name = next(iter(expected))
    ran = steno("transcribe", name, "--model", model, "--format", "json")
    assert ran.code == 0
    (row,) = json.loads(ran.out)
    assert (row["file"], row["text"]) == (name, expected[name])
    assert " ".join(word["word"] for word in row["words"]) == expected[name]
    assert all(0 <= word["start"] < word["end"] and 0 < word["confidence"] <= 1 for word in row["words"])


def test_text_with_failures_goes_on(steno: Callable, model: Path, expected: dict[str, str], tmp_path: Path) -> None:
    name = next(iter(expected))
    ran = steno("transcribe", tmp_path / "gone.wav", name, "--model", model)
    assert ran.code == 1
    assert ran.out == f"{name}\t{expected[name]}\n"
    assert f"error: {tmp_path / 'gone.wav'}: no such file" in ran.err
    assert "1 of 2 files" in ran.err


def test_mistakes(steno: Callable, model: Path, tones: Path, tmp_path: Path) -> None:
    file = tones / "dev" / "dev-00.wav"
    for arguments, said in (
        (("transcribe", tmp_path, "--model", model), "there is no recording in it"),
        (("transcribe", f"{tmp_path}/*.wav", "--model", model), "there is no recording in it"),
        (("transcribe", file, "--model", tmp_path / "nowhere"), "nowhere"),
        (("transcribe", file, "--model", tmp_path), "config.yaml"),
        (("transcribe", file, "--model", model, "--format", "xml"), "xml"),
    ):
        ran = steno(*arguments)
        assert ran.code == 2, arguments
        assert said in ran.err
        assert "Traceback" not in ran.err


def test_subtitles_and_ctm(steno: Callable, model: Path, expected: dict[str, str], tmp_path: Path) -> None:
    first, second, *_ = expected
    assert steno("transcribe", first, "--model", model, "--format", "srt").out.startswith("1\n00:00:00,")
    assert steno("transcribe", first, "--model", model, "--format", "ctm").out.startswith(f"{Path(first).stem} 1 0.")
    ran = steno("transcribe", first, second, "--model", model, "--format", "vtt", "--out", tmp_path / "subtitles")
    assert ran.code == 0
    written = sorted((tmp_path / "subtitles").iterdir())
    assert [path.name for path in written] == sorted(f"{Path(name).stem}.vtt" for name in (first, second))
    assert all(path.read_text().startswith("WEBVTT\n") for path in written)


def test_options_that_cannot_be_honoured_are_refused(steno: Callable, model: Path, expected: dict[str, str]) -> None:
    first, second, *_ = expected
    for arguments, says in (
        ((first, "--decoder", "greedy", "--hotwords", "ab"), "greedy decoding cannot use --hotwords"),
        ((first, "--nbest", 3), "--format text has no room"),
        ((first, second, "--format", "srt"), "Name a folder with --out"),
        ((first, "--hotwords", "xyz"), "outside the alphabet"),
        ((first, "--lm", "gone.bin"), "gone.bin"),
        ((first, "--lm-weight", 0.5), "no language model"),
    ):
        ran = steno("transcribe", *arguments, "--model", model)
        assert ran.code == 2, arguments
        assert says in ran.err
        assert "Traceback" not in ran.err


def test_other_hypotheses_and_hotwords(steno: Callable, model: Path, expected: dict[str, str]) -> None:
    name = next(iter(expected))
    ran = steno("transcribe", name, "--model", model, "--format", "json", "--nbest", 3, "--hotwords", "ab:0.1")
    (row,) = json.loads(ran.out)
    assert row["alternatives"][0]["text"] == row["text"]
    scores = [other["score"] for other in row["alternatives"]]
    assert scores == sorted(scores, reverse=True)
    assert len({other["text"] for other in row["alternatives"]}) == len(scores)


def test_recordings_of_one_name_keep_their_folders(steno: Callable, model: Path, tmp_path: Path) -> None:
    for name in ("in/a/1.wav", "in/b/1.wav", "in/b/2.wav"):
        tiny.record(tmp_path / name, "ab")
    shutil.copyfile(tmp_path / "in/b/2.wav", tmp_path / "in/b/2.wave.wav")
    ran = steno("transcribe", tmp_path / "in", "--model", model, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    found = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.txt"))
    assert found == ["a/1.txt", "b/1.txt", "b/2.txt", "b/2.wave.txt"]


def test_numbers_that_cannot_be_are_said_in_a_line(steno: Callable, model: Path, expected: dict[str, str]) -> None:
    for option, value in (("--beam", 3), ("--word-score", 1e308), ("--word-score", "nan")):
        ran = steno("transcribe", next(iter(expected)), "--model", model, option, value)
        if option != "--beam":
            assert ran.code == 2
            assert "`word_score`: " in ran.err
            assert "pydantic" not in ran.err


def test_parts_and_channels_of_recordings(
    steno: Callable, model: Path, expected: dict[str, str], tmp_path: Path
) -> None:
    first, second, *_ = expected
    left, right = audio.load(first), audio.load(second)
    both = np.zeros((len(left) + len(right), 2), dtype=np.float32)
    both[: len(left), 0], both[len(left) :, 1] = left, right
    soundfile.write(tmp_path / "call.wav", both, audio.SAMPLE_RATE, subtype="FLOAT")
    cut = len(left) / audio.SAMPLE_RATE
    files = [f"{tmp_path}/call.wav#t=0,{cut}&channel=0", f"{tmp_path}/call.wav#t={cut}&channel=1"]
    ran = steno("transcribe", *files, "--model", model)
    assert ran.out.splitlines() == [f"{files[0]}\t{expected[first]}", f"{files[1]}\t{expected[second]}"]
    ran = steno("transcribe", tmp_path / "call.wav", first, "--channels", "--model", model)
    names = [line.split("\t")[0] for line in ran.out.splitlines()]
    assert names == [f"{tmp_path}/call.wav#channel=0", f"{tmp_path}/call.wav#channel=1", first]
    ran = steno("transcribe", *files, "--model", model, "--out", tmp_path / "texts")
    assert ran.code == 0
    assert sorted(path.name for path in (tmp_path / "texts").iterdir()) == [
        f"call-0.00-{cut:.2f}-channel0.txt",
        f"call-{cut:.2f}-channel1.txt",
    ]
    assert steno("transcribe", "-", "--channels", "--model", model, stdin=b"").code == 2
