"""What the OpenAPI document says of each path."""

from typing import Any

ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}

_MODEL = {
    "type": "object",
    "required": ["id", "object", "created", "owned_by"],
    "properties": {
        "id": {"type": "string"},
        "object": {"const": "model"},
        "created": {"type": "integer"},
        "owned_by": {"type": "string"},
        "version": {"type": "string", "description": "Digest of the model folder's configuration."},
    },
}

_WORD = {
    "type": "object",
    "required": ["word", "start", "end"],
    "properties": {
        "word": {"type": "string"},
        "start": {"type": "number"},
        "end": {"type": "number"},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
    },
}

_TRANSCRIPTION = {
    "type": "object",
    "required": ["text"],
    "properties": {
        "text": {"type": "string"},
        "language": {"type": "string"},
        "duration": {"type": "number"},
        "words": {"type": "array", "items": _WORD},
        "segments": {"type": "array", "items": {"type": "object"}},
        "usage": {"type": "object"},
    },
}

_FORM = {
    "type": "object",
    "required": ["file", "model"],
    "properties": {
        "file": {
            "type": "string",
            "format": "binary",
            "description": "WAV, FLAC, Ogg, MP3, M4A, MP4, WebM, AIFF or AU.",
        },
        "model": {"type": "string", "description": "A name that GET /v1/models lists."},
        "response_format": {"enum": ["json", "text", "srt", "vtt", "verbose_json"], "default": "json"},
        "timestamp_granularities[]": {
            "type": "array",
            "items": {"enum": ["word", "segment"]},
            "description": "With verbose_json.",
        },
        "stream": {"type": "boolean", "default": False, "description": "Server-sent events; with json and text."},
        "language": {"type": "string", "description": "The model's own language, or nothing."},
        "prompt": {
            "type": "string",
            "maxLength": 0,
            "description": "Refused unless it is empty; --hotwords is the server's.",
        },
        "temperature": {"type": "number", "enum": [0], "description": "0: the model does not sample."},
        "chunking_strategy": {"enum": ["auto"]},
    },
    "additionalProperties": False,
}


def _said(description: str, schema: dict[str, Any] | None = None, media: str = "application/json") -> dict[str, Any]:
    content = {} if schema is None else {"content": {media: {"schema": schema}}}
    return {"description": description, **content}


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    about = {
        400: "A field or the recording is wrong.",
        401: "No key, or a wrong one.",
        403: "A page of another origin.",
        404: "There is no such model.",
        405: "The path does not take this method.",
        408: "The body did not come in time.",
        413: "Too many bytes or too much audio.",
        421: "The Host header names another host.",
        429: "The server is full; see Retry-After.",
        500: "The server failed.",
        503: "Loading, stopping, or a worker died; see Retry-After.",
    }
    return {status: _said(about[status], ERROR) for status in statuses}


_COMMON: dict[str, Any] = {
    "response_model": None,
    "openapi_extra": {"security": [{"key": []}]},
}

TRANSCRIPTION: dict[str, Any] = {
    "response_model": None,
    "summary": "Transcribe a recording",
    "openapi_extra": {
        "security": [{"key": []}],
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": _FORM,
                    "encoding": {"timestamp_granularities[]": {"style": "form", "explode": True}},
                }
            },
        },
    },
    "responses": {
        200: {
            "description": "What was heard.",
            "content": {
                "application/json": {"schema": _TRANSCRIPTION},
                "text/plain": {"schema": {"type": "string"}},
                "text/vtt": {"schema": {"type": "string"}},
                "application/x-subrip": {"schema": {"type": "string"}},
                "text/event-stream": {"schema": {"type": "string"}},
            },
        },
        **_errors(400, 401, 403, 404, 408, 413, 421, 429, 500, 503),
    },
}

MODELS: dict[str, Any] = {
    **_COMMON,
    "summary": "List the models",
    "responses": {
        200: _said(
            "The models.",
            {
                "type": "object",
                "required": ["object", "data"],
                "properties": {"object": {"const": "list"}, "data": {"type": "array", "items": _MODEL}},
            },
        ),
        **_errors(400, 401, 403, 421, 503),
    },
}

MODEL: dict[str, Any] = {
    **_COMMON,
    "summary": "Show a model",
    "responses": {200: _said("The model.", _MODEL), **_errors(400, 401, 403, 404, 421, 503)},
}

HEALTH: dict[str, Any] = {
    "response_model": None,
    "summary": "Whether the process answers",
    "responses": {200: _said("It does.", {"type": "object"}), **_errors(400, 403, 421)},
}

READY: dict[str, Any] = {
    "response_model": None,
    "summary": "Whether requests are taken now",
    "responses": {200: _said("They are.", {"type": "object"}), **_errors(400, 403, 421, 503)},
}

METRICS: dict[str, Any] = {
    "response_model": None,
    "summary": "Counters for Prometheus",
    "openapi_extra": {"security": [{"key": []}]},
    "responses": {200: _said("The counters.", {"type": "string"}, "text/plain"), **_errors(400, 401, 403, 421)},
}

SECURITY_SCHEMES = {
    "key": {"type": "http", "scheme": "bearer", "description": "An API key, where the server wants one."}
}
"""Ways to show a key."""
