"""The most likely way through the states of utterances whose words are known."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from steno.data.alignment import States
from steno.phonemes import STATES_A_PHONEME

_STAY, _GO = math.log(0.6), math.log(0.4)
_NEVER = -1e30
_JUMPS = np.array([0, 1, 1 + STATES_A_PHONEME])
"""Stay in a state, go on to the next, or leave out the silence before a word."""


@dataclass(frozen=True)
class Graph:
    """The states of an utterance in their order (S,), silence around each word, and where silence may be left out.

    ``skips_s`` is true for the first state of a word that may follow the last of the word before.
    """

    states_s: States
    skips_s: np.ndarray

    @classmethod
    def of(cls, words: Sequence[Sequence[int]]) -> "Graph":
        """Of words' phonemes, which are numbers from 1."""
        phonemes, first = [0], [False]
        for word in words:
            phonemes += [*word, 0]
            first += [True] + [False] * len(word)
        states_s = (STATES_A_PHONEME * np.array(phonemes)[:, None] + np.arange(STATES_A_PHONEME)).ravel()
        skips_s = np.zeros(len(states_s), dtype=bool)
        skips_s[::STATES_A_PHONEME] = first
        return cls(states_s.astype(np.int32), skips_s)

    @property
    def shortest(self) -> int:
        """Frames that its words need at least."""
        return len(self.states_s) - STATES_A_PHONEME * (int(self.skips_s.sum()) + 1)

    def evenly(self, frames: int) -> States:
        """So many frames shared out evenly among its words' states, with silence at the ends alone: a flat start."""
        silent_s = self.states_s < STATES_A_PHONEME
        silent_s[:STATES_A_PHONEME] = silent_s[-STATES_A_PHONEME:] = False
        states_s = self.states_s[~silent_s]
        return states_s[np.arange(frames) * len(states_s) // frames]


def best_states(log_likelihoods_btk: Tensor, frames_b: Sequence[int], graphs: Sequence[Graph]) -> list[States]:
    """The most likely states of each utterance, (T,) for its own frames.

    Args:
        log_likelihoods_btk: of each frame in each state, (B, T, K).
        frames_b: frames of the utterances, none fewer than its graph needs.
        graphs: their states.

    Source: Rabiner, "A Tutorial on Hidden Markov Models and Selected Applications in Speech Recognition", 1989.
    """
    count, longest = len(graphs), max(len(graph.states_s) for graph in graphs)
    states_bs = torch.zeros(count, longest, dtype=torch.int64)
    skips_bs = torch.zeros(count, longest, dtype=torch.bool)
    outside_bs = torch.ones(count, longest, dtype=torch.bool)
    for row, graph in enumerate(graphs):
        size = len(graph.states_s)
        states_bs[row, :size] = torch.from_numpy(graph.states_s)
        skips_bs[row, :size] = torch.from_numpy(graph.skips_s)
        outside_bs[row, :size] = False
    kept_bs = ~skips_bs

    time = log_likelihoods_btk.shape[1]
    # Nothing comes from before the first state; the first frame is there, or in the first word.
    best_bs = torch.full((count, longest + _JUMPS[-1]), _NEVER)
    here_bs = best_bs[:, _JUMPS[-1] :]
    here_bs[:, 0] = here_bs[:, STATES_A_PHONEME] = 0.0
    ends_bs = torch.full((count, longest), _NEVER)
    last_frame_b = torch.tensor(frames_b) - 1
    came_tbs = torch.zeros(time, count, longest, dtype=torch.int8)
    for frame in range(time):
        heard_bs = log_likelihoods_btk[:, frame].gather(1, states_bs).masked_fill_(outside_bs, _NEVER)
        if frame:
            stayed_bs = here_bs + _STAY
            went_bs = best_bs[:, _JUMPS[2] - _JUMPS[1] : -1] + _GO
            jumped_bs = best_bs[:, :longest] + _GO
            jumped_bs.masked_fill_(kept_bs, _NEVER)
            moved_bs = torch.maximum(stayed_bs, went_bs)
            came_bs = (went_bs > stayed_bs).to(torch.int8)
            came_bs[jumped_bs > moved_bs] = 2
            came_tbs[frame] = came_bs
            heard_bs += torch.maximum(moved_bs, jumped_bs)
        else:
            heard_bs += here_bs
        here_bs.copy_(heard_bs)
        over_b = last_frame_b == frame
        if over_b.any():
            ends_bs[over_b] = heard_bs[over_b]

    came, ends = came_tbs.numpy(), ends_bs.numpy()
    found = []
    for row, (graph, frames) in enumerate(zip(graphs, frames_b, strict=True)):
        last = len(graph.states_s) - 1
        without_silence = last - STATES_A_PHONEME
        place = last if ends[row, last] >= ends[row, without_silence] else without_silence
        places_t = np.zeros(frames, dtype=np.int64)
        for frame in range(frames - 1, -1, -1):
            places_t[frame] = place
            place -= _JUMPS[came[frame, row, place]]
        found.append(graph.states_s[places_t])
    return found
