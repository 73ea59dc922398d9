"""Errors over HTTP as problem details (RFC 9457): what happened, and what to do next."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from vouchrec.retrieval.errors import InputError, ModelError, VouchError

log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"


class UnknownItemError(InputError):
    """A request names an item that the catalogue does not have."""


def problem(
    status: int, detail: str, *, title: str = "", hint: str = "", errors: Sequence[object] = ()
) -> JSONResponse:
    """Return a problem as a response. `next` says what to do; `errors` names the wrong fields."""
    body: dict[str, object] = {"title": title or HTTPStatus(status).phrase, "status": status, "detail": detail}
    if hint:
        body["next"] = hint
    if errors:
        body["errors"] = list(errors)
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Turn every error of an application into a problem."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(VouchError, _vouch)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    found = cast("RequestValidationError", error).errors()
    if any(e.get("type") == "json_invalid" for e in found):
        return problem(400, "The body is not valid JSON.", hint="Send a JSON object; see /docs.")
    errors = [{"field": _field(cast("Sequence[object]", e.get("loc", ()))), "problem": e.get("msg", "")} for e in found]
    first = errors[0] if errors else {"field": "body", "problem": "is wrong"}
    return problem(422, f"{first['field']}: {first['problem']}.", hint="See /docs for the fields.", errors=errors)


async def _vouch(_request: Request, error: Exception) -> JSONResponse:
    known = cast("VouchError", error)
    status = _status(known)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("%s", known)
    return problem(status, str(known.args[0]), hint=known.hint)


async def _http(_request: Request, error: Exception) -> JSONResponse:
    known = cast("HTTPException", error)
    hints: Mapping[int, str] = {404: "See /docs for what there is.", 405: "See /docs for the methods."}
    return problem(known.status_code, str(known.detail), hint=hints.get(known.status_code, ""))


async def _unexpected(_request: Request, error: Exception) -> JSONResponse:
    log.error("a request failed", exc_info=error)
    return problem(500, "Something went wrong on this side.", hint="Try again; `vouch doctor` says more.")


def _status(error: VouchError) -> int:
    if isinstance(error, UnknownItemError):
        return 404
    if isinstance(error, InputError):
        return 422
    return 503 if isinstance(error, ModelError) else 500


def _field(location: Sequence[object]) -> str:
    return ".".join(str(part) for part in location if part != "body") or "body"
