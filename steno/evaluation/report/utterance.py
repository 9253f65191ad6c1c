"""One utterance in a report: its alignment in colours, a player, a spectrogram, the times of its words."""

from collections.abc import Sequence
from html import escape

from steno import audio
from steno.decoding.transcript import Word
from steno.errors import AudioError
from steno.evaluation.alignment import Pair, align
from steno.evaluation.measure import Measured
from steno.evaluation.report.media import audio_uri, spectrogram_uri
from steno.evaluation.report.page import percent
from steno.text import words

LEGEND = (
    '<p class="legend"><span>Above the reference, below what was heard:</span>'
    '<span class="pair substitution"><span>said</span><span>sad</span></span> substituted '
    '<span class="pair deletion"><span>said</span><span></span></span> deleted '
    '<span class="pair insertion"><span></span><span>sad</span></span> inserted</p>'
)


def article(readings: Sequence[tuple[str, Measured]], note: str, player: bool) -> str:
    """An utterance with what one or several recognisers, each by its name, heard in it; a name may be empty."""
    first = readings[0][1]
    parts = [f"<article><h3>{escape(first.scored.id)}</h3>", f'<div class="muted small">{escape(note)}</div>']
    for name, one in readings:
        heading = f"<b>{escape(name)}</b> " if name else ""
        counts = one.scored.words
        parts.append(
            f'<div class="small">{heading}WER {percent(counts.rate)}: {counts.errors} errors in '
            f"{counts.reference} words</div>"
        )
        parts.append(alignment(align(words(one.scored.reference), words(one.scored.hypothesis))))
    if player:
        parts.append(_sound(first, first.words if len(readings) == 1 else ()))
    return "".join((*parts, "</article>"))


def alignment(pairs: Sequence[Pair]) -> str:
    """Words of the reference above those of the hypothesis."""
    cells = []
    for pair in pairs:
        reference, hypothesis = escape(pair.reference or ""), escape(pair.hypothesis or "")
        told = "" if pair.kind == "correct" else f' title="{pair.kind}"'
        kind = "" if pair.kind == "correct" else f" {pair.kind}"
        cells.append(f'<span class="pair{kind}"{told}><span>{reference}</span><span>{hypothesis}</span></span>')
    return f'<div class="alignment">{"".join(cells)}</div>'


def _sound(one: Measured, heard: Sequence[Word]) -> str:
    try:
        samples = audio.load(one.utterance.audio)
    except AudioError as error:
        return f'<p class="small muted">{escape(error.message)}</p>'
    seconds = len(samples) / audio.SAMPLE_RATE
    identity = escape(one.scored.id, quote=True)
    return (
        f'<div class="spectrogram"><img alt="Spectrogram of {identity}, 0 to {seconds:.1f} s, 0 to 8 kHz" '
        f'src="{spectrogram_uri(samples, audio.SAMPLE_RATE)}"><i></i></div>{_times(heard, seconds)}'
        f'<audio controls preload="auto" aria-label="Recording of {identity}" '
        f'src="{audio_uri(samples, audio.SAMPLE_RATE)}"></audio>'
    )


def _times(heard: Sequence[Word], seconds: float) -> str:
    if not heard:
        return ""
    spans = (
        f'<span style="left:{100 * word.start / seconds:.2f}%;width:{100 * (word.end - word.start) / seconds:.2f}%" '
        f'title="{escape(word.text, quote=True)}: {word.start:.2f} to {word.end:.2f} s, '
        f'confidence {word.confidence:.2f}">{escape(word.text)}</span>'
        for word in heard
    )
    return f'<div class="times">{"".join(spans)}</div>'
