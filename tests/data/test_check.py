"""The check before training: each planted fault is found, by its utterance's id, and nothing else is."""

import json
import operator
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from steno.audio import Samples
from steno.cli.app import app
from steno.data.augment import through_mp3
from steno.data.check import Kind, Report, Settings, Severity, check, frames_for, write_fixed
from steno.data.check.audio_checks import clipped_share, lacks_end, measure
from steno.data.check.comparisons import matches, outliers, repeats
from steno.data.check.report import histogram
from steno.data.check.text_checks import check_fit, check_text
from steno.data.check.workers import map_in_order
from steno.data.manifest import Manifest, Utterance, write_manifest
from steno.errors import ManifestError, StenoError
from steno.levels import bandwidth
from steno.text import normalize

RATE = 16_000
WORDS = [
    "an",
    "old",
    "grey",
    "donkey",
    "stood",
    "quite",
    "alone",
    "beside",
    "seven",
    "wet",
    "rocks",
    "and",
    "looked",
    "over",
    "at",
    "them",
]


def sound(seed: int, seconds: float = 2.0) -> Samples:
    """Noise in bursts, as loud as speech."""
    noise = np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE))
    bursts = 0.5 + 0.5 * np.sin(np.arange(len(noise)) * (2 * np.pi * 3 / RATE))
    return np.clip(noise * bursts, -0.9, 0.9).astype(np.float32)


def sentence(seed: int) -> str:
    return " ".join(np.random.default_rng(seed).permutation(WORDS)[:6])


class Corpus:
    """Recordings and a manifest in a folder."""

    def __init__(self, folder: Path, first_seed: int = 0) -> None:
        self.folder = folder
        self.seed = first_seed
        self.rows: list[Utterance | bytes] = []
        folder.mkdir(exist_ok=True)

    def add(
        self,
        name: str,
        samples: Samples | None = None,
        text: str | None = "",
        duration: float | None = None,
        speaker: str = "ann",
        suffix: str = "wav",
        **options: str,
    ) -> Path:
        self.seed += 1
        samples = sound(self.seed) if samples is None else samples
        path = self.folder / f"{name}.{suffix}"
        soundfile.write(path, samples, RATE, **options)
        duration = len(samples) / RATE if duration is None else duration
        self.rows.append(Utterance(name, path, duration, sentence(self.seed) if text == "" else text, speaker))
        return path

    def write(self) -> Path:
        path = self.folder / "manifest.jsonl"
        lines = []
        for row in self.rows:
            if isinstance(row, Utterance):
                write_manifest(path, [row])
                lines.append(path.read_bytes())
            else:
                lines.append(row + b"\n")
        path.write_bytes(b"".join(lines))
        return path


def found(report: Report) -> set[tuple[str, str | None]]:
    return {(str(problem.kind), problem.id) for problem in report.problems}


@pytest.fixture
def clean(tmp_path: Path) -> Corpus:
    corpus = Corpus(tmp_path / "clean")
    for number in range(12):
        corpus.add(f"good-{number}")
    return corpus


@pytest.fixture
def planted(tmp_path: Path) -> Corpus:
    """Every fault that one manifest can have, each under an id that names it."""
    corpus = Corpus(tmp_path / "planted")
    for number in range(12):
        corpus.add(f"good-{number}")
    good = corpus.rows[3]
    assert isinstance(good, Utterance)
    corpus.add("gone").unlink()
    corpus.add("empty-file").write_bytes(b"")
    corpus.add("garbage").write_bytes(np.random.default_rng(0).bytes(5000))
    flac = corpus.add("half-a-flac", suffix="flac")
    flac.write_bytes(flac.read_bytes()[: flac.stat().st_size // 2])
    with_nan = sound(100)
    with_nan[50] = np.nan
    corpus.add("not-a-number", with_nan, subtype="FLOAT")
    cut = corpus.add("cut-wav")
    cut.write_bytes(cut.read_bytes()[:40_000])
    cut = corpus.add("cut-opus", sound(101, 4), suffix="ogg", format="OGG", subtype="OPUS", text=sentence(1) * 2)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    corpus.add("silent", sound(102) * 1e-4)
    corpus.add("constant", np.full(2 * RATE, 0.3, np.float32))
    corpus.add("clipped", np.clip(sound(103) * 20, -1, 1))
    corpus.add("clipped-a-little", np.concatenate([np.ones(40, np.float32), sound(104)[40:]]))
    corpus.add("wrong-duration", duration=7.0)
    corpus.add("no-duration-yet", duration=0)
    corpus.add("short", sound(105, 0.1), text="a")
    corpus.add("long", sound(106, 13), text=(sentence(2) + " ") * 5 + "end")
    corpus.add("no-text", text=None)
    corpus.add("white-space", text="   ")
    corpus.add("only-signs", text="... !?")
    corpus.add("digits", text="there were 37 of them in the hall")
    corpus.add("capitals", text="There were “Seven”, in the naïve hall.")
    corpus.add("two-spaces", text="there were  seven in the hall")
    corpus.add("repeats", text="a" * 26)
    corpus.add("much-longer", sound(107, 11), text=(sentence(3) + " ") * 4 + "end")
    corpus.add("slow", text="oh well")
    corpus.add("same-sound", sound(3 + 1))
    corpus.rows.append(replace(good, audio=corpus.add("unused"), text=sentence(55), duration=2.0))
    corpus.rows.pop(-2)
    corpus.rows.append(b'{"audio_filepath": "good-1.wav", "duration"')
    corpus.rows.append(b'{"audio_filepath": "good-1.wav", "duration": null, "text": "one"}')
    return corpus


PLANTED = {
    ("missing-audio", "gone"),
    ("unreadable-audio", "empty-file"),
    ("unreadable-audio", "garbage"),
    ("unreadable-audio", "half-a-flac"),
    ("unreadable-audio", "not-a-number"),
    ("truncated-audio", "cut-wav"),
    ("truncated-audio", "cut-opus"),
    ("silent-audio", "silent"),
    ("constant-audio", "constant"),
    ("clipped-audio", "clipped"),
    ("clipped-audio", "clipped-a-little"),
    ("wrong-duration", "wrong-duration"),
    ("wrong-duration", "no-duration-yet"),
    ("too-short", "short"),
    ("too-long", "long"),
    ("missing-text", "no-text"),
    ("empty-text", "white-space"),
    ("empty-text", "only-signs"),
    ("unknown-characters", "digits"),
    ("unnormalised-text", "capitals"),
    ("unnormalised-text", "two-spaces"),
    ("too-few-frames", "repeats"),
    ("length-outlier", "much-longer"),
    ("rate-outlier", "slow"),
    ("duplicate-audio", "same-sound"),
    ("duplicate-id", "good-3"),
    ("broken-line", None),
}
WARNINGS = {"clipped-a-little", "two-spaces", "much-longer", "slow"}
SETTINGS = Settings(max_seconds=12)


def test_every_planted_fault_is_found_with_its_id_and_nothing_else(planted: Corpus) -> None:
    report = check(planted.write(), settings=SETTINGS)
    assert found(report) == PLANTED
    assert len(report.problems) == len(PLANTED) + 1  # two broken lines, neither with an id
    assert {p.id for p in report.problems if p.severity is Severity.WARNING} == WARNINGS


def test_problems_name_the_line_and_the_evidence(planted: Corpus) -> None:
    report = check(planted.write(), settings=SETTINGS)
    by_id = {problem.id: problem for problem in report.problems}
    for problem in report.problems:
        row = planted.rows[problem.line - 1]
        assert problem.id == (row.id if isinstance(row, Utterance) else None)
    assert [p.line for p in report.problems] == sorted(p.line for p in report.problems)
    assert "need 51 frames, 2.00 s have 50" in by_id["repeats"].message
    assert "'3' '7'" in by_id["digits"].message
    assert "good-3" in by_id["same-sound"].message
    assert "manifest says 7.00 s, the recording has 2.00 s" in by_id["wrong-duration"].message
    assert "line 4" in by_id["good-3"].message


def test_clean_manifest_has_no_problems_and_its_totals_are_right(clean: Corpus) -> None:
    clean.rows.append(b"")
    report = check(clean.write())
    assert report.problems == []
    summary = report.summary()
    assert summary["hours"] == pytest.approx(12 * 2 / 3600)
    assert (summary["utterances"], summary["speakers"], summary["words"]) == (12, 1, 12 * 6)
    assert sum(report.histograms()["duration"].counts) == 12


def test_fix_corrects_or_leaves_out_and_passes_the_check_again(planted: Corpus, tmp_path: Path) -> None:
    report = check(planted.write(), settings=SETTINGS)
    fixed = write_fixed(report, tmp_path / "elsewhere" / "fixed.jsonl")
    again = check(fixed.path, settings=SETTINGS)
    assert again.errors == 0
    utterances = {utterance.id: utterance for utterance in Manifest(fixed.path)}
    left_out = {p.id for p in report.problems if p.severity is Severity.ERROR and not p.correctable}
    everyone = {row.id for row in planted.rows if isinstance(row, Utterance)}
    assert set(utterances) == everyone - left_out | {"good-3"}
    assert set(utterances) >= WARNINGS
    assert utterances["wrong-duration"].duration == utterances["no-duration-yet"].duration == 2.0
    assert utterances["capitals"].text == "there were seven in the naive hall"
    assert utterances["two-spaces"].text == "there were seven in the hall"
    assert (fixed.kept, fixed.corrected) == (len(utterances), 4)
    assert fixed.left_out == len(planted.rows) - fixed.kept


def test_fix_keeps_a_duplicate_whose_first_has_another_error(clean: Corpus, tmp_path: Path) -> None:
    clean.add("bad", sound(500), text="37")
    clean.add("copy", sound(500))
    clean.add("another-copy", sound(500))
    report = check(clean.write())
    write_fixed(report, tmp_path / "fixed.jsonl")
    ids = [utterance.id for utterance in Manifest(tmp_path / "fixed.jsonl")]
    assert ids == [f"good-{number}" for number in range(12)] + ["copy"]
    assert check(tmp_path / "fixed.jsonl").problems == []


def test_fix_refuses_to_replace_what_it_reads_or_to_write_nothing(clean: Corpus, tmp_path: Path) -> None:
    report = check(clean.write())
    with pytest.raises(ManifestError, match="one of the manifests"):
        write_fixed(report, clean.folder / ".." / "clean" / "manifest.jsonl")
    clean.rows = []
    clean.add("bad", text="37")
    with pytest.raises(ManifestError, match="every line has an error"):
        write_fixed(check(clean.write()), tmp_path / "fixed.jsonl")
    assert not (tmp_path / "fixed.jsonl").exists()


def test_what_another_manifest_shares_is_found(clean: Corpus, tmp_path: Path) -> None:
    other = Corpus(tmp_path / "other", first_seed=1000)
    other.add("their-sound", sound(2), speaker="bob")
    other.add("their-sentence", text=sentence(5), speaker="bob")
    other.add("their-speaker", speaker="cid")
    other.add("their-broken", speaker="bob").write_bytes(b"")
    clean.add("by-cid", speaker="cid")
    clean.add("by-cid-too", speaker="cid")
    report = check(clean.write(), against=[other.write()])
    assert found(report) == {
        ("shared-audio", "good-1"),
        ("shared-sentence", "good-4"),
        ("shared-speaker", "by-cid"),
    }
    by_kind = {problem.kind: problem for problem in report.problems}
    assert by_kind[Kind.SHARED_AUDIO].severity is Severity.ERROR
    assert f"their-sound ({other.folder / 'manifest.jsonl'}:1)" in by_kind[Kind.SHARED_AUDIO].message
    assert "cid has 2 utterances here and 1 in" in by_kind[Kind.SHARED_SPEAKER].message
    assert report.as_json()["against"][0]["unreadable"] == 1
    write_fixed(report, tmp_path / "fixed.jsonl")
    assert check(tmp_path / "fixed.jsonl", [other.folder / "manifest.jsonl"]).errors == 0


def test_recordings_that_a_codec_went_over_are_told_apart(clean: Corpus, tmp_path: Path) -> None:
    coded = Corpus(tmp_path / "coded", first_seed=1000)
    for number in range(3):
        coded.add(f"coded-{number}", through_mp3(sound(1000 + number), 24, RATE))
    report = check(clean.write(), against=[coded.write()])
    (problem,) = (one for one in report.problems if one.kind is Kind.OTHER_BANDWIDTH)
    assert (problem.severity, problem.id) == (Severity.WARNING, "good-0")
    assert "reach 8.0 kHz" in problem.message
    assert report.histograms()["bandwidth"].median == pytest.approx(8000, rel=0.01)
    reached = bandwidth(through_mp3(sound(1), 24, RATE), RATE)
    assert 5_000 < reached < 7_000
    assert f"{reached / 1000:.1f} kHz" in problem.message
    assert bandwidth(np.zeros(100, np.float32), RATE) == 0
    assert bandwidth(np.ones(1, np.float32), RATE) == 0


def test_parts_of_recordings_are_checked_by_themselves(tmp_path: Path) -> None:
    long = np.concatenate([sound(seed) for seed in range(5)])
    soundfile.write(tmp_path / "long.wav", long, RATE)
    write_manifest(
        tmp_path / "m.jsonl",
        [
            *(Utterance(f"p{n}", tmp_path / f"long.wav#t={2 * n},{2 * n + 2}", 2.0, sentence(n)) for n in range(4)),
            Utterance("over", tmp_path / "long.wav#t=8,10.4", 2.4, sentence(4)),
            Utterance("beyond", tmp_path / "long.wav#t=9,11", 2.0, sentence(5)),
            Utterance("gone", tmp_path / "none.wav#t=0,2", 2.0, sentence(6)),
        ],
    )
    report = check(tmp_path / "m.jsonl")
    assert found(report) == {("wrong-duration", "over"), ("unreadable-audio", "beyond"), ("missing-audio", "gone")}
    fixed = write_fixed(report, tmp_path / "clean.jsonl")
    assert (fixed.kept, fixed.corrected, fixed.left_out) == (5, 1, 2)
    assert not check(fixed.path).problems
    over = list(Manifest(fixed.path))[-1]
    assert (over.id, over.duration, over.audio.name) == ("over", 2.0, "long.wav#t=8,10")


def test_processes_report_the_same_as_this_one(planted: Corpus) -> None:
    path = planted.write()
    seen: list[tuple[int, int]] = []
    parallel = check(path, settings=SETTINGS, workers=2, progress=lambda _, done, total: seen.append((done, total)))
    assert parallel.as_json() == check(path, settings=SETTINGS).as_json()
    assert seen == sorted(seen)
    assert seen[-1] == (len(planted.rows), len(planted.rows))


def test_a_task_that_ends_its_process_costs_no_other() -> None:
    tasks = [partial(os._exit, 1) if number in {3, 40} else partial(abs, -number) for number in range(50)]
    results = list(map_in_order(operator.call, tasks, 1, crashed=lambda task: "crashed"))
    assert results == ["crashed" if number in {3, 40} else number for number in range(50)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no utterances"),
        (b"\n\n", "has no utterances"),
        (b"RIFF....\nnonsense\n", "none of its lines is an utterance; line 1: not valid JSON"),
    ],
)
def test_a_manifest_without_utterances_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "m.jsonl").write_bytes(content)
    with pytest.raises(ManifestError, match=message):
        check(tmp_path / "m.jsonl")


def test_a_manifest_is_not_compared_with_itself(clean: Corpus) -> None:
    path = clean.write()
    with pytest.raises(ManifestError, match="compared with itself"):
        check(path, against=[clean.folder / "." / path.name])


@pytest.mark.parametrize(
    "wrong",
    [{"seconds_per_frame": 0.0}, {"min_seconds": 50.0}, {"silence_db": 3.0}, {"alphabet": "aa"}],
)
def test_unusable_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(StenoError):
        Settings(**wrong)


def test_frames_are_whole_and_rounding_does_not_lose_one() -> None:
    assert [frames_for(d, 0.04) for d in (0, 0.039, 0.04, 0.12, 0.28, 0.2799, 2.0)] == [0, 0, 1, 3, 7, 6, 50]


def test_a_transcript_fits_exactly_as_many_frames_as_it_needs() -> None:
    assert list(check_fit("all", 4 * 0.04, SETTINGS)) == []
    assert [f.kind for f in check_fit("all", 4 * 0.04 - 0.001, SETTINGS)] == [Kind.TOO_FEW_FRAMES]
    assert list(check_fit("all", 4 * 0.04 - 0.001, replace(SETTINGS, seconds_per_frame=0.02))) == []


@given(st.text(max_size=30))
def test_what_is_called_correctable_is_right_once_it_is_normalised(text: str) -> None:
    kinds = {finding.kind for finding in check_text(text, SETTINGS)}
    if kinds <= {Kind.UNNORMALISED_TEXT}:
        assert list(check_text(normalize(text), SETTINGS)) == []


def test_levels_of_known_signals() -> None:
    sine = (0.5 * np.sin(np.arange(RATE) * (2 * np.pi * 400 / RATE))).astype(np.float32)
    levels = measure(sine + np.float32(0.25), RATE)
    assert levels.level == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.01)
    assert levels.loudest == pytest.approx(levels.level, abs=0.01)
    assert levels.snr == pytest.approx(0, abs=0.01)
    assert levels.offset == pytest.approx(0.25, abs=1e-4)
    assert levels.clipped == 0
    half = measure(np.concatenate([sine, sine * np.float32(0.01)]), RATE)
    assert half.snr == pytest.approx(40, abs=0.1)
    assert measure(sine, RATE).digest != measure(sine, 8000).digest
    assert measure(sine[:1], RATE).level == -100


@pytest.mark.parametrize(("gain", "turned_down"), [(3.0, 1.0), (3.0, 0.4)])
def test_clipping_is_seen_also_after_it_was_turned_down(gain: float, turned_down: float) -> None:
    sine = np.sin(np.arange(RATE) * (2 * np.pi * 200 / RATE)).astype(np.float32)
    clipped = np.clip(sine * gain, -1, 1).astype(np.float32) * np.float32(turned_down)
    expected = 1 - 2 / np.pi * np.arcsin(1 / gain)
    assert clipped_share(clipped) == pytest.approx(expected, abs=0.02)
    assert clipped_share(sine * np.float32(0.95)) == 0


def test_a_whole_file_of_each_container_has_its_end(tmp_path: Path) -> None:
    for name, options in {
        "a.wav": {},
        "a.flac": {},
        "a.mp3": {},
        "opus.ogg": {"format": "OGG", "subtype": "OPUS"},
        "vorbis.ogg": {"format": "OGG", "subtype": "VORBIS"},
    }.items():
        soundfile.write(tmp_path / name, sound(1), RATE, **options)
        assert not lacks_end(tmp_path / name)
        if name.endswith(("wav", "ogg")):
            (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-500])
            assert lacks_end(tmp_path / name)


def test_outliers_need_a_distance_and_are_judged_by_their_own_side() -> None:
    alike = np.log([2.0] * 20 + [2.1, 2.2])
    assert outliers(alike, 5, np.log(8), np.log(4)) == []
    assert outliers(np.log([2.0] * 20 + [8.1, 0.26, 0.24]), 5, np.log(8), np.log(4)) == [20, 22]
    skewed = np.concatenate([np.linspace(-3, 0, 50), np.linspace(0, 0.1, 50), [0.6]])
    assert outliers(skewed, 5, 0.1, 0.1) == [100]


def test_repeats_and_matches_leave_out_what_has_no_digest() -> None:
    digests = np.array([5, 0, 7, 5, 0, 2**63 + 1, 5], np.uint64)
    assert repeats(digests) == [(3, 0), (6, 0)]
    assert matches(digests, np.array([9, 0, 2**63 + 1, 7, 7], np.uint64)) == [(2, 3), (5, 2)]
    assert matches(digests, np.array([], np.uint64)) == []


def test_histograms_have_round_edges_and_lose_nothing() -> None:
    values = np.array([0.3, 1.7, np.nan, 13.2, 34.9])
    shown = histogram(values, "s")
    assert shown is not None
    assert shown.edges == [0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0]
    assert shown.counts == [2, 0, 1, 0, 0, 0, 1]
    assert histogram(np.array([np.nan]), "s") is None
    same = histogram(np.array([2.0, 2.0]), "s")
    assert same is not None
    assert same.counts == [2]


Invoke = Callable[..., tuple[int, str]]


@pytest.fixture
def invoke() -> Invoke:
    def run(*arguments: str | Path) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["data", "check", "--workers", "0", *map(str, arguments)])
        if isinstance(result.exception, StenoError):
            return 2, str(result.exception)
        return result.exit_code, result.output

    return run


def test_command_prints_each_problem_and_its_exit_code_tells(planted: Corpus, tmp_path: Path, invoke: Invoke) -> None:
    path = planted.write()
    code, output = invoke(path, "--max-seconds", "12", "--fix", tmp_path / "fixed.jsonl")
    assert code == 1
    for kind, name in PLANTED:
        assert f": {name or '(no id)'}: {kind}: " in output
    assert f"{path}:13: error: gone: missing-audio: " in output
    assert "19 utterances kept, 4 of them corrected; 21 left out" in output
    code, output = invoke(tmp_path / "fixed.jsonl", "--max-seconds", "12")
    assert code == 0
    assert ": warning: slow: rate-outlier: " in output
    assert invoke(tmp_path / "none.jsonl")[0] == 2
    assert invoke(path, "--fix", path)[0] == 2


def test_command_writes_json_for_programs(clean: Corpus, invoke: Invoke) -> None:
    clean.add("digits", text="number 9 in this quiet row")
    code, output = invoke(clean.write(), "--format", "json")
    report = json.loads(output)
    assert code == 1
    assert report["summary"]["utterances"] == 13
    (problem,) = report["problems"]
    assert (problem["id"], problem["line"], problem["kind"]) == ("digits", 13, "unknown-characters")
    assert report["counts"] == [{"kind": "unknown-characters", "severity": "error", "count": 1}]
    assert report["fixed"] is None


def test_how_many_frames_pieces_of_words_need_is_not_guessed(clean: Corpus, tmp_path: Path, invoke: Invoke) -> None:
    """They are learnt when a training starts; characters would need a frame each."""
    path = clean.write()
    plain = "name: x\ndata: {train: a, dev: b}\nmodel: {architecture: rescnn-bigru, stem_strides: [4, 4, 4]}\n"
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(plain)
    assert "too-few-frames" in invoke(path, "--recipe", recipe)[1]
    recipe.write_text(plain + "tokenizer: {kind: unigram, size: 128}\n")
    assert "too-few-frames" not in invoke(path, "--recipe", recipe)[1]


def test_command_takes_its_limits_from_a_recipe_and_flags_go_first(
    clean: Corpus, tmp_path: Path, invoke: Invoke
) -> None:
    clean.add("digits", text="number 9 in this quiet row")
    path = clean.write()
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "name: nine\ndata: {train: a, dev: b, max_seconds: 1.5}\n"
        'tokenizer: {alphabet: " \'abcdefghijklmnopqrstuvwxyz9"}\n'
        "model: {architecture: rescnn-bigru, stem_strides: [2, 2, 2]}\n"
    )
    settings = json.loads(invoke(path, "--format", "json", "--recipe", recipe)[1])["settings"]
    assert settings["alphabet"].endswith("z9")
    assert settings["pieces"] is False
    assert settings["seconds_per_frame"] == pytest.approx(0.08)
    assert settings["max_seconds"] == 1.5
    code, output = invoke(path, "--recipe", recipe, "--frame-shift", "40", "--max-seconds", "20")
    assert (code, "digits" in output) == (0, False)
    assert invoke(path, "--alphabet", "aa")[0] == 2
