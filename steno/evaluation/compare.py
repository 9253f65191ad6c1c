"""Several recognisers on the same recordings: who wins, and how sure that is."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

from steno.errors import StenoError
from steno.evaluation.bootstrap import Interval, group_counts
from steno.evaluation.measure import Evaluation, LeftOut, Measured
from steno.evaluation.significance import MatchedPairs, PairedBootstrap, holm, matched_pairs, paired_bootstrap
from steno.text import words


@dataclass(frozen=True)
class Duel:
    """Two of the recognisers, by their places; differences are second minus first.

    ``matched_p`` and ``bootstrap_p`` are adjusted for the number of duels. ``winner`` is the place of the one
    that both tests find better, None if either leaves it to chance.
    """

    first: int
    second: int
    matched: MatchedPairs
    bootstrap: PairedBootstrap
    by_speaker: Interval | None
    matched_p: float
    bootstrap_p: float
    winner: int | None


@dataclass(frozen=True)
class Comparison:
    """Evaluations of the same utterances, each pair of them tested; ``left_out`` by one, left out of all."""

    evaluations: tuple[Evaluation, ...]
    duels: tuple[Duel, ...]
    significance: float
    left_out: tuple[LeftOut, ...]

    @property
    def most_different(self) -> list[tuple[Measured, ...]]:
        """The utterances on which the errors differ, the largest difference first; one a recogniser each."""
        together = list(zip(*(evaluation.measured for evaluation in self.evaluations), strict=True))
        gaps = [_gap(row) for row in together]
        order = sorted(range(len(together)), key=lambda place: (-gaps[place], together[place][0].scored.id))
        return [together[place] for place in order if gaps[place]]

    def verdict(self, duel: Duel) -> str:
        """Who wins and how sure, in a sentence."""
        first, second = (name(place) for place in (duel.first, duel.second))
        tests = (
            f"matched pairs {p_text(duel.matched_p)} on {duel.matched.segments} segments, "
            f"paired bootstrap {p_text(duel.bootstrap_p)}"
        )
        if duel.winner is not None:
            winner, loser = (second, first) if duel.winner == duel.second else (first, second)
            # Fewer errors of the winner; at a lax significance the interval may reach below zero, and then says so.
            sign = -1 if duel.winner == duel.second else 1
            low, high = sorted((sign * duel.bootstrap.interval.low, sign * duel.bootstrap.interval.high))
            return (
                f"{winner} is better than {loser}: {points(abs(duel.bootstrap.difference))} fewer word errors "
                f"in 100 words (95 % interval {points(low)} to {points(high)}; {tests})."
            )
        interval = duel.bootstrap.interval
        bounds = f"95 % interval of {second} − {first}: {signed(interval.low)} to {signed(interval.high)}"
        if not duel.bootstrap.difference:
            return f"{first} and {second} make equally many word errors ({bounds}; {tests})."
        better = second if duel.bootstrap.difference < 0 else first
        return (
            f"No winner: {better} makes {points(abs(duel.bootstrap.difference))} fewer word errors in 100 words here, "
            f"which may be chance ({bounds}; {tests})."
        )

    def to_dict(self, most: int = 50) -> dict[str, Any]:
        """Everything, for JSON; the ``most`` different utterances."""
        first = self.evaluations[0]
        return {
            "data": str(first.data),
            "digest": first.digest,
            "normalization": asdict(first.normalization) | {"description": first.normalization.description},
            "utterances": len(first.measured),
            "significance": self.significance,
            "models": [
                {
                    "letter": name(place),
                    "model": evaluation.model,
                    "decoding": evaluation.decoding,
                    "wer": evaluation.scores.wer,
                    "wer_interval_95": asdict(evaluation.scores.wer_interval()),
                    "cer": evaluation.scores.cer,
                    "cer_interval_95": asdict(evaluation.scores.cer_interval()),
                    "real_time_factor": evaluation.real_time_factor,
                    "words": asdict(evaluation.scores.words),
                    "characters": asdict(evaluation.scores.chars),
                }
                for place, evaluation in enumerate(self.evaluations)
            ],
            "pairs": [
                asdict(duel)
                | {
                    "first": name(duel.first),
                    "second": name(duel.second),
                    "winner": None if duel.winner is None else name(duel.winner),
                    "verdict": self.verdict(duel),
                }
                for duel in self.duels
            ],
            "most_different": [
                {
                    "id": row[0].scored.id,
                    "reference": row[0].scored.reference,
                    "hypotheses": {name(place): one.scored.hypothesis for place, one in enumerate(row)},
                    "errors": {name(place): one.scored.words.errors for place, one in enumerate(row)},
                }
                for row in self.most_different[:most]
            ],
            "left_out": [asdict(entry) for entry in self.left_out],
        }


def compare(evaluations: Sequence[Evaluation], significance: float = 0.05) -> Comparison:
    """Test each pair of evaluations on the utterances that all of them scored.

    p-values are adjusted by Holm's procedure where there are more than two; each test by itself.

    Raises:
        StenoError: fewer than two, of different data or texts, or without a common utterance.
    """
    if len(evaluations) < 2:
        raise StenoError("there is nothing to compare: one model only", "Name two models or more.")
    if len({(one.digest, one.normalization) for one in evaluations}) > 1:
        raise StenoError("the evaluations are of different data, or of texts normalised in different ways")
    common, left_out = _in_common(evaluations)
    pairs = list(combinations(range(len(common)), 2))
    tested = [_test(common[a], common[b], significance) for a, b in pairs]
    matched_ps = holm([matched.p for matched, _, _ in tested])
    bootstrap_ps = holm([bootstrap.p for _, bootstrap, _ in tested])
    duels = []
    for (a, b), (matched, bootstrap, by_speaker), m, p in zip(pairs, tested, matched_ps, bootstrap_ps, strict=True):
        sure = max(m, p) < significance and matched.mean * bootstrap.difference > 0
        winner = (b if bootstrap.difference < 0 else a) if sure else None
        duels.append(Duel(a, b, matched, bootstrap, by_speaker, m, p, winner))
    return Comparison(tuple(common), tuple(duels), significance, left_out)


def name(place: int) -> str:
    """The letter of a recogniser: A, B, …; from the 27th on a number."""
    return chr(ord("A") + place) if place < 26 else str(place + 1)


def p_text(p: float) -> str:
    """A p-value as it is printed."""
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.2g}" if p < 0.1 else f"p = {p:.2f}"


def points(difference: float) -> str:
    """A difference of rates in percentage points, without a unit."""
    return f"{100 * difference:.2f}"


def signed(difference: float) -> str:
    """A difference of rates in percentage points, with its sign."""
    return f"{100 * difference:+.2f}".replace("-", "−")


def _test(first: Evaluation, second: Evaluation, level: float) -> tuple[MatchedPairs, PairedBootstrap, Interval | None]:
    matched = matched_pairs(
        [words(one.scored.reference) for one in first.measured],
        [words(one.scored.hypothesis) for one in first.measured],
        [words(one.scored.hypothesis) for one in second.measured],
    )
    counts = [[one.scored.words for one in evaluation.measured] for evaluation in (first, second)]
    bootstrap = paired_bootstrap(*counts, significance=level)
    speakers = [speaker for speaker in first.speakers if speaker is not None]
    if len(speakers) < len(counts[0]) or len(set(speakers)) < 2:
        return matched, bootstrap, None
    grouped = [group_counts(each, speakers) for each in counts]
    return matched, bootstrap, paired_bootstrap(*grouped, significance=level).interval


def _in_common(evaluations: Sequence[Evaluation]) -> tuple[list[Evaluation], tuple[LeftOut, ...]]:
    """The evaluations on the utterances that each of them scored, and the others."""
    for evaluation in evaluations:
        evaluation.checked()
    left_out: dict[str, LeftOut] = {}
    for evaluation in evaluations:
        for entry in evaluation.left_out:
            left_out.setdefault(entry.id, entry)
    rows = [tuple(one for one in evaluation.measured if one.scored.id not in left_out) for evaluation in evaluations]
    if not rows[0]:
        raise StenoError(f"{evaluations[0].data}: no utterance could be transcribed by all of the models")
    return [replace(e, measured=row) for e, row in zip(evaluations, rows, strict=True)], tuple(left_out.values())


def _gap(row: Sequence[Measured]) -> int:
    errors = [one.scored.words.errors for one in row]
    return max(errors) - min(errors)
