"""Pieces of words for the tokeniser: learnt from transcripts by sentencepiece, or read from its model."""

import io
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from steno.errors import MissingExtraError, RecipeError, TextError
from steno.text import WORD_START, PieceTokenizer, TokenizerConfig, words

_COMPARED = 500
"""Transcripts that are spelt both ways before a model is trusted."""

Pieces = list[tuple[str, float]]


def settled(config: TokenizerConfig, texts: Iterable[str]) -> TokenizerConfig:
    """The configuration with its pieces, which are learnt from the texts or read from ``model``.

    Raises:
        RecipeError: the model cannot be read or used, or the size does not fit the texts.
        MissingExtraError: sentencepiece is not installed.
    """
    if config.kind == "characters" or config.pieces:
        return config
    kind: Literal["bpe", "unigram"] = config.kind
    usable = [" ".join(words(text)) for text in texts if words(text) and not set(text) - set(config.alphabet)]
    processor = _load(config.model) if config.model else _train(usable, kind, config.size or 0, config.alphabet)
    found = config.with_pieces(_pieces(processor, str(config.model or "the pieces learnt")))
    _compare(processor, PieceTokenizer(kind, found.pieces, config.alphabet), usable[:_COMPARED], config.model)
    return found


def _train(texts: Sequence[str], kind: str, size: int, alphabet: str) -> Any:
    sentencepiece = _sentencepiece()
    if not texts:
        raise RecipeError("no transcript of the training set is spelt in tokenizer.alphabet: there is nothing to learn")
    written = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=written,
            model_type=kind,
            vocab_size=size + 1,  # one of them stands for what is unknown
            required_chars="".join(alphabet.split()),
            character_coverage=1.0,
            normalization_rule_name="identity",
            # Only white space parts words: an apostrophe does not.
            split_by_unicode_script=False,
            split_by_number=False,
            hard_vocab_limit=False,
            input_sentence_size=1_000_000,
            bos_id=-1,
            eos_id=-1,
            unk_id=0,
            num_threads=1,
            minloglevel=3,
        )
    except RuntimeError as error:
        raise RecipeError(
            f"tokenizer.size {size} does not go with the training transcripts ({str(error).strip().splitlines()[-1]})",
            "It must be more than the characters of the alphabet, and a small corpus has few pieces: try 128 to 1000.",
        ) from None
    return sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())


def _load(path: Path) -> Any:
    sentencepiece = _sentencepiece()
    try:
        return sentencepiece.SentencePieceProcessor(model_proto=path.read_bytes())
    except OSError as error:
        raise RecipeError(f"tokenizer.model {path}: {error.strerror or error}") from None
    except RuntimeError as error:
        raise RecipeError(
            f"tokenizer.model {path}: is not a model of sentencepiece ({str(error).strip().splitlines()[-1]})"
        ) from None


def _pieces(processor: Any, where: str) -> Pieces:
    found: Pieces = []
    for label in range(processor.get_piece_size()):
        if processor.is_byte(label):
            raise RecipeError(f"{where}: spells bytes, which are no text by themselves", "Train it without them.")
        if not (processor.is_unknown(label) or processor.is_control(label) or processor.is_unused(label)):
            found.append((processor.id_to_piece(label), float(processor.get_score(label))))
    return found


def _compare(processor: Any, ours: PieceTokenizer, texts: Iterable[str], path: Path | None) -> None:
    """Refuse pieces that Steno would spell otherwise than sentencepiece: of another kind, or across words."""
    for text in islice(texts, _COMPARED):
        try:
            labels = ours.encode(text)
        except TextError as error:
            raise RecipeError(
                f"tokenizer.model {path}: cannot spell {text!r}", "It was trained on other characters."
            ) from error
        if [ours.tokens[label] for label in labels] != processor.encode(text, out_type=str):
            raise RecipeError(
                f"tokenizer.model {path}: spells {text!r} otherwise than kind {ours.kind} does",
                f"Is it of the other kind? Pieces must also stay within words, which begin with {WORD_START}.",
            )


def _sentencepiece() -> Any:
    try:
        import sentencepiece
    except ModuleNotFoundError:
        raise MissingExtraError("sentencepiece", "train") from None
    return sentencepiece
