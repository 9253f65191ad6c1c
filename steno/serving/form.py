"""The form of a transcription request: what OpenAI's API takes, checked, and what cannot be honoured refused."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from starlette.datastructures import UploadFile

from steno.serving.problems import ApiError

ResponseFormat = Literal["json", "text", "srt", "vtt", "verbose_json"]
Granularity = Literal["word", "segment"]
Form: TypeAlias = Sequence[tuple[str, str | UploadFile]]

_ONCE = {"file", "model", "language", "prompt", "response_format", "temperature", "stream", "chunking_strategy"}
_LISTS = {"timestamp_granularities", "include"}


@dataclass(frozen=True, slots=True)
class Request:
    """A request that can be honoured."""

    upload: UploadFile
    model: str
    response_format: ResponseFormat = "json"
    granularities: frozenset[Granularity] = frozenset({"segment"})
    stream: bool = False


def read_form(form: Form, names: Collection[str], language: str) -> Request:
    """Check a form's fields.

    Args:
        form: the fields in their order.
        names: the model names that are served.
        language: what the model speaks, ISO 639-1.

    Raises:
        ApiError: a field is missing, unknown, given twice, or asks for what the server cannot do.
    """
    once: dict[str, str | UploadFile] = {}
    lists: dict[str, list[str]] = {name: [] for name in _LISTS}
    for key, value in form:
        name = key.removesuffix("[]")
        if name in _LISTS and isinstance(value, str):
            lists[name].append(value)
        elif key not in _ONCE:
            raise _wrong(key[:64], "is not a field of this API", "unknown_parameter")
        elif key in once:
            raise _wrong(key, "is given twice")
        else:
            once[key] = value
    texts = {key: value for key, value in once.items() if isinstance(value, str) and key != "file"}
    upload = once.get("file")
    if not isinstance(upload, UploadFile):
        raise _wrong("file", "is required, as a file", "missing_required_parameter")
    for key, value in once.items():
        if key != "file" and not isinstance(value, str):
            raise _wrong(key, "has to be text, not a file")
    _check_model(texts.get("model"), names)
    _check_hints(texts, lists, language)
    response_format = _choice(texts.get("response_format", "json"))
    stream = _boolean(texts.get("stream", "false"))
    if stream and response_format not in ("json", "text"):
        raise _wrong("stream", "goes with the response formats json and text only")
    wanted = lists["timestamp_granularities"]
    if wanted and response_format != "verbose_json":
        raise _wrong("timestamp_granularities", "goes with the response format verbose_json only")
    if unknown := set(wanted) - set(get_args(Granularity)):
        raise _wrong("timestamp_granularities", f"holds {min(unknown)[:64]!r}; there are 'word' and 'segment'")
    granularities = frozenset(name for name in get_args(Granularity) if name in wanted) or frozenset({"segment"})
    return Request(upload, texts["model"], response_format, granularities, stream)


def _check_model(model: str | None, names: Collection[str]) -> None:
    if model is None:
        raise _wrong("model", "is required", "missing_required_parameter")
    if model not in names:
        raise unknown_model(model, names)


def unknown_model(model: str, names: Collection[str]) -> ApiError:
    """The refusal of a model that is not served."""
    served = ", ".join(f"`{name}`" for name in names)
    return ApiError(
        404, f"The model `{model[:128]}` is not served here; there is {served}.", "model_not_found", "model"
    )


def check_language(asked: str | None, language: str) -> None:
    """Refuse another language than the model's; en-US is English.

    Raises:
        ApiError: it is another.
    """
    if (asked or "").lower().partition("-")[0] not in ("", language):
        raise _wrong("language", f"asks for {str(asked)[:16]!r}; this model knows {language!r} only")


def check_prompt(asked: str | None) -> None:
    """Refuse a prompt: its words would need a decoder of their own, and others would wait while it is built.

    Raises:
        ApiError: there is one.
    """
    if asked:
        raise _wrong(
            "prompt",
            "cannot be used: words to prefer are the server's, which --hotwords names for all; leave it out",
            "unsupported_parameter",
        )


def _check_hints(texts: dict[str, str], lists: dict[str, list[str]], language: str) -> None:
    """Fields that steer the model. One that would change nothing is taken, any other is refused."""
    check_language(texts.get("language"), language)
    check_prompt(texts.get("prompt"))
    try:
        temperature = float(texts.get("temperature") or 0)
    except ValueError:
        raise _wrong("temperature", "is not a number") from None
    if not 0 <= temperature <= 1:
        raise _wrong("temperature", "has to be from 0 to 1")
    if temperature:
        raise _wrong(
            "temperature", "cannot be used: this model does not sample; leave it at 0", "unsupported_parameter"
        )
    if texts.get("chunking_strategy", "auto") != "auto":
        raise _wrong("chunking_strategy", "can only be 'auto'", "unsupported_parameter")
    if lists["include"]:
        raise _wrong("include", "cannot be used by this model; leave it out", "unsupported_parameter")


def _choice(text: str) -> ResponseFormat:
    for known in get_args(ResponseFormat):
        if text == known:
            return known
    raise _wrong("response_format", f"is {text[:64]!r}; there are {', '.join(get_args(ResponseFormat))}")


def _boolean(text: str) -> bool:
    if text.lower() in ("true", "1"):
        return True
    if text.lower() in ("false", "0", ""):
        return False
    raise _wrong("stream", "has to be true or false")


def _wrong(param: str, what: str, code: str = "invalid_value") -> ApiError:
    return ApiError(400, f"`{param}` {what}.", code, param)
