"""Batches of audio for training and validation, decoded and augmented in worker processes.

What a batch holds depends on nothing but the manifest, the settings, the seed, the pass and its place in the
pass: not on the number of workers or processes, nor on what was loaded before. So training can stop anywhere
and go on.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from steno import audio
from steno.audio import Samples
from steno.data.alignment import Alignment, States
from steno.data.augment import augmented, gives_way_to, lasting, without_speech
from steno.data.batching import Indices, share
from steno.data.config import AugmentConfig
from steno.data.manifest import Manifest, Utterance
from steno.errors import AudioError, TextError
from steno.phonemes import Pronunciations
from steno.text import Tokenizer, words


@dataclass(frozen=True)
class Failure:
    """An utterance that could not be used, and why."""

    id: str
    reason: str


@dataclass(frozen=True)
class Item:
    """One utterance, ready to be batched.

    ``phonemes`` are there where all its words can be pronounced, ``states`` where it was aligned with them.
    """

    index: int
    samples: Samples
    labels: list[int]
    uniform: list[float]
    phonemes: list[int] | None = None
    states: States | None = None


class Batch(NamedTuple):
    """Utterances padded to the longest. B may be 0, where every utterance of the batch failed.

    ``phoneme_lengths_b`` is -1 where an utterance's phonemes are not known. ``states_bs`` are those of the recordings
    before they were augmented, and ``state_lengths_b`` is 0 where they are not known.
    """

    indices_b: Tensor
    samples_bn: Tensor
    lengths_b: Tensor
    labels_bl: Tensor
    label_lengths_b: Tensor
    uniform_bk: Tensor
    phonemes_bl: Tensor
    phoneme_lengths_b: Tensor
    states_bs: Tensor
    state_lengths_b: Tensor
    failures: list[Failure]

    def to(self, device: torch.device) -> "Batch":
        """The batch with its tensors on a device."""
        moved = (x.to(device, non_blocking=True) if isinstance(x, Tensor) else x for x in self)
        return Batch(*moved)  # type: ignore[arg-type]

    def select(self, keep_b: Tensor) -> "Batch":
        """The batch with only those utterances for which ``keep_b`` (B,) is true."""
        return Batch(*(x[keep_b] if isinstance(x, Tensor) else x for x in self))  # type: ignore[arg-type]

    def parts(self, count: int) -> list["Batch"]:
        """The batch in so many parts of like size, or fewer where it is small; all are as long as the batch."""
        count = min(count, len(self.indices_b))
        if count <= 1:
            return [self]
        number_b = torch.arange(len(self.indices_b)) % count
        return [self.select(number_b == number) for number in range(count)]

    def seconds(self, sample_rate: int) -> float:
        """Seconds of audio, without padding, at a rate in Hz."""
        return int(self.lengths_b.sum()) / sample_rate


class UtteranceDataset(Dataset[Item | Failure]):
    """Decodes, and augments if asked to, the utterance at (pass, index).

    Args:
        manifest: the utterances.
        tokenizer: spells their texts.
        augment: changes to the audio; None leaves it as it is.
        seed: of those changes.
        sample_rate: rate in Hz of the samples that it gives.
        views: sets of random numbers for masks that each utterance gets.
        pronunciations: what the words sound like, where that is trained on.
        alignment: in which states of the phonemes the frames are, where that is trained on.
    """

    def __init__(
        self,
        manifest: Manifest,
        tokenizer: Tokenizer,
        augment: AugmentConfig | None = None,
        seed: int = 0,
        sample_rate: int = audio.SAMPLE_RATE,
        views: int = 1,
        pronunciations: Pronunciations | None = None,
        alignment: Alignment | None = None,
    ) -> None:
        self._manifest, self._tokenizer = manifest, tokenizer
        self._augment, self._seed = augment, seed
        self._sample_rate, self._views = sample_rate, views
        self._pronunciations, self._alignment = pronunciations, alignment

    def __getitem__(self, key: tuple[int, int]) -> Item | Failure:
        number, index = key
        utterance = self._manifest[index]
        try:
            return self._load(utterance, index, self._generator(number, index))
        except (AudioError, TextError) as error:
            return Failure(utterance.id, error.message)

    def durations(self, indices: Indices, number: int) -> npt.NDArray[np.float32]:
        """Seconds of each utterance of the manifest (count,); of those at the indices, as augmented in this pass."""
        durations, settings = self._manifest.durations, self._augment
        if settings is None or not (settings.speed or settings.tempo or settings.silence):
            return durations
        durations = durations.copy()
        for index in indices.tolist():
            durations[index] = lasting(float(durations[index]), settings, self._generator(number, index))
        return durations

    def _generator(self, number: int, index: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, number, index])

    def _load(self, utterance: Utterance, index: int, generator: np.random.Generator) -> Item:
        text = utterance.text or ""
        if not words(text):
            raise TextError("it has no text")
        labels = self._tokenizer.encode(text)
        samples = audio.load(utterance.audio, self._sample_rate)
        seconds = len(samples) / self._sample_rate
        if seconds > 1.1 * utterance.duration + 1:
            # Batches are bounded by the stated durations: a wrong one must not exhaust the memory.
            raise AudioError(f"it lasts {seconds:.1f} s, the manifest states {utterance.duration:.1f} s")
        if self._augment is None:
            return Item(index, samples, labels, [])
        states = self._alignment.states(index) if self._alignment is not None else None
        if silence := gives_way_to(self._augment, generator):
            samples, labels, text = without_speech(silence, seconds, generator, self._sample_rate), [], ""
            states = None
        else:
            samples = augmented(samples, self._augment, generator, self._sample_rate)
        count = self._views * self._augment.mask.draws if self._augment.mask else 0
        phonemes = self._pronunciations.spelled(words(text)) if self._pronunciations is not None else None
        return Item(index, samples, labels, generator.random(count).tolist(), phonemes, states)


def collate(items: Sequence[Item | Failure], few_lengths: bool = False) -> Batch:
    """Pad the utterances that could be loaded; list those that could not.

    With ``few_lengths`` they are padded further, by an eighth at most, to one of eight lengths between two powers of
    two.
    """
    good = [item for item in items if isinstance(item, Item)]
    longest = max((len(item.samples) for item in good), default=0)
    if few_lengths:
        step = max(1, 2 ** longest.bit_length() // 16)
        longest = math.ceil(longest / step) * step
    draws = len(good[0].uniform) if good else 0
    states: list[Sequence[int] | States] = [[] if item.states is None else item.states for item in good]
    samples_bn = torch.zeros(len(good), longest)
    for row, item in enumerate(good):
        samples_bn[row, : len(item.samples)] = torch.from_numpy(item.samples)
    return Batch(
        torch.tensor([item.index for item in good], dtype=torch.int64),
        samples_bn,
        torch.tensor([len(item.samples) for item in good], dtype=torch.int64),
        _padded([item.labels for item in good]),
        torch.tensor([len(item.labels) for item in good], dtype=torch.int64),
        torch.tensor([item.uniform for item in good], dtype=torch.float32).reshape(len(good), draws),
        _padded([item.phonemes or [] for item in good]),
        torch.tensor([-1 if item.phonemes is None else len(item.phonemes) for item in good], dtype=torch.int64),
        _padded(states),
        torch.tensor([len(row) for row in states], dtype=torch.int64),
        [item for item in items if isinstance(item, Failure)],
    )


def _padded(rows: Sequence[Sequence[int] | States]) -> Tensor:
    padded_bl = torch.zeros(len(rows), max(map(len, rows), default=0), dtype=torch.int64)
    for padded_l, row in zip(padded_bl, rows, strict=True):
        padded_l[: len(row)] = torch.as_tensor(row, dtype=torch.int64)
    return padded_bl


class _Plan(Sampler[list[tuple[int, int]]]):
    """The batches that the loader is to fetch next, which change from pass to pass."""

    def __init__(self) -> None:
        self.passes: Sequence[int] = []
        self.batches: Sequence[Indices] = []

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for number, batch in zip(self.passes, self.batches, strict=True):
            yield [(number, int(index)) for index in batch]

    def __len__(self) -> int:
        return len(self.batches)


class BatchLoader:
    """Loads planned batches; its worker processes live as long as it does.

    Args:
        dataset: where utterances come from.
        workers: processes that load ahead; 0 loads in this process.
        rank: which part of each global batch this process takes …
        world_size: … of how many.
        pinned: whether batches lie in memory that a GPU copies from while it computes.
        few_lengths: whether batches get few different lengths, by more padding: a CPU's kernels are made for one shape
            each, and making them can take as long as a small model's steps.
    """

    def __init__(
        self,
        dataset: UtteranceDataset,
        workers: int,
        rank: int = 0,
        world_size: int = 1,
        pinned: bool = False,
        few_lengths: bool = False,
    ) -> None:
        self.dataset = dataset
        self._rank, self._world_size = rank, world_size
        self._plan = _Plan()
        self._loader = DataLoader(
            dataset,
            batch_sampler=self._plan,
            collate_fn=partial(collate, few_lengths=few_lengths),
            num_workers=workers,
            persistent_workers=workers > 0,
            prefetch_factor=4 if workers else None,
            multiprocessing_context="forkserver" if workers else None,
            worker_init_fn=_quiet_worker,
            pin_memory=pinned,
            # A generator of its own: drawing the workers' seed must not move the global one.
            generator=torch.Generator(),
        )

    def load(self, batches: Sequence[Indices], passes: Sequence[int] | int = 0) -> Iterator[Batch]:
        """This process's part of each global batch, in order.

        ``passes`` is the number of the pass through the data that the batches, or each of them, belong to: with the
        seed it decides what augmentation draws.
        """
        self._plan.passes = [passes] * len(batches) if isinstance(passes, int) else passes
        self._plan.batches = [share(batch, self._rank, self._world_size) for batch in batches]
        yield from self._loader


def _quiet_worker(_: int) -> None:
    import signal

    # Ctrl-C, and some supervisors' SIGTERM, reach every process; only the main one decides what to do.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(1)
