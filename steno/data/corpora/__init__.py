"""Corpora of many layouts, one file a layout, and the guess which one a source is."""

from pathlib import Path

from steno.data.corpora import commonvoice, folder, kaldi, librispeech, ljspeech, stm, subtitles, table
from steno.data.corpora.base import Columns, Format, Problem, Row
from steno.errors import ManifestError

__all__ = ["FORMATS", "Columns", "Format", "Problem", "Row", "find_format"]

_LAYOUTS = (librispeech, commonvoice, ljspeech, table, folder, subtitles, kaldi, stm)

FORMATS = {module.FORMAT.name: module.FORMAT for module in _LAYOUTS}
"""Every layout by its name."""


def find_format(source: Path, name: str | None = None, columns: Columns = Columns()) -> Format:
    """The layout of a source: the named one, or the only one that recognises it.

    Naming columns means a table.

    Raises:
        ManifestError: there is no such source or layout, none or several recognise it, or columns are named of
            something that has none.
    """
    if name is not None and name not in FORMATS:
        raise ManifestError(f"no format {name!r}", f"The formats are: {', '.join(FORMATS)}.")
    if not source.exists():
        raise ManifestError(f"{source}: no such file or folder", "Check the path.")
    if columns:
        if name not in (None, "table"):
            raise ManifestError(
                f"--path-column and --text-column do not go with --format {name}",
                "They name columns of a table; leave them out, or say --format table.",
            )
        return FORMATS["table"]
    if name is not None:
        return FORMATS[name]
    if source.suffix.lower() == ".jsonl":
        raise ManifestError(f"{source}: is a manifest already", f"Look it over with: steno data check {source}")
    found = [layout for layout in FORMATS.values() if layout.recognises(source)]
    if len(found) == 1:
        return found[0]
    if found:
        raise ManifestError(
            f"{source}: may be any of: {', '.join(layout.name for layout in found)}", "Say which with --format."
        )
    if source.suffix.lower() in (".csv", ".tsv") and source.is_file():
        return FORMATS["table"]  # which says what its columns lack
    raise ManifestError(
        f"{source}: not a corpus that Steno knows",
        "\n  ".join(["Accepted are:", *(f"{layout.name}: {layout.accepts}" for layout in FORMATS.values())]),
    )
