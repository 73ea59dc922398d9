"""understand(): a message, its spans and the conversation so far -> a Request. The model reads; rules stand in, counted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from vouchrec.agent.link import Linker, Screen
from vouchrec.agent.llm.base import LanguageModel
from vouchrec.agent.prompts import parse_reading, reading_schema, understand_prompt
from vouchrec.agent.rules import read_by_rules
from vouchrec.agent.types import Act, Conversation, Reading, Request, Role, Span, Understanding
from vouchrec.retrieval.domain import Domain
from vouchrec.retrieval.errors import ModelError
from vouchrec.retrieval.types import Constraint, ItemId, Strength

MIN_MASS = 0.5
"""Probability that the model must give to the allowed answers by itself; below, it does not know the format and isn't used."""
MIN_LOGPROB = -1.2
"""Mean log-probability of the model's choices below which its reading is taken as a guess and isn't used."""
_ANSWER_TOKENS = 400
_OR = re.compile(r"[\s,]*\bor\b\s*(?:an?|the|some|maybe)?\s*", re.IGNORECASE)
_MORE = re.compile(r"\b(?:more|another|others?|else|different|next|new ones|again)\b", re.IGNORECASE)
_FILLER = re.compile(
    r"\b(?:please|pls|hi|hello|hey|can you|could you|i(?:'m| am)? (?:looking for|want|need|fancy|in the mood for)|recommend|suggest|show me|give me|find me|something|anything|some|a|an|the|me|i|to|for|of|and|or|but|with|nothing|no|not|like|maybe|preferably|tonight|good|any)\b",
    re.IGNORECASE,
)


def understand(model: LanguageModel, linker: Linker, conversation: Conversation, message: str) -> Understanding:
    """Read one message in its conversation."""
    screen = Screen(conversation.shown, conversation.focus)
    spans = linker.link(message, screen)
    before = conversation.turns[-1].message if conversation.turns else ""
    reading, fallback = _read(model, message, spans, len(screen.shown), before)
    request = build_request(message, spans, reading, conversation, linker.catalogue.domain)
    return Understanding(request, tuple(spans), "rules" if fallback else "model", fallback)


def _read(model: LanguageModel, message: str, spans: Sequence[Span], shown: int, before: str) -> tuple[Reading, str]:
    """Return a reading and why the model's own was not used (empty when it was)."""
    prompt = understand_prompt(message, spans, shown=shown, before=before, specialist=model.specialist)
    try:
        answer = model.complete([prompt], constraint=reading_schema(spans), max_tokens=_ANSWER_TOKENS)[0][0]
    except ModelError:
        return read_by_rules(message, spans, shown=shown), "understanding:model_error"
    reading = parse_reading(answer.text, spans)
    if reading is None:
        fallback = "understanding:invalid_json"
    elif answer.mass < MIN_MASS:
        fallback = "understanding:unknown_format"
    elif answer.logprob < MIN_LOGPROB:
        fallback = "understanding:low_confidence"
    else:
        return reading, ""
    return read_by_rules(message, spans, shown=shown), fallback


# ---- reading -> request -----------------------------------------------------------------------------------------


def build_request(
    message: str, spans: Sequence[Span], reading: Reading, conversation: Conversation, domain: Domain
) -> Request:
    """Turn roles into a request and join it with what still holds from earlier turns."""
    act = _settle_act(reading.act, spans, reading.roles, conversation)
    pairs = list(zip(spans, reading.roles, strict=True))
    stated = _constraints(message, pairs, domain)
    previous = conversation.state.request if conversation.state else None
    constraints = _carry(act, previous, stated)
    wish = _wish(message, pairs)
    if previous is not None and act in ("critique", "feedback"):
        wish = f"{previous.wish} {wish}".strip() if act == "critique" else previous.wish
    liked = _items(pairs, "like")
    if previous is not None and act in ("critique", "feedback") and not liked:
        liked = previous.liked
    about = _items(pairs, "about")
    if act in ("ask_item", "explain") and not about:
        about = tuple(i for s, _ in pairs if s.is_item for i in s.items[:1]) or _focus(conversation)
    return Request(
        act=act,
        wish=wish,
        liked=liked,
        disliked=_items(pairs, "dislike"),
        seen=_items(pairs, "seen"),
        about=about,
        constraints=constraints,
        n=next((s.count for s, r in pairs if s.kind == "count" and r not in ("ignore", "exclude")), None),
        more=bool(_MORE.search(message)) and act in ("recommend", "critique") and not stated and not liked,
        ambiguous=tuple(
            (s.text, s.items) for s, r in pairs if s.kind == "title" and len(s.items) > 1 and r != "ignore"
        ),
    )


def _settle_act(act: Act, spans: Sequence[Span], roles: Sequence[Role], conversation: Conversation) -> Act:
    """Correct acts that the state of the conversation rules out."""
    if act == "critique" and conversation.state is None:
        return "recommend"
    if act in ("ask_item", "explain") and not conversation.shown and not any(s.is_item for s in spans):
        return "unclear" if not spans else "recommend"
    if act == "compare" and sum(s.is_item for s in spans) < 2 and not conversation.shown:
        return "unclear" if not spans else "recommend"
    if (
        act == "feedback"
        and not any(r in ("like", "dislike", "seen") for r in roles)
        and spans
        and not conversation.shown
    ):
        return "recommend"
    return act


def _focus(conversation: Conversation) -> tuple[ItemId, ...]:
    if conversation.focus:
        return (conversation.focus,)
    return conversation.shown[:1]


def _items(pairs: Iterable[tuple[Span, Role]], role: Role) -> tuple[ItemId, ...]:
    found: dict[ItemId, None] = {}
    for span, given in pairs:
        if span.is_item and given == role:
            found.update(dict.fromkeys(span.items if span.kind == "ref" else span.items[:1]))
    return tuple(found)


def _constraints(message: str, pairs: Sequence[tuple[Span, Role]], domain: Domain) -> tuple[Constraint, ...]:
    found: list[Constraint] = []
    previous: Span | None = None
    for span, role in pairs:
        if span.is_item or role in ("about", "ignore") or not span.constraints:
            continue
        if role in ("exclude", "avoid"):
            found.extend(_negated(span, "hard" if role == "exclude" else "soft"))
            continue
        for constraint in span.constraints[:1] if span.kind == "person" else span.constraints:
            attribute = domain.attribute(constraint.attribute)
            strict = attribute is None or attribute.strict
            made = replace(constraint, strength="hard" if role == "must" and strict else "soft")
            either = previous is not None and _OR.fullmatch(message[previous.end : span.start]) is not None
            joined = attribute is not None and (attribute.single or attribute.people or either)
            _add_wanted(found, made, alternatives=joined)
        previous = span
    return _consistent(found)


def _add_wanted(found: list[Constraint], new: Constraint, *, alternatives: bool) -> None:
    """Add a wanted value: as one more alternative (this country or that one), or as one more condition (comedy and horror)."""
    if alternatives and new.op in ("is", "any_of"):
        for i, old in enumerate(found):
            if old.attribute == new.attribute and old.op in ("is", "any_of") and old.strength == new.strength:
                values = tuple(dict.fromkeys((*old.values(), *new.values())))
                found[i] = replace(old, op="any_of", value=values)
                return
    found.append(new)


def _negated(span: Span, strength: Strength) -> list[Constraint]:
    """Return the conditions that keep a span's meaning out."""
    numeric = [c for c in span.constraints if c.op in ("min", "max")]
    if len(numeric) == 2:  # a range: no value of it
        low, high = sorted(int(float(str(c.value))) for c in numeric)
        if high - low <= 200:
            return [Constraint(numeric[0].attribute, "none_of", tuple(str(v) for v in range(low, high + 1)), strength)]
        return []
    if numeric:
        only = numeric[0]
        value = float(str(only.value))
        flipped = ("max", value - 1) if only.op == "min" else ("min", value + 1)
        return [Constraint(only.attribute, "max" if flipped[0] == "max" else "min", flipped[1], strength)]
    chosen = span.constraints if span.kind == "person" else (span.constraints[0],)
    return [_without(c, strength) for c in chosen]


def _without(wanted: Constraint, strength: Strength) -> Constraint:
    values = wanted.values()
    if len(values) > 1:
        return Constraint(wanted.attribute, "none_of", values, strength)
    return Constraint(wanted.attribute, "is_not", values[0], strength)


def _consistent(constraints: Iterable[Constraint]) -> tuple[Constraint, ...]:
    """Drop repeats; a later condition replaces an earlier one that it contradicts or that bounds the same side."""
    kept: list[Constraint] = []
    for new in constraints:
        kept = [old for old in kept if not _replaces(new, old)]
        kept.append(new)
    return tuple(kept)


def _replaces(new: Constraint, old: Constraint) -> bool:
    if new.attribute != old.attribute:
        return False
    if new.op in ("min", "max"):
        if old.op == new.op:
            return True
        if old.op in ("min", "max"):  # "actually after 1990" takes "before 1980" back
            low, high = (new, old) if new.op == "min" else (old, new)
            return float(str(low.value)) > float(str(high.value))
        return False
    if old.op in ("min", "max"):
        return False
    same = {v.casefold() for v in new.values()} & {v.casefold() for v in old.values()}
    return bool(same)


def _carry(act: Act, previous: Request | None, stated: tuple[Constraint, ...]) -> tuple[Constraint, ...]:
    """Join what was said before with what is said now.

    A new request keeps only what was ruled out; a critique and feedback keep everything that is not contradicted.
    """
    if previous is None or act not in ("recommend", "critique", "feedback"):
        return stated
    if act == "recommend":
        kept = [c for c in previous.constraints if c.op in ("is_not", "none_of")]
    else:
        kept = list(previous.constraints)
    return _consistent([*kept, *stated])


def _wish(message: str, pairs: Sequence[tuple[Span, Role]]) -> str:
    """Return the message as search text: without names of items, without what is not wanted, without numbers and filler."""
    parts: list[str] = []
    position = 0
    for span, role in pairs:
        parts.append(message[position : span.start])
        keep = not span.is_item and span.kind != "count" and role in ("must", "prefer")
        numeric = any(c.op in ("min", "max") for c in span.constraints)
        if keep and not numeric:
            parts.append(span.text)
        position = span.end
    parts.append(message[position:])
    text = _FILLER.sub(" ", " ".join(parts))
    text = re.sub(r"[^\w\s'’-]", " ", text)
    return " ".join(text.split())[:300]
