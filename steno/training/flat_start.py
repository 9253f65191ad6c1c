"""Where each phoneme of the training recordings is heard, found from nothing but their transcripts.

Hidden Markov models of three states a phoneme, with mixtures of Gaussians over cepstra, start from recordings that are
shared out evenly among their phonemes, and are fitted and aligned by turns.

Source: Young et al., "The HTK Book", 2006, chapter 8.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from steno.data.alignment import Alignment, States
from steno.data.batching import Indices, group_sorted
from steno.data.loading import BatchLoader, UtteranceDataset
from steno.data.manifest import Manifest
from steno.features.frontend import FrontEnd
from steno.features.mel import dct
from steno.phonemes import Pronunciations
from steno.text import words
from steno.training.gaussians import Mixtures
from steno.training.recipe import Recipe
from steno.training.viterbi import Graph, best_states

MOST_HOURS = 2.0
"""Speech that the Gaussians are fitted to, at most; all is aligned."""
GAUSSIANS = (1,) * 6 + (2,) * 2 + (4,) * 2 + (8,) * 3
"""Of each state, turn by turn."""
_MELS, _CEPSTRA = 40, 13
_FITS_A_TURN = 2
_LEAST_DEVIATION = 1e-3
_BATCH_SECONDS, _BATCH_SIZE = 600.0, 48


def flat_start(
    recipe: Recipe, manifest: Manifest, indices: Indices, pronunciations: Pronunciations, say: Callable[[str], None]
) -> Alignment:
    """Align the utterances of a manifest with their phonemes, in frames as long as the features of the recipe's model.

    An utterance with a word whose phonemes are not known, one that is too short for its words, and one that cannot be
    read are left without an alignment.

    Args:
        recipe: of the model, which has phonemes.
        manifest: the recordings and their words.
        indices: of those that are to be aligned.
        pronunciations: what their words sound like.
        say: takes one line for the user.
    """
    assert recipe.phonemes is not None
    graphs = {}
    for index in indices.tolist():
        spelled = [pronunciations.spelled([word]) for word in words(manifest[index].text or "")]
        known = [word for word in spelled if word is not None]
        if known and len(known) == len(spelled):
            graphs[index] = Graph.of(known)
    found: list[States | None] = [None] * len(manifest)
    if not graphs:
        return Alignment.of(found)
    drawn = np.random.default_rng([recipe.seed, 8]).permutation(np.array(sorted(graphs), dtype=np.int64))
    hours = np.cumsum(manifest.durations[drawn], dtype=np.float64) / 3600
    chosen = drawn[: max(1, int(np.searchsorted(hours, MOST_HOURS)))]
    say(f"aligning {len(graphs)} utterances with their phonemes, by {hours[len(chosen) - 1]:.2f} h of them")
    recordings = _Recordings(recipe, manifest, graphs)
    model = _Model(recipe.phonemes.states, graphs)
    fitted = [cepstra for cepstra in recordings.cepstra(chosen) if cepstra]
    model.fit(fitted)
    for cepstra in chain(fitted, recordings.cepstra(drawn[len(chosen) :])):
        for index, states_t in model.align(cepstra).items():
            found[index] = states_t
    return Alignment.of(found)


class _Recordings:
    """Loads recordings as cepstra with their first and second differences."""

    def __init__(self, recipe: Recipe, manifest: Manifest, graphs: dict[int, Graph]) -> None:
        self._durations, self._graphs = manifest.durations, graphs
        dataset = UtteranceDataset(manifest, recipe.tokenizer.build(), sample_rate=recipe.features.sample_rate)
        self._loader = BatchLoader(dataset, recipe.data.workers)
        log_mel = {"kind": "log-mel", "n_mels": _MELS, "normalize": "utterance"}
        self._frontend = FrontEnd(recipe.features.model_copy(update=log_mel)).eval()
        self._cosines = torch.from_numpy(dct(_CEPSTRA, _MELS).astype(np.float32))

    @torch.inference_mode()
    def cepstra(self, indices: Indices) -> Iterator[dict[int, Tensor]]:
        """Batch by batch, those (T, F) of the utterances that are long enough for their words."""
        order = indices[np.argsort(self._durations[indices], kind="stable")]
        for batch in self._loader.load(group_sorted(self._durations, order, _BATCH_SECONDS, _BATCH_SIZE)):
            if not len(batch.indices_b):
                continue
            features_btf, frames_b = self._frontend(batch.samples_bn, batch.lengths_b)
            found = zip(batch.indices_b.tolist(), features_btf, frames_b.tolist(), strict=True)
            yield {
                index: _with_differences(features_tf[:frames] @ self._cosines)
                for index, features_tf, frames in found
                if frames >= self._graphs[index].shortest
            }


class _Model:
    """Mixtures of Gaussians for so many states, and the graphs of the utterances."""

    def __init__(self, states: int, graphs: dict[int, Graph]) -> None:
        self._graphs = graphs
        self._mixtures = Mixtures(states, 3 * _CEPSTRA)
        self._mean_f, self._std_f = torch.zeros(3 * _CEPSTRA), torch.ones(3 * _CEPSTRA)

    def fit(self, batches: Sequence[dict[int, Tensor]]) -> None:
        """Fit to batches of utterances from a flat start."""
        if not batches:
            return
        features_nf = torch.cat([cepstra_tf for batch in batches for cepstra_tf in batch.values()])
        self._mean_f, self._std_f = features_nf.mean(dim=0), features_nf.std(dim=0).clamp(min=_LEAST_DEVIATION)
        features_nf = (features_nf - self._mean_f) / self._std_f
        aligned = [self._graphs[index].evenly(len(tf)) for batch in batches for index, tf in batch.items()]
        gaussians = 1
        for turn, wanted in enumerate(GAUSSIANS):
            if turn:
                aligned = [states_t for batch in batches for states_t in self.align(batch).values()]
            if wanted > gaussians:
                self._mixtures.split()
                gaussians = wanted
            states_n = torch.from_numpy(np.concatenate(aligned)).long()
            for _ in range(_FITS_A_TURN):
                self._mixtures.fit(features_nf, states_n)

    def align(self, batch: dict[int, Tensor]) -> dict[int, States]:
        """The states of a batch of utterances, given as cepstra (T, F)."""
        if not batch:
            return {}
        frames = [len(cepstra_tf) for cepstra_tf in batch.values()]
        features_nf = (torch.cat(list(batch.values())) - self._mean_f) / self._std_f
        parts = self._mixtures.log_likelihoods(features_nf).split(frames)
        graphs = [self._graphs[index] for index in batch]
        return dict(zip(batch, best_states(pad_sequence(parts, batch_first=True), frames, graphs), strict=True))


def _with_differences(cepstra_tc: Tensor) -> Tensor:
    """(T, C) → (T, 3 C): with how they change over five frames, and how that does."""
    changes_tc = _changes(cepstra_tc)
    return torch.cat([cepstra_tc, changes_tc, _changes(changes_tc)], dim=1)


def _changes(values_tc: Tensor) -> Tensor:
    padded_ct = F.pad(values_tc.T[None], (2, 2), mode="replicate")[0]
    steps = padded_ct.unfold(1, 5, 1) @ torch.tensor([-0.2, -0.1, 0.0, 0.1, 0.2])
    return steps.T
