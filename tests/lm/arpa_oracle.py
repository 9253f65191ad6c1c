"""ARPA files read and asked in the plainest way."""

import gzip
from collections.abc import Sequence
from pathlib import Path

Arpa = dict[tuple[str, ...], tuple[float, float]]
"""N-gram → log10 of its probability, log10 of its back-off."""


def read(path: Path) -> Arpa:
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines() if "\t" in line]
    return {tuple(row[1].split(" ")): (float(row[0]), float(row[2]) if len(row) > 2 else 0.0) for row in rows}


def log10(model: Arpa, context: Sequence[str], word: str) -> float:
    """Of the probability of a word after others."""
    known = tuple(w if (w,) in model else "<unk>" for w in (*context, word))
    back_off = 0.0
    for start in range(len(known)):
        if known[start:] in model:
            return back_off + model[known[start:]][0]
        back_off += model.get(known[start:-1], (0.0, 0.0))[1]
    raise AssertionError("there is always <unk>")


def sentence_log10(model: Arpa, words: Sequence[str]) -> float:
    """Of the probability of a sentence, its end included."""
    tokens = ["<s>", *words, "</s>"]
    return sum(log10(model, tokens[:n], tokens[n]) for n in range(1, len(tokens)))
