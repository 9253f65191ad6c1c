"""The form of a transcription request."""

import io

import pytest
from starlette.datastructures import UploadFile

from steno.serving.form import read_form
from steno.serving.problems import ApiError


def form(**fields: str) -> list[tuple[str, str | UploadFile]]:
    return [("file", UploadFile(io.BytesIO(b""))), ("model", "m"), *fields.items()]


def test_what_the_api_takes_by_default() -> None:
    request = read_form(form(), ["m"], "en")
    assert (request.model, request.response_format, request.stream) == ("m", "json", False)
    assert request.granularities == {"segment"}


@pytest.mark.parametrize(
    "fields",
    [{"language": "EN"}, {"prompt": ""}, {"temperature": "0.0"}, {"stream": "True"}, {"chunking_strategy": "auto"}],
    ids=str,
)
def test_a_hint_that_changes_nothing_is_taken(fields: dict[str, str]) -> None:
    read_form(form(**fields), ["m"], "en")


@pytest.mark.parametrize(
    ("fields", "param", "status"),
    [
        ({"language": "de"}, "language", 400),
        ({"prompt": "Names: Quilter"}, "prompt", 400),
        ({"temperature": "0.5"}, "temperature", 400),
        ({"temperature": "nan"}, "temperature", 400),
        ({"temperature": "warm"}, "temperature", 400),
        ({"response_format": "diarized_json"}, "response_format", 400),
        ({"stream": "maybe"}, "stream", 400),
        ({"stream": "true", "response_format": "srt"}, "stream", 400),
        ({"timestamp_granularities[]": "word"}, "timestamp_granularities", 400),
        ({"timestamp_granularities[]": "letter", "response_format": "verbose_json"}, "timestamp_granularities", 400),
        ({"include[]": "logprobs"}, "include", 400),
        ({"chunking_strategy": '{"type": "server_vad"}'}, "chunking_strategy", 400),
        ({"colour": "red"}, "colour", 400),
    ],
    ids=str,
)
def test_what_cannot_be_honoured_is_refused_by_name(fields: dict[str, str], param: str, status: int) -> None:
    with pytest.raises(ApiError) as told:
        read_form(form(**fields), ["m"], "en")
    assert (told.value.param, told.value.status) == (param, status)
    assert told.value.body["error"]["type"] == "invalid_request_error"


def test_the_file_and_the_model_are_required() -> None:
    for fields, param in ([("model", "m")], "file"), ([("file", "text"), ("model", "m")], "file"):
        with pytest.raises(ApiError) as told:
            read_form(fields, ["m"], "en")
        assert told.value.param == param
    with pytest.raises(ApiError) as told:
        read_form(form()[:1], ["m"], "en")
    assert told.value.param == "model"


def test_a_field_given_twice_is_refused() -> None:
    with pytest.raises(ApiError, match="twice"):
        read_form([*form(), ("model", "m")], ["m"], "en")


def test_a_model_that_is_not_served_is_not_found() -> None:
    with pytest.raises(ApiError) as told:
        read_form(form(), ["other"], "en")
    assert (told.value.status, told.value.code) == (404, "model_not_found")
