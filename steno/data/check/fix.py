"""The clean manifest: what the check found correctable is corrected, what is wrong beyond that left out."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from steno.data.check.problems import DUPLICATES, Kind, Severity
from steno.data.check.report import Report
from steno.data.manifest import Utterance, read_rows, write_manifest
from steno.errors import ManifestError
from steno.text import normalize


@dataclass(frozen=True, slots=True)
class Fixed:
    """What became of the lines; ``corrected`` of the ``kept`` utterances differ from the manifest."""

    path: Path
    kept: int
    corrected: int
    left_out: int


def refuse_inputs(out: Path, manifest: Path, against: list[Path]) -> None:
    """Make sure that the clean manifest replaces none of those that are read.

    Raises:
        ManifestError: it would.
    """
    if out.resolve() in {path.resolve() for path in (manifest, *against)}:
        raise ManifestError(f"{out}: is one of the manifests that are read", "Give --fix another name.")


def write_fixed(report: Report, out: Path) -> Fixed:
    """Write the manifest without its errors; it passes the check again. Warnings stay in.

    Of duplicates the first stays that has no other error.

    Raises:
        ManifestError: nothing would remain, or the file cannot be written.
    """
    refuse_inputs(out, report.scan.path, [other.path for other in report.others])
    kept = _kept(report)
    first = next(kept, None)
    if first is None:
        raise ManifestError(
            f"{report.scan.path}: every line has an error; {out} was not written",
            "Each problem that the check lists says what to do.",
        )
    corrected = 0

    def utterances() -> Iterator[Utterance]:
        nonlocal corrected
        for utterance, changed in chain([first], kept):
            corrected += changed
            yield utterance

    try:
        count = write_manifest(out, utterances())
    except OSError as error:
        raise ManifestError(f"{out}: cannot be written ({error.strerror or error})") from error
    lines = len(report.scan) + sum(problem.kind is Kind.BROKEN_LINE for problem in report.problems)
    return Fixed(out, count, corrected, lines - count)


def _kept(report: Report) -> Iterator[tuple[Utterance, bool]]:
    """Each utterance that stays, and whether it was corrected."""
    errors: dict[int, set[Kind]] = defaultdict(set)
    corrections: dict[int, set[Kind]] = defaultdict(set)
    for problem in report.problems:
        if problem.correctable:
            corrections[problem.line].add(problem.kind)
        elif problem.severity is Severity.ERROR:
            errors[problem.line].add(problem.kind)
    ids, digests = set[str](), set[int]()
    seconds, audio = report.scan.seconds, report.scan.audio_digests
    rows = ((line, row) for line, row in read_rows(report.scan.path) if isinstance(row, Utterance))
    for index, (line, utterance) in enumerate(rows):
        wrong = errors.get(line, set())
        if wrong - DUPLICATES or utterance.id in ids or int(audio[index]) in digests:
            continue
        ids.add(utterance.id)
        digests.add(int(audio[index]))
        faults = corrections.get(line, set())
        if Kind.WRONG_DURATION in faults:
            utterance = replace(utterance, duration=float(seconds[index]))
        if Kind.UNNORMALISED_TEXT in faults and utterance.text is not None:
            utterance = replace(utterance, text=normalize(utterance.text, report.settings.alphabet))
        yield utterance, bool(faults)
