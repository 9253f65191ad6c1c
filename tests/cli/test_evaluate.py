"""`steno evaluate` and `steno validate`."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jiwer
import pytest
import tiny

from steno.data.manifest import Manifest, Utterance, write_manifest


def test_evaluate_prints_rates_and_edits(steno: Callable, model: Path, tones: Path) -> None:
    ran = steno("evaluate", "--model", model, "--data", tones / "dev.jsonl")
    assert ran.code == 0
    assert "utterances  6" in ran.out
    for word in ("WER", "CER", "95 % interval", "substitutions", "deletions", "insertions"):
        assert word in ran.out
    assert ran.err == ""


def test_evaluate_as_json(steno: Callable, model: Path, tones: Path, tmp_path: Path) -> None:
    rows = [*Manifest(tones / "dev.jsonl"), Utterance("gone", tmp_path / "gone.wav", 1.0, "ab")]
    write_manifest(tmp_path / "m.jsonl", rows)
    ran = steno("evaluate", "--model", model, "--data", tmp_path / "m.jsonl", "--format", "json")
    assert ran.code == 0
    report = json.loads(ran.out)
    assert report["utterances"] == 6
    assert [entry["id"] for entry in report["failed"]] == ["gone"]
    assert "no such file" in report["failed"][0]["reason"]
    references = [result["reference"] for result in report["results"]]
    assert references == [row.text for row in rows[:6]]
    assert report["wer"] == pytest.approx(jiwer.wer(references, [r["hypothesis"] for r in report["results"]]))
    assert report["digest"] == Manifest(tmp_path / "m.jsonl").digest


def test_evaluate_names_what_it_left_out(steno: Callable, model: Path, tones: Path, tmp_path: Path) -> None:
    rows = [*Manifest(tones / "dev.jsonl"), Utterance("gone", tmp_path / "gone.wav", 1.0, "ab")]
    write_manifest(tmp_path / "m.jsonl", rows)
    ran = steno("evaluate", "--model", model, "--data", tmp_path / "m.jsonl")
    assert ran.code == 0
    assert "left out    gone: " in ran.err


def test_evaluate_without_anything_to_score(steno: Callable, model: Path, tmp_path: Path) -> None:
    rows = [Utterance("gone", tmp_path / "gone.wav", 1.0, "ab"), Utterance("silent", tmp_path / "x.wav", 1.0, " ")]
    write_manifest(tmp_path / "m.jsonl", rows)
    ran = steno("evaluate", "--model", model, "--data", tmp_path / "m.jsonl")
    assert ran.code == 2
    assert "no utterance could be evaluated" in ran.err
    assert "silent: has no text" in ran.err
    assert steno("evaluate", "--model", model, "--data", tmp_path / "none.jsonl").code == 2


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two utterances in LibriSpeech's layout."""
    folder = tmp_path / "LibriSpeech" / "test-clean" / "1089" / "134686"
    tiny.record(folder / "1089-134686-0000.wav", "ab cd")
    tiny.record(folder / "1089-134686-0001.wav", "dd")
    (folder / "1089-134686.trans.txt").write_text("1089-134686-0000 AB CD\n1089-134686-0001 DD\n")
    return tmp_path / "LibriSpeech"


def test_validate_on_a_tree_and_on_a_manifest(steno: Callable, model: Path, tree: Path, tones: Path) -> None:
    predicted = steno("transcribe", next(tree.rglob("*0000.wav")), "--model", model).out.strip()
    ran = steno("validate", "--model", model, "--file-id", "1089-134686-0000", "--data", tree)
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[:2] == ["target:    ab cd", f"predicted: {predicted}"]
    assert lines[2] == f"WER {jiwer.wer('ab cd', predicted):.1%}  CER {jiwer.cer('ab cd', predicted):.1%}"
    row = Manifest(tones / "dev.jsonl")[2]
    ran = steno("validate", "--model", model, "--file-id", row.id, "--data", tones / "dev.jsonl")
    assert ran.code == 0
    assert f"target:    {row.text}" in ran.out


def test_validate_mistakes(steno: Callable, model: Path, tree: Path, tmp_path: Path) -> None:
    (bad,) = tree.rglob("*0001.wav")
    bad.write_bytes(b"nothing")
    broken = Path(shutil.copytree(model, tmp_path / "broken"))
    (broken / "model.onnx").write_bytes(b"nothing")
    good = "1089-134686-0000"
    for options, said in (
        ((model, "1089-134686-0009", tree), "no utterance 1089-134686-0009"),
        ((model, "-1-2", tree), "not an id of LibriSpeech"),
        ((model, "1089-134686-0001", tree), "cannot be decoded"),
        ((model, good, tree / "nowhere"), "No such file"),
        ((broken, good, tree), "SHA-256"),
        ((tree, good, tree), "config.yaml"),
    ):
        ran = steno("validate", "--model", options[0], "--file-id", options[1], "--data", options[2])
        assert ran.code == 2, options
        assert said in ran.err
        assert "Traceback" not in ran.err


# ---- reports, normalisation, the log ---------------------------------------------------------------------------


def test_evaluate_shows_tables_and_the_normalisation(steno: Callable, model: Path, tones: Path, tmp_path: Path) -> None:
    rows = [
        Utterance(row.id, row.audio, row.duration, (row.text or "").upper() + "!", f"s{n % 2}")
        for n, row in enumerate(Manifest(tones / "dev.jsonl"))
    ]
    write_manifest(tmp_path / "m.jsonl", rows)
    plain = steno("evaluate", "--model", model, "--data", tones / "dev.jsonl", "--format", "json")
    shown = steno("evaluate", "--model", model, "--data", tmp_path / "m.jsonl")
    assert "texts       steno: Unicode NFKC, lower case" in shown.out
    for part in ("By speaker", "By duration", "By speaking rate", "By signal-to-noise ratio", "over speakers"):
        assert part in shown.out
    loose = json.loads(steno("evaluate", "--model", model, "--data", tmp_path / "m.jsonl", "--format", "json").out)
    assert loose["wer"] == json.loads(plain.out)["wer"]
    strict = steno("evaluate", "--model", model, "--data", tmp_path / "m.jsonl", "--normalize", "none")
    assert "texts       none: texts as they are" in strict.out
    assert "WER         100.0 %" in strict.out


def test_evaluate_writes_a_report(steno: Callable, model: Path, tones: Path, tmp_path: Path) -> None:
    page = tmp_path / "deep" / "report.html"
    ran = steno("evaluate", "--model", model, "--data", tones / "dev.jsonl", "--report", page, "--audio", 2)
    assert ran.code == 0
    assert f"report      {page}" in ran.err
    assert page.read_text().count("<audio") == 2
    ran = steno("evaluate", "--model", model, "--data", tones / "dev.jsonl", "--audio", 2)
    assert (ran.code, "--audio does nothing without --report" in ran.err) == (2, True)
    ran = steno("evaluate", "--model", model, "--data", tones / "dev.jsonl", "--report", tmp_path)
    assert (ran.code, "cannot be written" in ran.err) == (2, True)


def test_a_manifest_with_no_text(steno: Callable, model: Path, tones: Path, tmp_path: Path) -> None:
    rows = [Utterance(row.id, row.audio, row.duration) for row in Manifest(tones / "dev.jsonl")]
    write_manifest(tmp_path / "mute.jsonl", rows)
    for words in (("evaluate", "--model", model), ("compare", model, model)):
        ran = steno(*words, "--data", tmp_path / "mute.jsonl")
        assert ran.code == 2
        assert "mute.jsonl: no utterance has text" in ran.err
        assert "Each line needs `text`" in ran.err


def test_compare(steno: Callable, model: Path, tones: Path, train_tiny: Callable, tmp_path: Path) -> None:
    poor = train_tiny("poor", training={"epochs": 1})[0].model
    data = tiny.corpus(tmp_path, "cmp", 16, seed=5)
    page = tmp_path / "compare.html"
    ran = steno("compare", poor, model, "--data", data, "--report", page)
    assert ran.code == 0
    assert "B is better than A: " in ran.out
    assert "where they differ most" in ran.out
    assert page.read_text().count("<audio") == 10
    found = json.loads(steno("compare", poor, model, model, "--data", data, "--format", "json").out)
    assert [pair["winner"] for pair in found["pairs"]] == ["B", "C", None]
    assert found["models"][1]["wer"] == found["models"][2]["wer"] < found["models"][0]["wer"]


def test_compare_mistakes(steno: Callable, model: Path, tones: Path) -> None:
    dev = tones / "dev.jsonl"
    for words, said in (
        ((model,), "nothing to compare"),
        ((model, model, "--audio", 3), "does nothing without --report"),
        ((model, model, "--significance", 2), "makes no sense"),
        ((model, tones), "not a model folder"),
    ):
        ran = steno("compare", *words, "--data", dev)
        assert ran.code == 2
        assert said in ran.err


def test_references_that_cannot_be_written_are_counted(
    steno: Callable, model: Path, tones: Path, tmp_path: Path
) -> None:
    first, *others = Manifest(tones / "dev.jsonl")
    write_manifest(tmp_path / "m.jsonl", [replace(first, text="ab 7 ß"), *others])
    ran = steno("evaluate", "--model", model, "--data", tmp_path / "m.jsonl")
    assert ran.code == 0
    assert f"warning: 1 of {len(others) + 1} references have characters that the model does not write" in ran.err
    assert "7" in ran.err.split("count as errors: ")[1]
