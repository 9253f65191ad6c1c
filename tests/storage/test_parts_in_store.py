"""Parts of recordings that lie in a store: prepared, checked, cut into shards and transcribed from there."""

import numpy as np
import pytest
import soundfile

from steno import audio
from steno.data.manifest import Manifest
from steno.storage import shown

RATE = 16_000
CUES = (
    "1\n00:00:01,000 --> 00:00:02,500\nyes\n\n"
    "2\n00:00:03,000 --> 00:00:04,250\nno\n\n"
    "3\n00:00:05,500 --> 00:00:07,000\nnever\n"
)
LABELS = ((1, 2.5, "yes"), (3, 4.25, "no"), (5.5, 7, "never"))
GRID = (
    'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n6\n<exists>\n1\n"IntervalTier"\n"said"\n0\n6\n3\n'
    + "".join(f'{start}\n{end}\n"{label}"\n' for start, end, label in LABELS)
)
SLOTS = "".join(
    f'<TIME_SLOT TIME_SLOT_ID="{name}{n}" TIME_VALUE="{int(1000 * at)}"/>'
    for n, (start, end, _) in enumerate(LABELS)
    for name, at in (("from", start), ("to", end))
)
ANNOTATIONS = "".join(
    f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a{n}" TIME_SLOT_REF1="from{n}" TIME_SLOT_REF2="to{n}">'
    f"<ANNOTATION_VALUE>{label}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>"
    for n, (_, _, label) in enumerate(LABELS)
)
EAF = (
    f"<ANNOTATION_DOCUMENT><TIME_ORDER>{SLOTS}</TIME_ORDER>"
    f'<TIER TIER_ID="said">{ANNOTATIONS}</TIER></ANNOTATION_DOCUMENT>'
)


@pytest.fixture
def corpora(tmp_path):
    """Six seconds with subtitles, with each kind of labels, and as a data folder of Kaldi."""
    samples = np.random.default_rng(1).normal(0, 0.1, 6 * RATE)
    for name in ("subtitles", "kaldi", "labels", "textgrid", "elan"):
        (tmp_path / name).mkdir()
        soundfile.write(tmp_path / name / "call.flac", samples, RATE)
    (tmp_path / "subtitles" / "call.srt").write_text(CUES)
    (tmp_path / "labels" / "call.txt").write_text(
        "".join(f"{start}\t{end}\t{label}\n" for start, end, label in LABELS), encoding="utf-8"
    )
    (tmp_path / "textgrid" / "call.TextGrid").write_text(GRID, encoding="utf-16")
    (tmp_path / "elan" / "call.eaf").write_text(EAF, encoding="utf-8")
    (tmp_path / "kaldi" / "wav.scp").write_text("call call.flac\n")
    (tmp_path / "kaldi" / "segments").write_text("call-1.00-2.50 call 1 2.5\ncall-3.00-4.25 call 3 4.25\n")
    (tmp_path / "kaldi" / "text").write_text("call-1.00-2.50 YES\ncall-3.00-4.25 NO\n")
    return tmp_path


@pytest.mark.parametrize("form", ["subtitles", "kaldi", "labels", "textgrid", "elan"])
def test_parts_come_out_of_the_store(form, s3, steno, corpora, model):
    s3.put(corpora / form, "corpus")
    ran = steno("data", "prepare", shown(s3.at("corpus")), "--out", shown(s3.at("m.jsonl")))
    assert ran.code == 0, ran.err
    if form != "kaldi":
        assert f"{s3.root}/corpus/call.flac#t=5.5,7: the recording ends at 6.00 s" in ran.err
    manifest = Manifest(s3.at("m.jsonl"))
    assert [(row.id, row.duration, row.text) for row in manifest] == [
        ("call-1.00-2.50", 1.5, "yes"),
        ("call-3.00-4.25", 1.25, "no"),
    ]
    assert [shown(row.audio) for row in manifest] == [
        f"{s3.root}/corpus/call.flac#t=1,2.5",
        f"{s3.root}/corpus/call.flac#t=3,4.25",
    ]
    assert "missing-audio" not in steno("data", "check", shown(s3.at("m.jsonl"))).out
    assert steno("data", "shard", shown(s3.at("m.jsonl")), "--to", shown(s3.at("shards"))).code == 0
    for row, whole in zip(Manifest(s3.at("shards")), manifest, strict=True):
        np.testing.assert_allclose(audio.load(row.audio), audio.load(whole.audio), atol=1e-3)
    ran = steno("transcribe", shown(manifest[0].audio), "--model", model)
    assert ran.code == 0, ran.err
