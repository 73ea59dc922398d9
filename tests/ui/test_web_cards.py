"""The page's HTML: whatever an item or a person writes stays text."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from vouchrec.agent.assemble import Agent
from vouchrec.agent.profile import Portrait
from vouchrec.agent.types import Claim, Reason
from vouchrec.retrieval.domain import Domain
from vouchrec.retrieval.pipeline import assess
from vouchrec.retrieval.types import Evidence, Item, Profile, Query
from vouchrec.ui.facts import card_facts, shares
from vouchrec.ui.web_cards import header_html, panel_html, transcript_html
from vouchrec.ui.web_state import Card, PageTurn

ALLOWED = frozenset(
    [
        "div",
        "section",
        "article",
        "aside",
        "header",
        "footer",
        "nav",
        "ol",
        "ul",
        "li",
        "dl",
        "dt",
        "dd",
        "p",
        "h1",
        "h2",
        "h3",
        "h4",
        "span",
        "b",
        "i",
        "small",
        "br",
        "a",
        "button",
        "svg",
        "path",
        "circle",
    ]
)


class Checker(HTMLParser):
    """Fails on a tag or attribute that the page does not use, and on tags that do not match."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ALLOWED, tag
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in ("br", "path", "circle"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ALLOWED, tag

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check(html: str) -> None:
    checker = Checker()
    checker.feed(html)
    checker.close()
    assert checker.open == []


def evil_card(agent: Agent) -> Card:
    found = assess(agent.workspace, Query(), Profile({"alien-1979": 1.0}), ["evil<&\"'>"])[0]
    reason = Reason('<img src=x onerror="1"> & more', (Claim("x", "match", "y", "supported"),), True, "model")
    return Card(found, text=reason.text, reason=reason)


@pytest.mark.parametrize("mark", ["", "like", "dislike", "seen"])
def test_items_and_messages_are_escaped(agent: Agent, mark: str) -> None:
    card = evil_card(agent)
    card.mark = mark  # pyright: ignore[reportAttributeAccessIssue]
    turn = PageTurn(1, "<b onclick=1>hi</b>\n</p>", "done", [card], ["<script>x</script>"], ["</div>"])
    html = transcript_html([turn], agent.workspace.domain, "<i>notice</i>")
    check(html)
    assert "<script" not in html
    assert "<img" not in html


def test_panel_header_and_empty_state_are_escaped(agent: Agent) -> None:
    evil = agent.workspace.catalogue.items[-1]
    check(panel_html(Portrait((evil,), (evil,), (evil,), (("<b>", "<i>x", 0.5),)), agent.workspace.domain))
    domain = Domain(noun="<b>", plural="<i>", examples=('"><script>',))
    check(header_html(domain, 3) + transcript_html([], domain) + panel_html(Portrait((), (), (), ()), domain))


def test_failure_and_waiting_states(agent: Agent) -> None:
    domain = agent.workspace.domain
    failed = PageTurn(1, "x", "failed", problem="It <broke>.", hint="Try.")
    html = transcript_html([failed, PageTurn(2, "y")], domain)
    check(html)
    assert 'data-do="retry"' in html
    assert "Thinking" in html
    assert 'aria-busy="true"' in html


def test_every_button_has_words(agent: Agent) -> None:
    turn = PageTurn(1, "x", "done", [evil_card(agent)])
    html = transcript_html([turn], agent.workspace.domain)
    for button in html.split("<button")[1:]:
        head, _, rest = button.partition(">")
        text = rest.split("</button>")[0]
        assert "aria-label=" in head or any(c.isalpha() for c in text.split("</svg>")[-1])


def test_cards_of_an_undeclared_domain() -> None:
    item = Item("1", "Kettle", attributes={"price": 20.5, "colour": ("red", "blue")})
    from vouchrec.retrieval.domain import infer_domain

    facts = card_facts(item, infer_domain([item, item]))
    assert facts.kinds == ("red", "blue")
    assert facts.year == ""
    assert card_facts(item, Domain()).kinds == ()


def test_shares_sum_to_about_one_and_leave_out_the_tiny() -> None:
    parts = {"collaborative": 0.27, "semantic": 0.52, "neighbours": 0.2, "recency": 0.01}
    found = shares(Evidence(shares=parts))
    assert [s for s, _ in found] == ["semantic", "collaborative", "neighbours"]
    assert abs(sum(p for _, p in found) - 1) < 0.02
    assert shares(Evidence()) == []
