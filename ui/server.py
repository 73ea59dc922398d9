"""Page and API in one server: the socket, the limits that hold for every request, and the run itself."""

from __future__ import annotations

import logging
import re
import socket

import typer
import uvicorn
from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vouchrec.agent.assemble import Agent
from vouchrec.ui.api import make_api
from vouchrec.ui.problems import problem
from vouchrec.ui.web import mount_page

LARGEST_BODY = 1_000_000
"""Bytes of one request."""
HEADERS = {
    # Gradio runs the page's script from text, hence the two unsafe words; what matters is that nothing comes from elsewhere.
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
        "frame-ancestors 'self'; base-uri 'self'; form-action 'self'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_FOREIGN_META = re.compile(rb'<meta\s+(?:property="og:|name="twitter:)[^>]*>\s*')


def make_app(agent: Agent) -> FastAPI:
    """Return page and API as one application."""
    app = make_api(agent)
    app.add_middleware(Guard)
    return mount_page(app, agent)


def run(agent: Agent, taken: socket.socket) -> None:
    """Serve on a socket until interrupted."""
    host, port = taken.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    typer.echo(f"Vouch is at http://{shown}:{port}   API: http://{shown}:{port}/docs   (Ctrl+C stops it)")
    config = uvicorn.Config(make_app(agent), log_level="warning", timeout_graceful_shutdown=3)
    uvicorn.Server(config).run(sockets=[taken])


class Guard:
    """ASGI middleware: refuses bodies that are too large, adds the headers, and keeps other hosts out of the page."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "0")
        if length.isdigit() and int(length) > LARGEST_BODY:
            detail = f"The body has {int(length):,} bytes; at most {LARGEST_BODY:,} are read."
            await problem(413, detail, hint="Send less.")(scope, receive, send)
            return
        outgoing = _Outgoing(send, page=scope["method"] == "GET" and scope["path"] == "/")
        await self.app(scope, _limited(receive), outgoing)


class _Outgoing:
    """A `send` that adds the headers, and holds the page back until it is whole to clean it."""

    def __init__(self, send: Send, *, page: bool) -> None:
        self.send, self.page = send, page
        self.held: Message | None = None
        self.body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            if self.page and headers.get("content-type", "").startswith("text/html"):
                self.held = message
                return
        elif self.held is not None and message["type"] == "http.response.body":
            self.body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._release(self.held)
            return
        await self.send(message)

    async def _release(self, start: Message) -> None:
        body = _FOREIGN_META.sub(b"", self.body)
        MutableHeaders(scope=start)["content-length"] = str(len(body))
        await self.send(start)
        await self.send({"type": "http.response.body", "body": body})


def _limited(receive: Receive) -> Receive:
    """Count what arrives, for bodies that do not say their length."""
    total = 0

    async def counted() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > LARGEST_BODY:
            raise HTTPException(413, f"The body has more than {LARGEST_BODY:,} bytes.")
        return message

    return counted


logging.getLogger("httpx").setLevel(logging.WARNING)
