"""The chat page. The only importer of Gradio.

The layout is three pieces of HTML (header, conversation, panel) and a text box. Clicks inside the HTML arrive as one event,
`act`, with the `data-*` values of the button; every handler streams new HTML from `web_cards`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import gradio as gr
from fastapi import FastAPI
from gradio.components import Component
from gradio.themes import Base, Font

from vouchrec.agent.assemble import Agent
from vouchrec.retrieval.errors import VouchError
from vouchrec.retrieval.store import EventKind
from vouchrec.ui.web_cards import header_html, panel_html, transcript_html
from vouchrec.ui.web_state import FEEDBACK, PageSession, user_id

STATIC = Path(__file__).parent / "static"
KEEP_SECONDS = 24 * 3600
"""How long the state of a page that sits idle is kept."""
AT_ONCE = 8
"""Turns that run at the same time; more wait in line."""
Drawn: TypeAlias = tuple[object, object, object, PageSession]
"""Conversation, panel, text box, state: what every handler returns, in the order of the outputs."""


def mount_page(app: FastAPI, agent: Agent) -> FastAPI:
    """Put the page at the root of a FastAPI application; routes that the application already has win."""
    return gr.mount_gradio_app(
        app,
        build_page(agent),
        path="/",
        theme=_theme(),
        css_paths=STATIC / "page.css",
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        pwa=False,
        enable_monitoring=False,
        mcp_server=False,
        max_file_size=1,
        favicon_path=str(STATIC / "icon.svg"),
        app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
    )


def build_page(agent: Agent) -> gr.Blocks:
    """Return the page for an agent. Nothing of it is fetched from other hosts and no usage is reported."""
    domain = agent.workspace.domain
    script = (STATIC / "page.js").read_text(encoding="utf-8")
    nothing = PageSession(agent, user_id(None)).portrait()
    with gr.Blocks(title="Vouch", analytics_enabled=False, fill_width=True) as page:
        state = gr.State(None, time_to_live=KEEP_SECONDS)
        who = gr.Textbox(visible=False)
        header = _part(header_html(domain, len(agent.workspace.catalogue)), "v-top", script)
        with gr.Row(elem_id="v-page"):
            with gr.Column(elem_id="v-main"):
                talk = _part(transcript_html([], domain), "v-conversation", script)
                composer = _composer()
            with gr.Column(elem_id="v-side"):
                panel = _part(panel_html(nothing, domain), "v-about", script)
        _connect(page, _Handlers(agent), _Parts(header, talk, panel, composer, state, who))
    page.queue(default_concurrency_limit=AT_ONCE)
    return page


@dataclass(frozen=True, slots=True)
class _Parts:
    header: gr.HTML
    talk: gr.HTML
    panel: gr.HTML
    composer: gr.Textbox
    state: gr.State
    who: gr.Textbox


def _connect(page: gr.Blocks, handlers: _Handlers, parts: _Parts) -> None:
    outputs: list[Component] = [parts.talk, parts.panel, parts.composer, parts.state]
    page.load(
        handlers.arrive,
        [parts.who],
        outputs,
        js=(STATIC / "who.js").read_text(encoding="utf-8"),
        show_progress="hidden",
        api_visibility="private",
    )
    parts.composer.submit(
        handlers.submit,
        [parts.composer, parts.state, parts.who],
        outputs,
        show_progress="hidden",
        api_visibility="private",
        trigger_mode="once",
        concurrency_limit=AT_ONCE,
    )
    for part in (parts.header, parts.talk, parts.panel):
        part.act(
            handlers.act,
            [parts.state, parts.who],
            outputs,
            show_progress="hidden",
            api_visibility="private",
            trigger_mode="multiple",
            concurrency_limit=AT_ONCE,
        )


class _Handlers:
    """What the page's events do. Holds nothing of any visitor: that is in each page's own state."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent

    def arrive(self, who: str | None) -> Drawn:
        """Begin a session for a page that was just opened."""
        return self._draw(PageSession(self.agent, user_id(who)))

    def submit(self, text: str, session: PageSession | None, who: str | None) -> Iterator[Drawn]:
        """Take a typed message."""
        live = session or PageSession(self.agent, user_id(who))
        if not text.strip():
            yield self._draw(live)
            return
        yield from self._stream(live, live.say(text), clear=True)

    def act(self, session: PageSession | None, who: str | None, event: gr.EventData) -> Iterator[Drawn]:
        """Take a click in the header, the conversation or the panel."""
        live = session or PageSession(self.agent, user_id(who))
        do = _value(event, "do")
        if do in FEEDBACK:
            yield from self._stream(live, self._feedback(live, FEEDBACK[do], event))
        elif do == "say":
            yield from self._stream(live, live.say(_value(event, "text")))
        elif do == "retry":
            yield from self._stream(live, live.retry())
        elif do in ("restart", "forget-all"):
            if do == "restart":
                live.restart()
            else:
                live.forget()
            yield self._draw(live)
        else:
            yield self._draw(live)

    def _feedback(self, live: PageSession, kind: EventKind, event: gr.EventData) -> Iterator[None]:
        number = _value(event, "turn")
        place = int(number) if number.isascii() and number.isdigit() else 0
        try:
            yield from live.feedback(kind, _value(event, "item"), place)
        except VouchError as error:
            live.notice = str(error)
            yield

    def _stream(self, live: PageSession, steps: Iterator[None], *, clear: bool = False) -> Iterator[Drawn]:
        """Draw the conversation at every step, the panel at the end; the text box is only ever emptied at the start."""
        first = True
        for _ in steps:
            emptied = "" if clear and first and not live.notice else gr.skip()
            yield self._talk(live), gr.skip(), emptied, live
            first = False
        yield self._draw(live)

    def _draw(self, live: PageSession) -> Drawn:
        panel = panel_html(live.portrait(), self.agent.workspace.domain)
        return self._talk(live), panel, gr.skip(), live

    def _talk(self, live: PageSession) -> str:
        return transcript_html(live.turns, self.agent.workspace.domain, live.notice)


def _composer() -> gr.Textbox:
    return gr.Textbox(
        elem_id="v-composer",
        label="Your message",
        show_label=False,
        placeholder="Say what you are in the mood for…",
        lines=1,
        max_lines=6,
        submit_btn=True,
        container=False,
    )


def _part(html: str, name: str, script: str) -> gr.HTML:
    return gr.HTML(html, elem_id=name, js_on_load=script, apply_default_css=False, container=False, padding=False)


def _value(event: gr.EventData, name: str) -> str:
    """Return one value that came with a click; empty when it did not come."""
    try:
        value: object = getattr(event, name)
    except (AttributeError, TypeError):
        return ""
    return value if isinstance(value, str) else ""


def _theme() -> Base:
    """The page's own look: fonts and colours come from page.css."""
    return Base(
        font=[Font("Vouch Sans"), Font("system-ui"), Font("sans-serif")],
        font_mono=[Font("ui-monospace"), Font("monospace")],
    )
