"""The report of one evaluation."""

import random
from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape

from steno.evaluation.analysis import Analysis
from steno.evaluation.bootstrap import SpeakerInterval
from steno.evaluation.calibration import Calibration
from steno.evaluation.measure import Measured
from steno.evaluation.report.page import contents, facts, page, percent, span, table
from steno.evaluation.report.svg import Mark, histogram, interval_plot, reliability_diagram
from steno.evaluation.report.utterance import LEGEND, article
from steno.evaluation.tables import LEAST, Table
from steno.evaluation.wer import ErrorCounts

_ROWS = 40
"""Lines of a plot or a table; more speakers than this are not all drawn."""
_MORE = 100
"""Utterances that are shown without a player."""


def evaluation_report(analysis: Analysis, audio: int = 20) -> str:
    """The HTML of an evaluation.

    Args:
        analysis: what is told.
        audio: utterances with a player and a spectrogram, half of them the worst, the others drawn by chance.
    """
    evaluation = analysis.evaluation
    title = f"{evaluation.model or 'Evaluation'} on {evaluation.data.name}"
    sections = [("tables", "Where it goes wrong"), ("words", "Which words"), ("utterances", "Utterances")]
    if analysis.calibration:
        sections.insert(2, ("confidence", "Confidence"))
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="muted">Speech recognition, evaluated on {datetime.now().astimezone():%Y-%m-%d %H:%M}</p>',
        contents(sections),
        *_head(analysis),
        '<h2 id="tables">Where it goes wrong</h2>',
        *_tables(analysis),
        '<h2 id="words">Which words</h2>',
        _confusions(analysis),
    ]
    if analysis.calibration:
        body += _confidence(analysis.calibration)
    body += ['<h2 id="utterances">Utterances</h2>', *_utterances(analysis, audio)]
    return page(title, body)


def chosen(analysis: Analysis, audio: int) -> tuple[list[Measured], list[Measured]]:
    """The worst utterances and a sample of the others, ``audio`` together."""
    worst = analysis.worst[: (audio + 1) // 2]
    shown = {id(one) for one in worst}
    others = [one for one in analysis.evaluation.measured if id(one) not in shown]
    count = min(audio - len(worst), len(others))
    return worst, random.Random(0).sample(others, count)


def _head(analysis: Analysis) -> Iterator[str]:
    evaluation, scores = analysis.evaluation, analysis.evaluation.scores
    yield '<div class="figures">'
    for name, counts, interval, speakers, unit in (
        ("Word error rate", scores.words, analysis.wer_interval, analysis.wer_by_speaker, "words"),
        ("Character error rate", scores.chars, analysis.cer_interval, analysis.cer_by_speaker, "characters"),
    ):
        yield (
            f'<div class="figure"><span>{name}</span><b>{percent(counts.rate)}</b>'
            f"<span>95 % interval {span(interval)}, over utterances</span><span>{_speakers(speakers)}</span>"
            f'<span class="small muted">{_edits(counts)} {unit}</span></div>'
        )
    yield "</div>"
    yield facts(
        (
            ("Model", evaluation.model),
            ("Decoding", evaluation.decoding),
            ("Data", f"{evaluation.data} (digest {evaluation.digest})"),
            ("Scored", f"{len(evaluation.measured)} utterances, {evaluation.audio_seconds / 60:.1f} min of audio"),
            ("Left out", f"{len(evaluation.left_out)} utterances"),
            ("Text normalisation", f"{evaluation.normalization.description}; of reference and hypothesis alike"),
            ("Real-time factor", f"{evaluation.real_time_factor:.3f} (wall time of reading and recognising / audio)"),
        )
    )
    if evaluation.left_out:
        rows = [(entry.id, entry.reason) for entry in evaluation.left_out[:_MORE]]
        yield f"<details><summary>Left out</summary>{table(('utterance', 'reason'), rows)}</details>"


def _speakers(found: SpeakerInterval) -> str:
    if found.interval is None:
        return f"no interval over speakers: {escape(found.note)}"
    note = f" ({escape(found.note)})" if found.note else ""
    return f"95 % interval {span(found.interval)}, over {found.speakers} speakers{note}"


def _edits(counts: ErrorCounts) -> str:
    return (
        f"{counts.substitutions} substituted, {counts.deletions} deleted, {counts.insertions} inserted; "
        f"{counts.reference}"
    )


def _tables(analysis: Analysis) -> Iterator[str]:
    overall = analysis.evaluation.scores.wer
    bars = _bars(analysis.evaluation.measured)
    yield "<h3>How many utterances have which WER</h3>"
    yield '<p class="muted small">WER in percent below, number of utterances above.</p>'
    yield histogram("Histogram of the WER of utterances, in percent", bars)
    for found in analysis.tables:
        yield f"<h3>{escape(found.title)}</h3>"
        cut = f"; the first {_ROWS} of {len(found.rows)}" if len(found.rows) > _ROWS else ""
        note = found.note[:1].upper() + found.note[1:]
        yield (
            f'<p class="muted small">{escape(note)}{cut}. The dashed line is the WER of all. '
            f"Lines are 95 % intervals over utterances, from {LEAST} utterances on.</p>"
        )
        yield interval_plot(f"WER {found.title.lower()}", _marks(found), overall)
        yield f"<details><summary>As a table</summary>{_rows(found)}</details>"


def _marks(found: Table) -> list[Mark]:
    return [
        Mark(row.label, row.words.rate, row.interval, f"{percent(row.words.rate)} of {row.words.reference} words")
        for row in found.rows[:_ROWS]
    ]


def _rows(found: Table) -> str:
    head = (found.name, "utterances", "words", "WER", "95 % interval", "substituted", "deleted", "inserted")
    rows = [
        (
            *(row.label, row.utterances, row.words.reference, percent(row.words.rate), span(row.interval)),
            *(row.words.substitutions, row.words.deletions, row.words.insertions),
        )
        for row in found.rows
    ]
    return table(head, rows, range(1, len(head)))


def _bars(measured: Sequence[Measured]) -> list[tuple[str, int]]:
    """Utterances without an error, then by tens of percent, then those above 100 %."""
    labels = ["0", *(f"≤ {10 * n}" for n in range(1, 11)), "> 100"]
    counts = [0] * len(labels)
    for one in measured:
        counts[min(11, -int(-10 * one.scored.words.rate // 1))] += 1
    return list(zip(labels, counts, strict=True))


def _confusions(analysis: Analysis) -> str:
    found = analysis.confusions
    parts = (
        (
            "Substituted most",
            ("reference", "heard", "times", "of"),
            [(one.reference, one.hypothesis, one.count, one.occurrences) for one in found.substituted],
        ),
        ("Deleted most", ("word", "times", "of"), [(one.word, one.count, one.occurrences) for one in found.deleted]),
        (
            "Inserted most",
            ("word", "times", "really said"),
            [(one.word, one.count, one.occurrences) for one in found.inserted],
        ),
    )
    shown = (
        f"<div><h3>{title}</h3>"
        + (table(head, rows, (len(head) - 2, len(head) - 1)) if rows else "<p>None.</p>")
        + "</div>"
        for title, head, rows in parts
    )
    return f'<div class="columns">{"".join(shown)}</div>'


def _confidence(found: Calibration) -> list[str]:
    return [
        '<h2 id="confidence">Confidence</h2>',
        f"<p>Expected calibration error {percent(found.error)}: the mean distance, over {found.words} words, between "
        f"confidence and the share of words that is right. Mean confidence {found.confidence:.2f}, "
        f"{percent(found.right)} of the words are right.</p>",
        reliability_diagram(
            "Reliability diagram: share of right words by confidence",
            [(one.confidence, one.right, one.words) for one in found.bins],
        ),
        '<p class="muted small">On the dashed line a confidence is the chance to be right; below it the recogniser '
        "is too sure of itself.</p>",
    ]


def _utterances(analysis: Analysis, audio: int) -> Iterator[str]:
    worst, sample = chosen(analysis, audio)
    shown = {id(one) for one in (*worst, *sample)}
    rest = [one for one in analysis.worst if id(one) not in shown][:_MORE]
    yield LEGEND
    for title, some, player in (
        (f"The {len(worst)} worst", worst, True),
        (f"{len(sample)} others, drawn by chance", sample, True),
    ):
        if some:
            yield f"<h3>{title}</h3>"
            yield from (_article(analysis, one, player) for one in some)
    if rest:
        yield f"<details><summary>The next {len(rest)} with errors, without players</summary>"
        yield from (_article(analysis, one, False) for one in rest)
        yield "</details>"


def _article(analysis: Analysis, one: Measured, player: bool) -> str:
    utterance = one.utterance
    ratio = analysis.ratios.get(one.scored.id)
    note = [f"{utterance.duration:.1f} s"]
    if utterance.speaker is not None:
        note.insert(0, f"speaker {utterance.speaker}")
    if utterance.duration:
        note.append(f"{one.scored.words.reference / utterance.duration:.1f} words/s")
    if ratio is not None:
        note.append(f"signal-to-noise {ratio:.0f} dB")
    return article([("", one)], ", ".join(note), player)
