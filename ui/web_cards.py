"""The page's HTML as pure functions of what is on the screen. Everything that came from outside is escaped.

Buttons carry `data-do` (and `data-item`, `data-turn`, `data-text`); the script of the page turns clicks into events.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from vouchrec.agent.profile import Portrait
from vouchrec.agent.types import Reason
from vouchrec.retrieval.domain import Domain
from vouchrec.retrieval.types import Evidence, Item, Recommendation
from vouchrec.ui.facts import MIN_SHARE, SOURCE_LABELS, CardFacts, attribute_text, card_facts, shares
from vouchrec.ui.lines import constraint_text
from vouchrec.ui.text import plural
from vouchrec.ui.web_icons import icon
from vouchrec.ui.web_state import Card, Mark, PageTurn

MARKS: tuple[tuple[Mark, str, str, str], ...] = (
    ("like", "Like", "Liked", "heart"),
    ("dislike", "Dislike", "Disliked", "minus"),
    ("seen", "Seen", "Seen", "eye"),
)
ROWS = 5
"""Rows of one kind of evidence that a card shows."""


def header_html(domain: Domain, count: int) -> str:
    """Return the top of the page: name, promise, and the buttons that concern the whole page."""
    return (
        '<header class="v-header"><div class="v-brand"><span class="v-logo" aria-hidden="true">'
        f"{icon('seal')}</span><h1>Vouch</h1><p>Recommendations with reasons that are checked.</p></div>"
        '<nav class="v-nav" aria-label="Page">'
        f'<span class="v-count">{plural(count, _e(domain.noun), _e(domain.plural))}</span>'
        f'<a class="v-quiet v-jump" href="#v-panel">{icon("heart")}<span>Your taste</span></a>'
        f"{_button('restart', icon('plus') + '<span>New chat</span>', 'Start a new conversation', 'v-quiet')}"
        f"{_button('theme', icon('moon'), 'Switch between light and dark', 'v-quiet v-round')}"
        "</nav></header>"
    )


def transcript_html(turns: Sequence[PageTurn], domain: Domain, notice: str = "") -> str:
    """Return the conversation, or the empty state."""
    body = "".join(_turn(turn, domain, last=turn is turns[-1]) for turn in turns) if turns else _empty(domain)
    shown = f'<p class="v-notice" role="alert">{_e(notice)}</p>' if notice else ""
    busy = bool(turns) and turns[-1].phase in ("reading", "writing")
    return (
        f'<div class="v-talk" role="log" aria-label="Conversation" aria-busy="{str(busy).lower()}">{body}</div>{shown}'
    )


def panel_html(known: Portrait, domain: Domain) -> str:
    """Return the panel of what is known of the person, with a way to take each thing back."""
    lists = (
        _list("Liked", known.liked, domain),
        _list("Disliked", known.disliked, domain),
        _list(_capital(domain.consumed), known.seen, domain),
    )
    tastes = _tastes(known)
    if not (tastes or any(lists)):
        body = (
            '<p class="v-hint">Nothing yet. Like something, or say what you enjoyed, and it shows up here. '
            "You can take back anything at any time.</p>"
        )
    else:
        forget = _button(
            "forget-all", "Forget everything about me", "", "v-link", ("confirm", "Delete all that is known of you?")
        )
        body = f'{tastes}{"".join(lists)}<p class="v-foot">{forget}</p>'
    return (
        f'<aside class="v-panel" id="v-panel" aria-label="What I know of you"><h2>What I know of you</h2>{body}</aside>'
    )


# ---- the conversation -------------------------------------------------------------------------------------------


def _empty(domain: Domain) -> str:
    chips = "".join(_button("say", _e(example), "", "v-chip", ("text", example)) for example in domain.examples)
    tried = f'<div class="v-chips" role="group" aria-label="Examples">{chips}</div>' if chips else ""
    return (
        '<section class="v-empty"><h2>What are you in the mood for?</h2>'
        f"<p>Say it as you would to a friend: a mood, a {_e(domain.noun)} you loved, what you don’t want. "
        f"Each suggestion comes with its reason.</p>{tried}</section>"
    )


def _turn(turn: PageTurn, domain: Domain, *, last: bool) -> str:
    parts = [f'<p class="v-you"><span class="v-sr">You: </span>{_lines(turn.message)}</p>']
    if turn.phase == "failed":
        parts.append(_failure(turn))
    else:
        parts += [_said(turn.intro, waiting=turn.phase != "done"), _cards(turn, domain), _said(turn.outro)]
        if last and turn.phase == "done":
            parts.append(_followups(turn, domain))
    return f'<article class="v-turn" data-turn="{turn.number}" data-phase="{turn.phase}">{"".join(parts)}</article>'


def _said(sentences: Sequence[str], *, waiting: bool = False) -> str:
    if sentences:
        return f'<div class="v-say">{"".join(f"<p>{_lines(s)}</p>" for s in sentences)}</div>'
    return (
        '<div class="v-say"><p class="v-wait"><span></span><span></span><span></span><b class="v-sr">Thinking</b></p></div>'
        if waiting
        else ""
    )


def _failure(turn: PageTurn) -> str:
    hint = f"<p>{_e(turn.hint)}</p>" if turn.hint else ""
    again = _button("retry", "Try again", "", "v-chip") if turn.message else ""
    return f'<div class="v-failure" role="alert"><p><b>{_e(turn.problem)}</b></p>{hint}<p>{again}</p></div>'


def _cards(turn: PageTurn, domain: Domain) -> str:
    if not turn.cards:
        return ""
    return f'<ol class="v-cards">{"".join(_card(c, turn, domain) for c in turn.cards)}</ol>'


def _card(card: Card, turn: PageTurn, domain: Domain) -> str:
    item, key = card.recommendation.item, f"{turn.number}:{card.item}"
    if card.mark in ("dislike", "seen"):
        return _gone(card, turn)
    facts = card_facts(item, domain)
    kind = "v-card v-fresh" if card.fresh else "v-card"
    label = f'aria-label="{_e(item.title)}"'
    return (
        f'<li class="{kind}" data-item="{_e(item.id)}" data-mark="{card.mark}" {label}>'
        f'<span class="v-rank" aria-hidden="true">{card.recommendation.rank}</span>'
        f'<div class="v-body">{_title(item, facts)}{_meta(facts)}{_reason(card)}{_tags(facts)}</div>'
        f'<footer class="v-acts">{_actions(card, turn)}{_bar(card.recommendation)}</footer>'
        f"{_why(card.recommendation, item, domain, key)}</li>"
    )


def _title(item: Item, facts: CardFacts) -> str:
    year = f' <span class="v-year">{_e(facts.year)}</span>' if facts.year else ""
    return f'<h3 class="v-title">{_e(item.title)}{year}</h3>'


def _meta(facts: CardFacts) -> str:
    parts = [facts.credits, ", ".join(facts.kinds), *facts.figures]
    shown = "".join(f"<span>{_e(p)}</span>" for p in parts if p)
    return f'<p class="v-meta">{shown}</p>' if shown else ""


def _tags(facts: CardFacts) -> str:
    return (
        f'<ul class="v-tags" aria-label="Tags">{"".join(f"<li>{_e(t)}</li>" for t in facts.tags)}</ul>'
        if facts.tags
        else ""
    )


def _reason(card: Card) -> str:
    if not card.text:
        return '<p class="v-reason v-pending"><span class="v-sr">The reason is on its way</span><i></i><i></i></p>'
    return f'<p class="v-reason">{_lines(card.text)}{_verdict(card.reason)}</p>'


def _verdict(reason: Reason | None) -> str:
    if reason is None:
        return ""
    if not reason.verified:
        told = "Not every claim of this reason could be checked."
        return f'<button type="button" class="v-mark v-unsure" aria-label="{told}" data-tip="{told}">{icon("question")}</button>'
    writer = (
        "Written by the language model" if reason.source == "model" else "Composed from the evidence, not by the model"
    )
    checked = plural(len(reason.claims), "claim") if reason.claims else "Every statement"
    told = f"{writer}. {checked} checked against the catalogue."
    return (
        f'<button type="button" class="v-mark" data-source="{reason.source}" aria-label="{told}" data-tip="{told}">'
        f"{icon('check' if reason.source == 'composed' else 'pen-check')}</button>"
    )


def _actions(card: Card, turn: PageTurn) -> str:
    buttons: list[str] = []
    for mark, word, done, image in MARKS:
        on = card.mark == mark
        inner = f"{icon(image + '-on' if on and image == 'heart' else image)}<span>{done if on else word}</span>"
        title = _e(f"{'Take back' if on else word}: {card.recommendation.item.title}")
        buttons.append(
            f'<button type="button" class="v-act" data-do="{"forget" if on else mark}" data-item="{_e(card.item)}" '
            f'data-turn="{turn.number}" aria-pressed="{str(on).lower()}" aria-label="{title}">{inner}</button>'
        )
    key = f"{turn.number}:{card.item}"
    about = _e(f"Why {card.recommendation.item.title}?")
    buttons.append(
        f'<button type="button" class="v-act v-whybutton" data-toggle="{_e(key)}" aria-expanded="false" aria-label="{about}">'
        f"<span>Why</span>{icon('down')}</button>"
    )
    return f'<div class="v-buttons">{"".join(buttons)}</div>'


def _gone(card: Card, turn: PageTurn) -> str:
    word = "Seen" if card.mark == "seen" else "Disliked"
    title = card.recommendation.item.title
    undo = (
        f'<button type="button" class="v-link" data-do="forget" data-item="{_e(card.item)}" data-turn="{turn.number}" '
        f'aria-label="{_e(f"Undo: {title}")}">Undo</button>'
    )
    return (
        f'<li class="v-gone" data-item="{_e(card.item)}" data-mark="{card.mark}">{icon("eye" if card.mark == "seen" else "minus")}'
        f"<span>{word}: <b>{_e(title)}</b>. It won’t come back.</span>{undo}</li>"
    )


def _followups(turn: PageTurn, domain: Domain) -> str:
    """Short next wishes, in words that the domain declares."""
    if not turn.cards:
        return ""
    numbers = [a for a in domain.attributes if a.quantity and (a.lower or a.higher)]
    words = [
        f"something {(a.higher or a.lower)[0] if a.quantity == 'year' else (a.lower or a.higher)[0]}" for a in numbers
    ]
    chips = ["Show me others", *(_capital(w) for w in words[:3]), "Why the first one?"]
    buttons = "".join(_button("say", _e(c), "", "v-chip v-small", ("text", c)) for c in chips)
    return f'<div class="v-chips v-next" role="group" aria-label="You could say">{buttons}</div>'


# ---- why --------------------------------------------------------------------------------------------------------


def _bar(recommendation: Recommendation) -> str:
    parts = shares(recommendation.evidence)
    if not parts:
        return ""
    told = ", ".join(f"{SOURCE_LABELS[source]} {part:.0%}" for source, part in parts)
    inner = "".join(f'<i class="v-s-{source}" style="flex-grow:{part:.3f}"></i>' for source, part in parts)
    return f'<div class="v-bar" role="img" aria-label="What drove it: {told}" data-tip="{told}">{inner}</div>'


def _why(recommendation: Recommendation, item: Item, domain: Domain, key: str) -> str:
    drivers = "".join(
        _row(SOURCE_LABELS[source], part, f"v-s-{source}") for source, part in shares(recommendation.evidence)
    )
    sections = [
        _section("What drove it", f'<ul class="v-rows">{drivers}</ul>' if drivers else ""),
        _contributions(recommendation.evidence),
        _matched(recommendation.evidence, domain),
        _shared(recommendation.evidence),
        _about(item, domain),
    ]
    return f'<div class="v-why" data-key="{_e(key)}" hidden>{"".join(sections)}</div>'


def _contributions(evidence: Evidence) -> str:
    brought = [c for c in evidence.contributions if abs(c.share) >= MIN_SHARE][:ROWS]
    if not brought:
        return ""
    rows = "".join(_row(c.item.title, c.share, "v-plus" if c.share >= 0 else "v-minus") for c in brought)
    exact = "Exact shares" if evidence.exact else "Approximate shares"
    note = f"{exact} of what the tastes of others brought."
    return _section("Because of what you like", f'<ul class="v-rows">{rows}</ul><p class="v-note">{note}</p>')


def _matched(evidence: Evidence, domain: Domain) -> str:
    rows = "".join(
        f"<li>{icon('check')}{_e(constraint_text(c, domain, values))}</li>" for c, values in evidence.matched
    )
    return _section("You asked for", f'<ul class="v-ticks">{rows}</ul>' if rows else "")


def _shared(evidence: Evidence) -> str:
    rows = "".join(
        f"<li><b>{_e(fact.item.title)}</b> {_e(', '.join(fact.values[:4]))}</li>" for fact in evidence.shared[:ROWS]
    )
    return _section("In common with what you like", f'<ul class="v-plain">{rows}</ul>' if rows else "")


def _about(item: Item, domain: Domain) -> str:
    facts = "".join(
        f"<dt>{_e(_capital(a.label or a.name))}</dt><dd>{_e(text)}</dd>"
        for a in domain.attributes
        if a.filterable and (text := attribute_text(item, a))
    )
    text = f"<p>{_lines(item.description)}</p>" if item.description else ""
    return _section(f"About this {domain.noun}", f'{text}<dl class="v-facts">{facts}</dl>' if text or facts else "")


def _section(title: str, body: str) -> str:
    return f"<section><h4>{_e(title)}</h4>{body}</section>" if body else ""


def _row(label: str, part: float, kind: str) -> str:
    width = min(100.0, abs(part) * 100)
    return (
        f'<li><span class="v-label">{_e(label)}</span><span class="v-track"><i class="{kind}" style="width:{width:.1f}%"></i>'
        f'</span><span class="v-number">{part:.0%}</span></li>'
    )


# ---- the panel --------------------------------------------------------------------------------------------------


def _tastes(known: Portrait) -> str:
    if not known.tastes:
        return ""
    rows = "".join(
        f'<li><span class="v-label">{_e(value)} <small>{_e(label)}</small></span><span class="v-track">'
        f'<i class="v-plus" style="width:{max(4.0, weight * 100):.0f}%"></i></span></li>'
        for label, value, weight in known.tastes[:8]
    )
    return f'<section><h3>Your taste</h3><ul class="v-rows v-tastes">{rows}</ul></section>'


def _list(title: str, items: Iterable[Item], domain: Domain) -> str:
    rows = "".join(_known_item(item, domain) for item in items)
    return f'<section><h3>{_e(title)}</h3><ul class="v-known">{rows}</ul></section>' if rows else ""


def _known_item(item: Item, domain: Domain) -> str:
    year = card_facts(item, domain).year
    shown = f' <span class="v-year">{_e(year)}</span>' if year else ""
    remove = (
        f'<button type="button" class="v-x" data-do="forget" data-item="{_e(item.id)}" data-turn="0" '
        f'aria-label="{_e(f"Forget {item.title}")}">{icon("x")}</button>'
    )
    return f"<li><span>{_e(item.title)}{shown}</span>{remove}</li>"


# ---- small parts ------------------------------------------------------------------------------------------------


def _button(do: str, inner: str, label: str, kind: str, data: tuple[str, str] = ("", "")) -> str:
    """Return a button; `inner` is markup, everything else is text."""
    named = f' aria-label="{_e(label)}" title="{_e(label)}"' if label else ""
    extra = f' data-{data[0]}="{_e(data[1])}"' if data[0] else ""
    return f'<button type="button" class="{kind}" data-do="{do}"{extra}{named}>{inner}</button>'


def _e(text: str) -> str:
    return escape(text, quote=True)


def _lines(text: str) -> str:
    return "<br>".join(_e(line) for line in text.split("\n"))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
