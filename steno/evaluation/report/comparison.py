"""The report of a comparison."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape

from steno.evaluation.compare import Comparison, name, p_text, signed
from steno.evaluation.measure import Measured
from steno.evaluation.report.page import contents, facts, page, percent, span, table
from steno.evaluation.report.svg import Mark, interval_plot
from steno.evaluation.report.utterance import LEGEND, article

_MORE = 50
"""Utterances that are shown without a player."""


def comparison_report(comparison: Comparison, audio: int = 10) -> str:
    """The HTML of a comparison; the ``audio`` utterances that differ most have a player and a spectrogram."""
    data = comparison.evaluations[0].data
    title = f"{len(comparison.evaluations)} models on {data.name}"
    sections = (("models", "Models"), ("tests", "Who wins"), ("utterances", "Where they differ"))
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="muted">Speech recognition, compared on {datetime.now().astimezone():%Y-%m-%d %H:%M}</p>',
        contents(sections),
        *(f'<p class="verdict">{escape(comparison.verdict(duel))}</p>' for duel in comparison.duels),
        '<h2 id="models">Models</h2>',
        *_models(comparison),
        '<h2 id="tests">Who wins</h2>',
        *_tests(comparison),
        '<h2 id="utterances">Where they differ most</h2>',
        *_utterances(comparison, audio),
    ]
    return page(title, body)


def _models(comparison: Comparison) -> Iterator[str]:
    evaluations = comparison.evaluations
    rows = []
    for place, one in enumerate(evaluations):
        scores = one.scores
        rows.append(
            (
                *(name(place), one.model, one.decoding, percent(scores.wer), span(scores.wer_interval())),
                *(percent(scores.cer), span(scores.cer_interval()), f"{one.real_time_factor:.3f}"),
            )
        )
    yield table(("", "model", "decoding", "WER", "95 % interval", "CER", "95 % interval", "RTF"), rows, range(3, 8))
    marks = [
        Mark(f"{name(place)} {one.model}", one.scores.wer, one.scores.wer_interval(), percent(one.scores.wer))
        for place, one in enumerate(evaluations)
    ]
    yield interval_plot("WER of each model", marks)
    first = evaluations[0]
    yield facts(
        (
            ("Data", f"{first.data} (digest {first.digest})"),
            ("Scored by all", f"{len(first.measured)} utterances"),
            ("Left out", f"{len(comparison.left_out)} utterances"),
            ("Text normalisation", f"{first.normalization.description}; of references and hypotheses alike"),
        )
    )


def _tests(comparison: Comparison) -> Iterator[str]:
    marks, rows = [], []
    for duel in comparison.duels:
        pair = f"{name(duel.second)} − {name(duel.first)}"
        bootstrap = duel.bootstrap
        marks.append(Mark(pair, bootstrap.difference, bootstrap.interval, f"{signed(bootstrap.difference)} points"))
        by_speaker = "–" if duel.by_speaker is None else _points(duel.by_speaker.low, duel.by_speaker.high)
        rows.append(
            (
                *(pair, signed(bootstrap.difference), _points(bootstrap.interval.low, bootstrap.interval.high)),
                *(by_speaker, f"{p_text(duel.matched_p)} ({duel.matched.segments} segments)", p_text(duel.bootstrap_p)),
                "neither" if duel.winner is None else name(duel.winner),
            )
        )
    yield interval_plot("Difference of the WER, with 95 % intervals", marks, 0.0, signed=True)
    head = ("pair", "difference", "95 % interval", "over speakers", "matched pairs", "paired bootstrap", "winner")
    yield table(head, rows, (1, 2, 3))
    holm = " p-values are adjusted by Holm's procedure." if len(comparison.duels) > 1 else ""
    yield (
        '<p class="muted small">Differences of the WER in percentage points; below 0 the first named is better. A '
        f"winner is one that both tests find better at p &lt; {comparison.significance:g}.{holm}</p>"
    )


def _utterances(comparison: Comparison, audio: int) -> Iterator[str]:
    different = comparison.most_different
    if not different:
        yield "<p>Nowhere: they make equally many errors in every utterance.</p>"
        return
    yield LEGEND
    yield from (_article(row, True) for row in different[:audio])
    rest = different[audio : audio + _MORE]
    if rest:
        yield f"<details><summary>The next {len(rest)}, without players</summary>"
        yield from (_article(row, False) for row in rest)
        yield "</details>"


def _article(row: Sequence[Measured], player: bool) -> str:
    utterance = row[0].utterance
    speaker = "" if utterance.speaker is None else f"speaker {utterance.speaker}, "
    readings = [(name(place), one) for place, one in enumerate(row)]
    return article(readings, f"{speaker}{utterance.duration:.1f} s", player)


def _points(low: float, high: float) -> str:
    return f"{signed(low)} to {signed(high)}"
