"""Structured logs: one JSON object a line, on standard error."""

import logging
from datetime import UTC, datetime
from typing import Any

import orjson

log = logging.getLogger("steno.serving")


class JsonFormatter(logging.Formatter):
    """Time, level, message and the fields that :func:`event` was given."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def event(message: str, level: int = logging.INFO, **fields: Any) -> None:
    """Log one event with its fields; those that are None are left out."""
    log.log(level, message, extra={"fields": {key: value for key, value in fields.items() if value is not None}})


def setup() -> None:
    """Send the server's log, and the warnings of whatever is below it, to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    for name, level in (("", logging.WARNING), ("steno", logging.INFO), ("uvicorn.error", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        logger.propagate = False
