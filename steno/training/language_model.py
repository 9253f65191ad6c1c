"""Training of a neural language model on text."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import count
from math import exp, isfinite
from pathlib import Path
from time import monotonic
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from steno.errors import LanguageModelError, RecipeError
from steno.export.language_model import read_language_model
from steno.lm.corpus import BEGIN, END, Corpus, Progress, read_corpus
from steno.models.language_model import TransformerLM
from steno.text import BLANK, PieceTokenizer, TokenizerConfig
from steno.training import checkpoint
from steno.training.interrupt import Interrupted
from steno.training.optim import build_optimizer, one_cycle, set_learning_rate
from steno.training.pieces import settled
from steno.training.recipe import OptimizerConfig, ScheduleConfig

BLOCK = 128
"""Pieces of text that are predicted in one go."""
_LEARNT_FROM = 200_000
"""Sentences that the pieces are learnt from."""
_SCHEDULE = ScheduleConfig(warmup=0.04)
_CLIP = 1.0
_REPORTS = 20


@dataclass(frozen=True)
class LanguageModelPlan:
    """What is trained, and how.

    Args:
        start: a neural language model that is trained on, whose pieces and sizes stay; None begins a new one.
        pieces: how many of words are learnt, at most.
        size, layers: of the Transformer.
        epochs: passes through the text; a part of one is fine.
        batch: blocks of 128 pieces a step.
        lr: the peak learning rate, of Muon.
        weight_decay: of matrices.
        seed: of the first weights, and of the order.
        precision: ``auto`` is bf16 on a GPU, and 32 on a CPU; bf16 is faster on one that has AMX.
        compiled: whether torch compiles the model first, which needs a C++ compiler.
    """

    pieces: int = 4096
    size: int = 256
    layers: int = 4
    epochs: float = 1.0
    batch: int = 32
    lr: float = 0.003
    weight_decay: float = 0.05
    seed: int = 1
    precision: Literal["auto", "bf16", "32"] = "auto"
    compiled: bool = False
    start: Path | None = None


@dataclass(frozen=True)
class Report:
    """How training stands.

    Args:
        step, steps: done, and in all.
        perplexity: of the training text lately, a piece.
        dev_perplexity: of the dev text, a word, where there is one.
        words_per_second: that were trained on since the start or since training was resumed.
    """

    step: int
    steps: int
    perplexity: float
    dev_perplexity: float | None
    words_per_second: float


@dataclass(frozen=True)
class Trained:
    """A trained language model, its pieces, and what it was made of."""

    model: TransformerLM
    tokenizer: PieceTokenizer
    about: dict[str, Any]


class LanguageModelTraining:
    """Learns pieces of words from text, and to predict each from those before it.

    ``about`` says what is trained, how, and on what; ``done`` are the steps of a training that is gone on with.

    Args:
        texts: UTF-8, a sentence a line, in the order of reading; plain, ``.gz`` or ``.xz``.
        alphabet: of the recogniser that the model is for.
        plan: sizes and lengths.
        dev: text that is not trained on, whose perplexity is reported.
        kept: a file that gets the state of training at each report, and when it is stopped.
        resume: go on from ``kept``.
        progress: is told of what is done before training.

    Raises:
        LanguageModelError: a text cannot be used, or is too short, or what is resumed is of another plan or text.
        ModelError: there is nothing to resume.
    """

    def __init__(
        self,
        texts: Sequence[Path],
        alphabet: str,
        plan: LanguageModelPlan,
        *,
        dev: Path | None = None,
        kept: Path | None = None,
        resume: bool = False,
        progress: Progress = lambda what, part: None,
    ) -> None:
        started = None if plan.start is None else _started(plan.start, alphabet)
        corpus = read_corpus(texts, "words", alphabet, progress=progress)
        torch.manual_seed(plan.seed)
        if started is None:
            progress("learning pieces", 0.0)
            self._tokenizer = _pieces(corpus, plan, alphabet)
            self._model = TransformerLM(len(self._tokenizer), plan.size, plan.layers)
        else:
            self._model, self._tokenizer = started
            plan = replace(plan, pieces=len(self._tokenizer) - 1, size=self._model.size, layers=len(self._model.layers))
        self._plan, self._dev, self._kept = plan, dev, kept
        self._pieces_n, begins_k = _spelled(corpus, self._tokenizer)
        self._words_per_piece = corpus.words / len(self._pieces_n)
        self._starts_b = _blocks(begins_k, len(self._pieces_n))
        self._dev_text = _DevText.read(dev, alphabet, self._tokenizer) if dev is not None else None
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model.to(self._device)
        self._optimizer = build_optimizer(
            self._model, OptimizerConfig(kind="muon", lr=plan.lr, weight_decay=plan.weight_decay)
        )
        self.about: dict[str, Any] = {
            **asdict(plan),
            "start": None if plan.start is None else str(plan.start),
            "texts": [str(text) for text in texts],
            "words": corpus.words,
            "sentences": corpus.sentences,
        }
        self.done, self._lately = 0, list[float]()
        if resume and kept is not None:
            self._resume(kept)

    @property
    def parameters(self) -> int:
        """Of the Transformer."""
        return sum(parameter.numel() for parameter in self._model.parameters())

    def fit(
        self, watch: Callable[[Report], None] = lambda report: None, stopped: Callable[[], bool] = lambda: False
    ) -> Trained:
        """Train to the end.

        Args:
            watch: is told how training stands, twenty times.
            stopped: asked after each step.

        Raises:
            Interrupted: it was stopped; its state is kept.
            LanguageModelError: the loss is no number any more.
        """
        plan, device, first = self._plan, self._device, self.done
        batch = min(plan.batch, len(self._starts_b))
        steps = max(1, round(plan.epochs * (len(self._starts_b) // batch)))
        halved = plan.precision == "bf16" or (plan.precision == "auto" and device.type == "cuda")
        cast = partial(torch.autocast, device.type, torch.bfloat16, enabled=halved)

        def loss_of(labels_bt: Tensor) -> Tensor:
            with cast():
                scores_btv = self._model.logits(labels_bt)
            return F.cross_entropy(scores_btv.flatten(0, 1).float(), labels_bt.flatten())

        compute = torch.compile(loss_of) if plan.compiled else loss_of
        since, places_t = monotonic(), np.arange(BLOCK)
        batches = _batches(self._starts_b, batch, plan.seed, first)
        for step in range(first, steps):
            set_learning_rate(self._optimizer, plan.lr * one_cycle(step / steps, _SCHEDULE))
            chosen_b = next(batches)
            labels_bt = torch.from_numpy(self._pieces_n[chosen_b[:, None] + places_t].astype(np.int64)).to(device)
            loss = compute(labels_bt)
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(self._model.parameters(), _CLIP)
            if not isfinite(loss.item()) or not isfinite(norm.item()):
                raise LanguageModelError(
                    f"step {step + 1}: the loss is no number any more, or its gradient is none",
                    "Go on before that with --resume and a lower --lr.",
                )
            self._optimizer.step()
            self._optimizer.zero_grad()
            self.done = step + 1
            self._lately.append(loss.item())
            if self.done % max(1, steps // _REPORTS) == 0 or self.done == steps:
                with cast():
                    dev_perplexity = self._dev_perplexity()
                perplexity = exp(sum(self._lately) / len(self._lately))
                words = (self.done - first) * batch * BLOCK * self._words_per_piece
                self._lately = []
                self._keep()
                watch(Report(self.done, steps, perplexity, dev_perplexity, words / (monotonic() - since)))
            if stopped() and self.done < steps:
                self._keep()
                raise Interrupted
        if (dev_perplexity := self._dev_perplexity()) is not None:
            self.about |= {"dev": str(self._dev), "dev_perplexity": round(dev_perplexity, 2)}
        return Trained(self._model.eval().cpu(), self._tokenizer, self.about)

    def _dev_perplexity(self) -> float | None:
        return self._dev_text.perplexity(self._model, self._device) if self._dev_text is not None else None

    def _keep(self) -> None:
        if self._kept is None:
            return
        tensors = checkpoint.prefixed("model", checkpoint.model_tensors(self._model))
        tensors |= checkpoint.prefixed("optimizer", checkpoint.optimizer_tensors(self._optimizer))
        checkpoint.save(self._kept, tensors, {"about": self.about, "step": self.done, "lately": self._lately})

    def _resume(self, path: Path) -> None:
        """Put back the state of then."""
        tensors, state = checkpoint.load(path)
        former = state.get("about", {})
        # How fast it goes and learns may change.
        may_change = ("compiled", "lr", "precision")
        for name, value in sorted(self.about.items()):
            if value != former.get(name) and name not in may_change:
                raise LanguageModelError(
                    f"{path}: is of a training with another {name} ({former.get(name)!r})",
                    "Give what was given then, or start again without --resume.",
                )
        self._model.load_state_dict(checkpoint.unprefixed("model", tensors))
        checkpoint.load_optimizer(self._optimizer, checkpoint.unprefixed("optimizer", tensors))
        self.done, self._lately = int(state["step"]), list(state.get("lately", []))


def _started(path: Path, alphabet: str) -> tuple[TransformerLM, PieceTokenizer]:
    """The model that is trained on, and its pieces."""
    model, opened = read_language_model(path)
    opened.check_fits(alphabet)
    return model, opened.tokenizer


def _pieces(corpus: Corpus, plan: LanguageModelPlan, alphabet: str) -> PieceTokenizer:
    """Pieces that are learnt from sentences spread over the text."""
    starts_s = np.flatnonzero(corpus.tokens == BEGIN)
    ends_s = np.flatnonzero(corpus.tokens == END)
    chosen = np.arange(len(starts_s))
    if len(chosen) > _LEARNT_FROM:
        chosen = np.array(sorted(random.Random(plan.seed).sample(range(len(chosen)), _LEARNT_FROM)))
    sentences = (
        " ".join(corpus.vocabulary[word] for word in corpus.tokens[starts_s[one] + 1 : ends_s[one]]) for one in chosen
    )
    config = TokenizerConfig(kind="unigram", size=plan.pieces, alphabet=alphabet)
    try:
        tokenizer = settled(config, sentences).build()
    except RecipeError as error:
        raise LanguageModelError(f"--pieces {plan.pieces}: {error.message}", "A short text has few pieces.") from None
    assert isinstance(tokenizer, PieceTokenizer)
    return tokenizer


def _spelled(corpus: Corpus, tokenizer: PieceTokenizer) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.int64]]:
    """All pieces of the text (N,), and where in them its sentences begin (K,). Words that cannot be spelled go."""
    spellings = [_spelling(word, tokenizer) for word in corpus.vocabulary]
    lengths_v = np.array([len(one) for one in spellings])
    offsets_v = np.concatenate(([0], np.cumsum(lengths_v)[:-1]))
    flat = np.array([piece for one in spellings for piece in one], dtype=np.min_scalar_type(len(tokenizer)))
    lengths_w = lengths_v[corpus.tokens]
    ends_w = np.cumsum(lengths_w)
    begins_k = (ends_w - lengths_w)[corpus.tokens == BEGIN]
    # The n-th piece of the text is that of its word which lies as far behind the word's beginning.
    shifts_n = np.repeat(offsets_v[corpus.tokens] - (ends_w - lengths_w), lengths_w)
    return flat[shifts_n + np.arange(len(shifts_n))], begins_k


def _spelling(word: str, tokenizer: PieceTokenizer) -> list[int]:
    return [] if tokenizer.unknown(word) else tokenizer.encode(word)


def _blocks(begins_k: npt.NDArray[np.int64], pieces: int) -> npt.NDArray[np.int64]:
    """Where blocks of text begin (B,): with a sentence, the last one that the block before does not hold whole."""
    starts = []
    place = 0
    while place < len(begins_k) and begins_k[place] + BLOCK <= pieces:
        starts.append(begins_k[place])
        place = max(place + 1, int(np.searchsorted(begins_k, begins_k[place] + BLOCK, side="right")) - 1)
    if not starts:
        raise LanguageModelError(
            f"the text has {pieces} pieces of words, less than the {BLOCK} of one block",
            "A neural language model needs millions of words.",
        )
    return np.array(starts, dtype=np.int64)


def _batches(starts_b: npt.NDArray[np.int64], batch: int, seed: int, first: int) -> Iterator[npt.NDArray[np.int64]]:
    """Blocks without end, from this batch on: each pass has an order of its own, and leaves out what fills no batch."""
    a_pass = len(starts_b) // batch
    for number in count(first // a_pass):
        order_b = np.random.default_rng((seed, number)).permutation(starts_b)
        for place in range(first % a_pass if number == first // a_pass else 0, a_pass):
            yield order_b[place * batch :][:batch]


@dataclass(frozen=True)
class _DevText:
    """Sentences in pieces, and how many words they are."""

    sentences: list[npt.NDArray[np.integer]]
    words: int

    @classmethod
    def read(cls, path: Path, alphabet: str, tokenizer: PieceTokenizer) -> Self:
        corpus = read_corpus([path], "words", alphabet)
        pieces_n, begins_k = _spelled(corpus, tokenizer)
        return cls(np.split(pieces_n, begins_k[1:]), corpus.words)

    def perplexity(self, model: TransformerLM, device: torch.device) -> float:
        """A word, of the sentences by themselves."""
        total = 0.0
        with torch.no_grad():
            for first in range(0, len(self.sentences), 32):
                group = self.sentences[first : first + 32]
                labels_bt = torch.full((len(group), max(map(len, group))), BLANK)
                for row_t, pieces in zip(labels_bt, group, strict=True):
                    row_t[: len(pieces)] = torch.from_numpy(pieces.astype(np.int64))
                total -= float(model(labels_bt.to(device)).float().sum())
        return exp(total / self.words)
