"""Batches are the same whoever loads them, bad files are named, and nothing else is disturbed."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import tiny
import torch

from steno.data.batching import plan_batches
from steno.data.config import AugmentConfig, NoiseConfig, SilenceConfig
from steno.data.loading import Batch, BatchLoader, Item, UtteranceDataset, collate
from steno.data.manifest import Manifest, Utterance, write_manifest
from steno.features.config import MaskConfig
from steno.text import CharTokenizer

ALL = AugmentConfig(speed=(0.9, 1.0, 1.1), gain_db=(-6, 6), noise=NoiseConfig(probability=0.7), mask=MaskConfig())
TOKENIZER = CharTokenizer(tiny.ALPHABET)


def dataset(tones: Path, augment: AugmentConfig | None = ALL, seed: int = 5) -> UtteranceDataset:
    return UtteranceDataset(Manifest(tones / "train.jsonl"), TOKENIZER, augment, seed)


def batches(tones: Path, epoch: int = 0) -> list[np.ndarray]:
    durations = Manifest(tones / "train.jsonl").durations
    return plan_batches(durations, np.arange(len(durations)), batch_seconds=8.0, batch_size=4, seed=1, number=epoch)


def assert_same(found: list[Batch], expected: list[Batch]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.failures == other.failures
        for a, b in zip(one[:6], other[:6], strict=True):
            assert torch.equal(a, b)


@pytest.fixture(scope="module")
def expected(tones: Path) -> dict[int, list[Batch]]:
    loader = BatchLoader(dataset(tones), workers=0)
    return {epoch: list(loader.load(batches(tones, epoch), epoch)) for epoch in (0, 1)}


@pytest.mark.parametrize("workers", [1, 2])
def test_any_number_of_workers_gives_the_same(workers: int, tones: Path, expected: dict[int, list[Batch]]) -> None:
    loader = BatchLoader(dataset(tones), workers)
    assert_same(list(loader.load(batches(tones, 0), 0)), expected[0])
    # The same workers go on with another epoch, in its middle, and after a walk that was broken off.
    for _ in loader.load(batches(tones, 0), 0):
        break
    assert_same(list(loader.load(batches(tones, 1)[2:], 1)), expected[1][2:])


def test_what_was_loaded_before_changes_nothing(tones: Path, expected: dict[int, list[Batch]]) -> None:
    fresh = BatchLoader(dataset(tones), workers=0)
    assert_same(list(fresh.load(batches(tones, 1)[3:], 1)), expected[1][3:])


def test_epochs_and_seeds_augment_differently(tones: Path) -> None:
    same = dataset(tones)[(0, 3)], dataset(tones)[(0, 3)]
    assert np.array_equal(same[0].samples, same[1].samples)  # type: ignore[union-attr]
    others = dataset(tones)[(1, 3)], dataset(tones, seed=6)[(0, 3)]
    for other in others:
        assert not np.array_equal(same[0].samples, other.samples)  # type: ignore[union-attr]
        assert same[0].uniform != other.uniform  # type: ignore[union-attr]


def test_a_share_of_the_utterances_gives_way_to_silence_with_nothing_to_write(tones: Path) -> None:
    quiet = AugmentConfig(silence=SilenceConfig(probability=0.4, seconds=(0.2, 0.4)), mask=MaskConfig())
    loader = BatchLoader(dataset(tones, quiet), workers=0)
    loaded = [batch for number in range(4) for batch in loader.load(batches(tones, number), number)]
    lengths, labels = (
        torch.cat([getattr(batch, name) for batch in loaded]) for name in ("lengths_b", "label_lengths_b")
    )
    assert 0.25 < float((labels == 0).float().mean()) < 0.55
    assert int(lengths[labels == 0].max()) <= 0.4 * 16_000 < int(lengths[labels > 0].max())
    everything = AugmentConfig(silence=SilenceConfig(probability=1.0))
    (batch, *_) = BatchLoader(dataset(tones, everything), workers=0).load(batches(tones))
    assert batch.labels_bl.shape == (len(batch.indices_b), 0)
    assert not batch.failures


def test_a_walk_through_several_passes_augments_each_as_it_would_alone(tones: Path) -> None:
    loader = BatchLoader(dataset(tones), workers=0)
    planned = [(number, batch) for number in (0, 1) for batch in batches(tones, number)]
    together = list(loader.load([batch for _, batch in planned], [number for number, _ in planned]))
    apart = [loaded for number in (0, 1) for loaded in loader.load(batches(tones, number), number)]
    assert_same(together, apart)


@pytest.mark.parametrize("workers", [0, 1])
def test_the_global_random_numbers_are_left_alone(workers: int, tones: Path) -> None:
    torch.manual_seed(9)
    np.random.seed(9)
    expected = torch.rand(3), np.random.rand(3)
    torch.manual_seed(9)
    np.random.seed(9)
    list(BatchLoader(dataset(tones), workers).load(batches(tones)))
    assert torch.equal(torch.rand(3), expected[0])
    assert np.array_equal(np.random.rand(3), expected[1])


def test_processes_share_each_batch(tones: Path) -> None:
    plain = dataset(tones, augment=None)
    whole = list(BatchLoader(plain, 0).load(batches(tones)))
    parts = [list(BatchLoader(plain, 0, rank, 2).load(batches(tones))) for rank in range(2)]
    for batch, first, second in zip(whole, *parts, strict=True):
        assert torch.equal(batch.indices_b[0::2], first.indices_b)
        assert torch.equal(batch.indices_b[1::2], second.indices_b)


def test_a_batch_is_padded_with_zeros_and_knows_its_lengths(tones: Path) -> None:
    manifest = Manifest(tones / "train.jsonl")
    for batch in BatchLoader(dataset(tones, augment=None), 0).load(batches(tones)):
        assert batch.samples_bn.shape == (len(batch.indices_b), int(batch.lengths_b.max()))
        for row, index in enumerate(batch.indices_b.tolist()):
            length, count = int(batch.lengths_b[row]), int(batch.label_lengths_b[row])
            assert length / tiny.RATE == pytest.approx(manifest[index].duration)
            assert not batch.samples_bn[row, length:].any()
            assert TOKENIZER.decode(batch.labels_bl[row, :count].tolist()) == manifest[index].text
            assert not batch.labels_bl[row, count:].any()
        assert batch.seconds(tiny.RATE) == pytest.approx(int(batch.lengths_b.sum()) / tiny.RATE)
        kept = batch.select(batch.indices_b == batch.indices_b[0])
        assert len(kept.indices_b) == len(kept.samples_bn) == 1


def test_what_cannot_be_used_becomes_a_failure_with_its_id(tmp_path: Path) -> None:
    good = tiny.record(tmp_path / "good.wav", "abc")
    (tmp_path / "corrupt.wav").write_bytes(b"RIFF" + bytes(60))
    soundfile.write(tmp_path / "nan.wav", np.full(8000, np.nan, np.float32), tiny.RATE, subtype="FLOAT")
    longer = tiny.record(tmp_path / "longer.wav", "abcd " * 20)
    rows = [
        good,
        Utterance("corrupt", tmp_path / "corrupt.wav", 1.0, "a"),
        Utterance("missing", tmp_path / "missing.wav", 1.0, "a"),
        Utterance("nan", tmp_path / "nan.wav", 0.5, "a"),
        Utterance("silent", good.audio, good.duration, None),
        Utterance("blank", good.audio, good.duration, "  "),
        Utterance("foreign", good.audio, good.duration, "xyz"),
        Utterance("longer", longer.audio, 1.0, "a"),
    ]
    write_manifest(tmp_path / "m.jsonl", rows)
    data = UtteranceDataset(Manifest(tmp_path / "m.jsonl"), TOKENIZER, ALL)
    (batch,) = BatchLoader(data, 0).load([np.arange(len(rows))])
    assert batch.indices_b.tolist() == [0]
    reasons = {failure.id: failure.reason for failure in batch.failures}
    assert list(reasons) == [row.id for row in rows[1:]]
    assert "cannot be decoded" in reasons["corrupt"]
    assert "no such file" in reasons["missing"]
    assert "not numbers" in reasons["nan"]
    assert "has no text" in reasons["silent"]
    assert "has no text" in reasons["blank"]
    assert "'x' 'y' 'z'" in reasons["foreign"]
    assert "the manifest states 1.0 s" in reasons["longer"]


def test_a_batch_may_be_empty() -> None:
    batch = collate([])
    assert batch.samples_bn.shape == (0, 0)
    assert batch.seconds(16_000) == 0


def test_samples_have_the_rate_that_was_asked(tones: Path) -> None:
    manifest = Manifest(tones / "dev.jsonl")
    item = UtteranceDataset(manifest, TOKENIZER, sample_rate=8000)[(0, 0)]
    assert len(item.samples) == pytest.approx(8000 * manifest[0].duration, abs=2)  # type: ignore[union-attr]


def test_masks_that_mask_nothing_take_no_numbers(tones: Path) -> None:
    none = AugmentConfig(mask=MaskConfig(frequency_masks=0, time_masks=0))
    (batch,) = BatchLoader(dataset(tones, none), 0).load([np.arange(3)])
    assert batch.uniform_bk.shape == (3, 0)


def test_it_is_known_beforehand_how_long_utterances_will_be(tones: Path) -> None:
    settings = AugmentConfig(
        speed=(0.8, 1.0, 1.25), tempo=(0.9, 1.1), silence=SilenceConfig(probability=0.3, seconds=(0.2, 0.4))
    )
    changed = dataset(tones, settings)
    for number in (0, 3):
        durations = changed.durations(np.arange(1, 24), number)
        found = [len(changed[(number, index)].samples) / 16_000 for index in range(24)]  # type: ignore[union-attr]
        assert durations[1:] == pytest.approx(found[1:], abs=0.002)
        assert durations[0] == Manifest(tones / "train.jsonl").durations[0]
    np.testing.assert_array_equal(dataset(tones, None).durations(np.arange(24), 0), changed.durations(np.arange(0), 0))


def test_few_lengths_only_pad_further(tones: Path, expected: dict[int, list[Batch]]) -> None:
    loaded = list(BatchLoader(dataset(tones), workers=1, few_lengths=True).load(batches(tones)))
    for few, plain in zip(loaded, expected[0], strict=True):
        longest = plain.samples_bn.shape[1]
        assert torch.equal(few.samples_bn[:, :longest], plain.samples_bn)
        assert not few.samples_bn[:, longest:].any()
        assert few.samples_bn.shape[1] <= longest * 9 / 8
        assert torch.equal(few.lengths_b, plain.lengths_b)
    items = [Item(0, np.zeros(length, np.float32), [1], []) for length in range(30_000, 500_000, 777)]
    assert len({collate([item], few_lengths=True).samples_bn.shape[1] for item in items}) <= 8 * 5
    assert collate([], few_lengths=True).samples_bn.shape == (0, 0)
