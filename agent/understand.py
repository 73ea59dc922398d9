"""understand(): a message, its spans and the conversation so far -> a Request. The model reads; rules stand in, counted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from vouchrec.agent.foreign_rules import asks_for_others, english_wish, read_foreign
from vouchrec.agent.language import spoken
from vouchrec.agent.link import Linker, Screen
from vouchrec.agent.llm.base import LanguageModel
from vouchrec.agent.prompts import parse_reading, reading_schema, understand_prompt
from vouchrec.agent.rules import contradicts_plain_words, read_by_rules
from vouchrec.agent.types import Act, Conversation, Reading, Request, Role, Span, Understanding
from vouchrec.retrieval.domain import Domain
from vouchrec.retrieval.errors import ModelError
from vouchrec.retrieval.types import Constraint, ItemId, Strength

MIN_MASS = 0.5
"""Probability that the model must give to the allowed answers by itself; below, it does not know the format and isn't used."""
MIN_LOGPROB = -1.2
"""Mean log-probability of the model's choices below which its reading is taken as a guess and isn't used."""
_ANSWER_TOKENS = 400
_OR = re.compile(
    r"[\s,]*\b(?:or|o|ou|oder|oppure)\b\s*(?:an?|the|some|maybe|un[aeo]?|uma?|eine?n?|d[ei])?\s*", re.IGNORECASE
)
_AND = re.compile(r"\s*(?:and|&|alongside|together with)\s*(?:with\s+)?", re.IGNORECASE)
_OTHERS = re.compile(r"\b(?:another|others|else|different|new ones)\b", re.IGNORECASE)
_MORE = re.compile(r"\b(?:more|other|next|again)\b", re.IGNORECASE)
_LONGEST_WISH = 300
_FILLER = re.compile(
    r"\b(?:please|pls|hi|hello|hey|can you|could you|i(?:'m| am)? (?:looking for|want|need|fancy|in the mood for)|recommend|suggest|show me|give me|find me|something|anything|some|a|an|the|me|i|to|for|of|and|or|but|with|nothing|no|not|like|maybe|preferably|tonight|good|any)\b",
    re.IGNORECASE,
)


def understand(model: LanguageModel, linker: Linker, conversation: Conversation, message: str) -> Understanding:
    """Read one message in its conversation."""
    screen = Screen(conversation.shown, conversation.focus)
    spans = linker.link(message, screen)
    before = conversation.turns[-1].message if conversation.turns else ""
    reading, fallback = read(model, message, spans, len(screen.shown), before)
    request = build_request(message, spans, reading, conversation, linker.catalogue.domain)
    return Understanding(request, tuple(spans), "rules" if fallback else "model", fallback)


def read(model: LanguageModel, message: str, spans: Sequence[Span], shown: int, before: str) -> tuple[Reading, str]:
    """Return the reading to act on and why the model's own was not used (empty when it was)."""
    language = spoken(message, spans)
    if language:
        return read_foreign(message, spans, language, shown=shown), "understanding:language"
    reading, doubt = read_by_model(model, message, spans, shown, before)
    if reading is None or doubt:
        return read_by_rules(message, spans, shown=shown), doubt
    return reading, ""


def read_by_model(
    model: LanguageModel, message: str, spans: Sequence[Span], shown: int, before: str
) -> tuple[Reading | None, str]:
    """Return the model's own reading, None when it has none, and what speaks against using it (empty when nothing does)."""
    prompt = understand_prompt(message, spans, shown=shown, before=before, specialist=model.specialist)
    try:
        answer = model.complete([prompt], constraint=reading_schema(spans), max_tokens=_ANSWER_TOKENS)[0][0]
    except ModelError:
        return None, "understanding:model_error"
    reading = parse_reading(answer.text, spans)
    if reading is None:
        return None, "understanding:invalid_json"
    if answer.mass < MIN_MASS:
        return reading, "understanding:unknown_format"
    if answer.logprob < MIN_LOGPROB:
        return reading, "understanding:low_confidence"
    if contradicts_plain_words(message, spans, reading):
        return reading, "understanding:contradicts_words"
    return reading, ""


# ---- reading -> request -----------------------------------------------------------------------------------------


def build_request(
    message: str, spans: Sequence[Span], reading: Reading, conversation: Conversation, domain: Domain
) -> Request:
    """Turn roles into a request and join it with what still holds from earlier turns."""
    act = _settle_act(reading.act, spans, reading.roles, conversation)
    pairs = list(zip(spans, reading.roles, strict=True))
    stated = _constraints(message, pairs, domain)
    previous = conversation.state.request if conversation.state else None
    lifted = tuple(c for span, role in pairs if role in ("must", "prefer") for c in span.others)
    constraints = _carry(act, previous, stated, lifted, domain)
    language = spoken(message, spans)
    wish = english_wish(message, pairs, domain, language) if language else _wish(message, pairs, domain)
    if previous is not None and act in ("critique", "feedback"):
        wish = f"{previous.wish} {wish}".strip()[-_LONGEST_WISH:] if act == "critique" else previous.wish
    liked = _items(pairs, "like")
    disliked = _items(pairs, "dislike")
    fresh = not stated and not liked
    if previous is not None and act in ("critique", "feedback") and not liked:
        liked = tuple(i for i in previous.liked if i in conversation.likes and i not in disliked)
    return Request(
        act=act,
        wish=wish,
        liked=liked,
        disliked=disliked,
        seen=_items(pairs, "seen"),
        about=_about(act, pairs, conversation),
        constraints=constraints,
        n=next((s.count for s, r in pairs if s.kind == "count" and r not in ("ignore", "exclude")), None),
        more=act in ("recommend", "critique")
        and (_wants_others(message, fresh=fresh) or asks_for_others(message, language)),
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


def _wants_others(message: str, *, fresh: bool) -> bool:
    """Return whether items other than those on the screen are wanted; "more" says so only when it goes with nothing else."""
    return bool(_OTHERS.search(message) or (fresh and _MORE.search(message)))


def _about(act: Act, pairs: Sequence[tuple[Span, Role]], conversation: Conversation) -> tuple[ItemId, ...]:
    """Return the items that the message asks about; a question that names items is about these, whatever their roles."""
    about = _items(pairs, "about")
    named = _items([(span, "about") for span, _ in pairs], "about")
    if act == "compare":
        return about if len(about) > 1 else named
    if about or act not in ("ask_item", "explain"):
        return about
    return named or _focus(conversation)


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
            both = previous is not None and _AND.fullmatch(message[previous.end : span.start]) is not None
            makers = attribute is not None and attribute in domain.people[:1]
            people = attribute is not None and attribute.people and (makers or not both)
            joined = attribute is not None and (attribute.single or people or either)
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
    chosen = span.constraints if span.kind == "person" else (span.constraints[0], *span.others)
    return [_without(c, strength) for c in chosen]


def _without(wanted: Constraint, strength: Strength) -> Constraint:
    only, *others = wanted.values()
    if others:
        return Constraint(wanted.attribute, "none_of", (only, *others), strength)
    return Constraint(wanted.attribute, "is_not", only, strength)


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


def _carry(
    act: Act,
    previous: Request | None,
    stated: tuple[Constraint, ...],
    lifted: tuple[Constraint, ...],
    domain: Domain,
) -> tuple[Constraint, ...]:
    """Join what was said before with what is said now.

    A new request keeps only what was ruled out; a critique and feedback keep everything that is not contradicted.
    """
    if previous is None or act not in ("recommend", "critique", "feedback"):
        return stated
    new = act == "recommend"
    kept = [c for c in previous.constraints if not new or c.op in ("is_not", "none_of")]
    # "War is fine after all" also takes back the other things that "no war" ruled out.
    kept = [c for c in kept if not any(_rules_out(c, other) for other in lifted)]
    left = [rest for old in kept if (rest := _left_of(old, stated, domain)) is not None]
    return _consistent([*left, *stated])


def _rules_out(old: Constraint, wanted: Constraint) -> bool:
    """Return whether an earlier condition keeps a wanted value out."""
    same = old.attribute == wanted.attribute and {v.casefold() for v in old.values()} & {
        v.casefold() for v in wanted.values()
    }
    return old.op in ("is_not", "none_of") and bool(same)


def _left_of(old: Constraint, stated: Sequence[Constraint], domain: Domain) -> Constraint | None:
    """Return what is left of an earlier condition, of whose values some may have been taken back; None when nothing is."""
    attribute = domain.attribute(old.attribute)
    now = [c for c in stated if c.attribute == old.attribute]
    wanted = old.op in ("is", "any_of")
    if wanted and attribute is not None and attribute.single and any(c.op in ("is", "any_of") for c in now):
        return None  # "make it Italian" takes "French" back
    if old.op not in ("any_of", "none_of"):
        return old
    left = tuple(v for v in old.values() if not _taken_back(v, now, wanted=wanted))
    if len(left) > 1:
        return replace(old, value=left)
    return replace(old, op="is" if wanted else "is_not", value=left[0]) if left else None


def _taken_back(value: str, now: Sequence[Constraint], *, wanted: bool) -> bool:
    """Return whether what is said now is the opposite of an earlier wish for a value, or of its exclusion."""
    opposite = ("is_not", "none_of") if wanted else ("is", "any_of")
    if any(value.casefold() in {v.casefold() for v in c.values()} for c in now if c.op in opposite):
        return True
    bounds = {c.op: float(str(c.value)) for c in now if c.op in ("min", "max")}
    return not wanted and len(bounds) == 2 and bounds["min"] <= float(value) <= bounds["max"]


def _wish(message: str, pairs: Sequence[tuple[Span, Role]], domain: Domain) -> str:
    """Return the message as search text: what meaning can still add once names, numbers and hard conditions are dealt with."""
    parts: list[str] = []
    position = 0
    for span, role in pairs:
        parts.append(message[position : span.start])
        if role in ("must", "prefer") and _adds_meaning(span, domain):
            parts.append(span.text)
        position = span.end
    parts.append(message[position:])
    nouns = {*domain.nouns, domain.noun, domain.plural}
    text = re.sub(r"[^\w\s'’-]", " ", _FILLER.sub(" ", " ".join(parts)))
    return " ".join(word for word in text.split() if word.casefold() not in nouns)[:300]


def _adds_meaning(span: Span, domain: Domain) -> bool:
    """Return whether a wanted span is worth searching by meaning: a kind or a mood is, a country, a person or a year is not."""
    attributes = [domain.attribute(c.attribute) for c in span.constraints]
    return bool(attributes) and all(
        a is not None and a.kind == "list" and not (a.single or a.people) for a in attributes
    )
