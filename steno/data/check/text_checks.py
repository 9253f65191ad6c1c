"""Checks of one transcript."""

from collections.abc import Iterator

from steno.data.check.problems import Finding, Kind, Severity
from steno.data.check.settings import Settings
from steno.text import CharTokenizer, normalize, required_frames


def frames_for(duration: float, seconds_per_frame: float) -> int:
    """Whole frames that a model emits for so many seconds."""
    # A duration such as 0.12 s must count 3 frames of 0.04 s, although 0.12 / 0.04 is below 3 in floating point.
    return int(duration / seconds_per_frame + 1e-6)


def check_text(text: str | None, settings: Settings) -> Iterator[Finding]:
    """What is wrong with a transcript in itself."""
    if text is None:
        yield Finding(Kind.MISSING_TEXT, "has no `text`")
        return
    normal = normalize(text, settings.alphabet)
    if not normal:
        yield Finding(Kind.EMPTY_TEXT, f"nothing remains of {text!r}" if text else "`text` is empty")
        return
    tokenizer = CharTokenizer(settings.alphabet)
    if unknown := tokenizer.unknown(normal):
        yield Finding(Kind.UNKNOWN_CHARACTERS, f"{_quoted(unknown)} not in the alphabet, in {_shortened(text)!r}")
    elif unknown := tokenizer.unknown(text):
        yield Finding(Kind.UNNORMALISED_TEXT, f"{_quoted(unknown)} would be spelt {_shortened(normal)!r}")
    elif normal != text:
        yield Finding(Kind.UNNORMALISED_TEXT, f"{_shortened(text)!r} has needless white space", Severity.WARNING)


def check_fit(text: str | None, duration: float, settings: Settings) -> Iterator[Finding]:
    """Whether CTC can spell the transcript in the frames of so many seconds."""
    normal = normalize(text or "", settings.alphabet)
    tokenizer = CharTokenizer(settings.alphabet)
    # Whatever character is outside the alphabet still takes a frame once it is spelt out.
    labels = tokenizer.encode(normal) if not tokenizer.unknown(normal) else [ord(c) for c in normal]
    needed, frames = required_frames(labels), frames_for(duration, settings.seconds_per_frame)
    if needed > frames:
        yield Finding(
            Kind.TOO_FEW_FRAMES,
            f"its {len(normal)} characters need {needed} frames, {duration:.2f} s have {frames}",
        )


def _quoted(characters: list[str]) -> str:
    return " ".join(map(repr, characters)) + (" is" if len(characters) == 1 else " are")


def _shortened(text: str, length: int = 60) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
