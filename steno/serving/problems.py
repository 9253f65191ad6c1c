"""Errors as OpenAI's API words them: ``{"error": {"message", "type", "param", "code"}}``."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from steno.serving.responses import JsonResponse


class ApiError(Exception):
    """A refusal that the client is told.

    Args:
        status: HTTP status.
        message: what is wrong and what to do, for a person.
        code: the same for a program, such as ``model_not_found``.
        param: the field at fault.
        retry_after: seconds after which trying again makes sense.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        param: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param
        self.retry_after = retry_after

    @property
    def kind(self) -> str:
        """``type`` in the API's form."""
        return {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}.get(
            self.status, "server_error" if self.status >= 500 else "invalid_request_error"
        )

    @property
    def body(self) -> dict[str, Any]:
        """The error as the API sends it."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers that go with it."""
        headers = {}
        if self.retry_after is not None:
            headers["retry-after"] = str(self.retry_after)
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        if self.code == "timeout":  # OpenAI's clients would send the same again, twice
            headers["x-should-retry"] = "false"
        return headers

    def response(self) -> Response:
        """The error as an HTTP response."""
        return JsonResponse(self.body, status_code=self.status, headers=self.headers)


async def tell(request: Request, error: Exception) -> Response:
    """Exception handler for :class:`ApiError`; the log of the request has its code."""
    assert isinstance(error, ApiError)
    request.state.notes["refused"] = error.code
    return error.response()


async def tell_http(_: Request, error: Exception) -> Response:
    """Exception handler for the framework's own refusals: no such path, method not allowed."""
    status = getattr(error, "status_code", 500)
    message = {404: "There is no such path.", 405: "The path does not take this method."}.get(
        status, str(getattr(error, "detail", "")) or "The request cannot be served."
    )
    response = ApiError(status, message, {404: "not_found", 405: "method_not_allowed"}.get(status)).response()
    response.headers.update(getattr(error, "headers", None) or {})
    return response
