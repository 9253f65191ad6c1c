"""``POST /v1/audio/transcriptions`` and ``GET /v1/models``, in OpenAI's form."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.datastructures import UploadFile
from starlette.responses import Response, StreamingResponse

from steno.serving import answers, documents
from steno.serving.filepool import Job
from steno.serving.form import read_form, unknown_model
from steno.serving.keys import bearer
from steno.serving.problems import ApiError
from steno.serving.responses import JsonResponse
from steno.serving.service import Engine, Service

router = APIRouter()

FIELD_BYTES = 64 * 1024
"""Size of a field that is not a file."""


@router.get("/v1/models", **documents.MODELS)
async def list_models(request: Request) -> Response:
    """The models that this server answers for."""
    service = _opened(request)
    models = [_model(service, name) for name in service.config.names]
    return JsonResponse({"object": "list", "data": models})


@router.get("/v1/models/{model:path}", **documents.MODEL)
async def show_model(request: Request, model: str) -> Response:
    """One model."""
    service = _opened(request)
    if model not in service.config.names:
        raise unknown_model(model, service.config.names)
    return JsonResponse(_model(service, model))


@router.post("/v1/audio/transcriptions", **documents.TRANSCRIPTION)
async def transcribe(request: Request) -> Response:
    """What is said in a recording."""
    service = _opened(request)
    notes = request.state.notes
    deadline = monotonic() + service.config.timeout
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data":
        raise ApiError(400, "The request has to be multipart/form-data.", "invalid_content_type")
    with contextlib.ExitStack() as held:
        held.enter_context(service.request())
        async with request.form(max_files=1, max_fields=24, max_part_size=FIELD_BYTES) as form:
            wanted = read_form(form.multi_items(), service.config.names, service.config.language)
            engine = service.engine
            head = await _answered(request, engine, wanted.upload, deadline)
        answer = answers.Answer.of(head, service.config.language)
        _count(service, head)
        notes |= {"audio_seconds": round(answer.duration, 3), "batch": head["batch"], "version": engine.version}
        if service.config.log_transcripts:
            notes["text"] = answer.transcript.text
        headers = {"cache-control": "no-store", "x-steno-model-version": engine.version}
        if wanted.stream:
            return StreamingResponse(_events(answer), media_type="text/event-stream", headers=headers)
        body, media = answers.render(answer, wanted.response_format, wanted.granularities)
        return Response(body, media_type=media, headers=headers)


async def _answered(request: Request, engine: Engine, upload: UploadFile, deadline: float) -> dict[str, Any]:
    """The worker's answer; a client that hangs up withdraws its job."""
    job: Job = engine.files.submit(upload.file, upload.size or 0, deadline)
    leaving = asyncio.ensure_future(_left(request))
    try:
        waited: set[asyncio.Future[Any]] = {job.answer, leaving}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if not job.answer.done():
            job.answer.cancel()
            raise ApiError(499, "The client hung up.", "client_left")
        return job.answer.result()
    finally:
        leaving.cancel()
        job.answer.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _events(answer: answers.Answer) -> AsyncIterator[bytes]:
    for said in answers.events(answer):
        yield b"data: " + orjson.dumps(said) + b"\n\n"


def _count(service: Service, head: dict[str, Any]) -> None:
    service.metrics.audio_seconds.labels("files").inc(head["duration"])
    service.metrics.real_time_factor.labels("files").observe(head["work_seconds"] / head["duration"])
    service.metrics.batch_size.labels("files").observe(head["batch"])


def _opened(request: Request) -> Service:
    service: Service = request.app.state.service
    service.check_key(bearer(request.headers.get("authorization")))
    return service


def _model(service: Service, name: str) -> dict[str, Any]:
    engine = service.engine
    return {"id": name, "object": "model", "created": engine.loaded, "owned_by": "steno", "version": engine.version}
