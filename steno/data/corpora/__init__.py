"""Corpora of many layouts, one file a layout, and the guess which one a source is."""

from collections.abc import Iterable
from pathlib import Path

from steno.data.corpora import commonvoice, folder, kaldi, labels, librispeech, ljspeech, stm, subtitles, table
from steno.data.corpora.base import Format, Problem, Row, Wanted
from steno.errors import ManifestError

__all__ = ["FORMATS", "Format", "Problem", "Row", "Wanted", "find_format"]

_LAYOUTS = (librispeech, commonvoice, ljspeech, table, folder, subtitles, labels, kaldi, stm)

FORMATS = {module.FORMAT.name: module.FORMAT for module in _LAYOUTS}
"""Every layout by its name."""


def find_format(source: Path, name: str | None = None, wanted: Wanted = Wanted()) -> Format:
    """The layout of a source: the named one, or the only one that recognises it.

    Naming columns means a table, naming tiers means labels.

    Raises:
        ManifestError: there is no such source or layout, none or several recognise it, or columns or tiers are
            named of something that has none.
    """
    if name is not None and name not in FORMATS:
        raise ManifestError(f"no format {name!r}", f"The formats are: {', '.join(FORMATS)}.")
    if not source.exists():
        raise ManifestError(f"{source}: no such file or folder", "Check the path.")
    if (implied := _implied(wanted, name)) is not None:
        if implied is FORMATS["labels"] and name is None and not implied.recognises(source):
            raise ManifestError(f"{source}: has no tiers that --tier could name", f"They are in {implied.accepts}.")
        return implied
    if name is not None:
        return FORMATS[name]
    if source.suffix.lower() == ".jsonl":
        raise ManifestError(f"{source}: is a manifest already", f"Look it over with: steno data check {source}")
    found = [layout for layout in FORMATS.values() if layout.recognises(source)]
    if len(found) == 1:
        return found[0]
    if found:
        raise ManifestError(
            f"{source}: may be any of: {', '.join(layout.name for layout in found)}",
            _listed("Say which with --format; the rest is then named and left out.", found),
        )
    if source.suffix.lower() in (".csv", ".tsv") and source.is_file():
        return FORMATS["table"]  # which says what its columns lack
    raise ManifestError(f"{source}: not a corpus that Steno knows", _listed("Accepted are:", FORMATS.values()))


def _implied(wanted: Wanted, name: str | None) -> Format | None:
    """The only layout that has what was named, if anything was.

    Raises:
        ManifestError: another layout was named too, or what no layout has together.
    """
    if wanted.columns and wanted.tiers:
        raise ManifestError(
            "--tier does not go with --path-column and --text-column", "Tables have columns, annotations have tiers."
        )
    if wanted.columns:
        layout, flags, what = "table", "--path-column and --text-column do", "columns of a table"
    elif wanted.tiers:
        layout, flags, what = "labels", "--tier does", "tiers of Praat's and ELAN's annotations"
    else:
        return None
    if name not in (None, layout):
        raise ManifestError(
            f"{flags} not go with --format {name}", f"They name {what}: leave them out, or say --format {layout}."
        )
    return FORMATS[layout]


def _listed(first: str, layouts: Iterable[Format]) -> str:
    return "\n  ".join([first, *(f"{layout.name}: {layout.accepts}" for layout in layouts)])
