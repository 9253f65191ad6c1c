"""Results as Arrow tables: one row a recording, in a part also those that failed."""

import io
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from steno.batch.source import Item
from steno.runtime.files import FileResult
from steno.runtime.formats import to_dict

_WORD = pa.struct([("word", pa.string()), *((name, pa.float64()) for name in ("start", "end", "confidence"))])
_READING = pa.struct([("text", pa.string()), ("score", pa.float64())])

RESULTS = pa.schema(
    [
        ("id", pa.string()),
        ("file", pa.string()),
        ("text", pa.string()),
        ("words", pa.list_(_WORD)),
        ("duration", pa.float64()),
        ("confidence", pa.float64()),
        ("model", pa.string()),
    ]
)
"""Columns of the results. Times and durations are in seconds; ``confidence`` is the words' mean, null without words."""

FAILED = pa.schema([("id", pa.string()), ("file", pa.string()), ("error", pa.string()), ("hint", pa.string())])
"""Columns of the table of recordings that failed."""

ALTERNATIVES = pa.field("alternatives", pa.list_(_READING))
"""Other hypotheses, best first; a column only where they were asked for."""


def results_schema(nbest: int) -> pa.Schema:
    """Columns of the results with so many hypotheses."""
    return RESULTS.append(ALTERNATIVES) if nbest > 1 else RESULTS


def part_schema(nbest: int) -> pa.Schema:
    """Columns of a part: of the results, then of the failures; ``error`` tells which a row is."""
    schema = results_schema(nbest)
    for name in ("error", "hint"):
        schema = schema.append(FAILED.field(name))
    return schema


def row(item: Item, result: FileResult, model: str) -> dict[str, Any]:
    """One row of a part."""
    if result.transcript is None:
        error = result.error
        return failure(item, error.message if error else "no transcript", error.hint if error else "")
    found = to_dict(result.transcript)
    confidence = result.transcript.confidence
    return {
        "id": item.id,
        "file": item.file,
        "text": found["text"],
        "words": [{name: word[name] for name in ("word", "start", "end", "confidence")} for word in found["words"]],
        "duration": round(result.seconds, 3),
        "confidence": None if confidence is None else round(confidence, 4),
        "model": model,
        "alternatives": found.get("alternatives", []),
    }


def failure(item: Item, message: str, hint: str = "") -> dict[str, Any]:
    """One row of a part for a recording that failed."""
    return {"id": item.id, "file": item.file, "error": message, "hint": hint}


def dump(rows: Iterable[dict[str, Any]], nbest: int) -> bytes:
    """A part as Parquet."""
    return dump_table(pa.Table.from_pylist(list(rows), schema=part_schema(nbest)))


def dump_table(table: pa.Table) -> bytes:
    """A table as Parquet."""
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()


def load(data: bytes) -> pa.Table:
    """A part.

    Raises:
        ValueError: the bytes are not Parquet.
    """
    return pq.read_table(io.BytesIO(data))


def together(parts: Sequence[bytes]) -> bytes:
    """Several parts as one."""
    return dump_table(pa.concat_tables([load(part) for part in parts]))
