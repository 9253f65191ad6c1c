"""Rates and counts in words, as commands and model cards have them."""

from steno.evaluation.bootstrap import Interval
from steno.evaluation.score import Scores
from steno.evaluation.wer import ErrorCounts


def rate(value: float, interval: Interval) -> str:
    """``12.3 % (95 % interval 11.0 % to 13.9 %)``."""
    return f"{100 * value:.1f} % (95 % interval {100 * interval.low:.1f} % to {100 * interval.high:.1f} %)"


def edits(counts: ErrorCounts) -> str:
    """Substitutions, deletions and insertions."""
    return (
        f"{counts.substitutions} substitutions, {counts.deletions} deletions, {counts.insertions} insertions "
        f"in {counts.reference}"
    )


def score_line(scores: Scores) -> str:
    """WER and CER with their intervals, on one line."""
    return f"WER {rate(scores.wer, scores.wer_interval())}, CER {rate(scores.cer, scores.cer_interval())}"
