"""understand(): a message, its spans and the conversation so far -> a Request. The model reads; rules stand in, counted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from vouchrec.agent.foreign_rules import asks_for_others, english_wish, read_foreign
from vouchrec.agent.language import spoken
from vouchrec.agent.link import Linker, Screen, is_complaint
from vouchrec.agent.llm.base import LanguageModel
from vouchrec.agent.opinion import SecondReader, corrected, likeliest
from vouchrec.agent.prompts import parse_reading, reading_schema, understand_prompt
from vouchrec.agent.rules import (
    asked_after_all,
    contradicted,
    is_permitted,
    only_seen,
    read_by_rules,
    refused_in_list,
    refuses,
    starts_over,
)
from vouchrec.agent.types import Act, Conversation, Opinion, Reading, Request, Role, Span, Understanding
from vouchrec.agent.words import empty_words
from vouchrec.retrieval.domain import Domain
from vouchrec.retrieval.errors import ModelError
from vouchrec.retrieval.types import Constraint, ItemId, Strength

MIN_MASS = 0.5
"""Probability that the model must give to the allowed answers by itself; below, it does not know the format and isn't used."""
MIN_LOGPROB = -1.2
"""Mean log-probability of the model's choices below which its reading is taken as a guess and isn't used."""
MANY = 12
"""Values above which a word names no choice among them: "subtitled", "foreign"."""
_SEEN: Role = "seen"
_ANSWER_TOKENS = 400
_OR = re.compile(r"[\s,]*\b(?:or|o|ou|oder|oppure)\b\s*(?:an?|the|some|maybe|un[aeo]?|uma?|eine?n?|d[ei])?\s*", re.IGNORECASE)
_AND = re.compile(r"\s*(?:and|&|alongside|together with)\s*(?:with\s+)?", re.IGNORECASE)
_OTHERS = re.compile(r"\b(?:another|others|else|different|new ones)\b", re.IGNORECASE)
_MORE = re.compile(r"\b(?:more|other|next|again)\b", re.IGNORECASE)
_CONTINUES = re.compile(
    r"\b(?:still|also|as well|the same|as before|as i said|everything else|the rest|in addition|on top of that)\b",
    re.IGNORECASE,
)
_NARROWS = re.compile(
    r"\b(?:narrow|keep|(?:out )?of (?:these|those|them|the (?:list|\w+ you))|among (?:these|those|them)|from (?:these|those|this list)|remove|drop|replace|swap)\b",
    re.IGNORECASE,
)
_LONGEST_WISH = 300
_UNWANTED = re.compile(
    r"\b(?:no|not|without|never|nothing|nor|less|except|minus|hates?|sick of|tired of|enough|isn['’]?t|aren['’]?t|don['’]?t (?:want|like|need))\b"
    r"(?:(?!\b(?:but|and|though|however|instead|only|just)\b)[^,.;:!?])*",
    re.IGNORECASE,
)
"""What is not wanted is nothing to search for."""


def understand(
    model: LanguageModel,
    linker: Linker,
    conversation: Conversation,
    message: str,
    second: SecondReader | None = None,
) -> Understanding:
    """Read one message in its conversation."""
    screen = Screen(conversation.shown, conversation.focus)
    spans = linker.link(message, screen)
    before = conversation.turns[-1].message if conversation.turns else ""
    reading, fallback = read(model, message, spans, len(screen.shown), before, second)
    request = build_request(message, spans, reading, conversation, linker.catalogue.domain)
    return Understanding(request, tuple(spans), "rules" if fallback else "model", fallback)


def read(
    model: LanguageModel,
    message: str,
    spans: Sequence[Span],
    shown: int,
    before: str,
    second: SecondReader | None = None,
) -> tuple[Reading, str]:
    """Return the reading to act on and why the model's own was not used (empty when it was).

    Args:
        second: Corrects the model's reading where it is sure of something else.
    """
    language = spoken(message, spans)
    if language:
        return read_foreign(message, spans, language, shown=shown), "understanding:language"
    reading, doubt = read_by_model(model, message, spans, shown, before)
    opinion = second.read(message, spans, shown, before) if second is not None else None
    if reading is None or doubt:
        stand_in = read_by_rules(message, spans, shown=shown) if opinion is None else likeliest(opinion)
        return mended(message, spans, stand_in, shown, opinion)[0], doubt
    if opinion is not None:
        reading = corrected(reading, opinion)
    reading, changed = mended(message, spans, reading, shown, opinion)
    return reading, "understanding:contradicts_words" if changed else ""


def mended(
    message: str, spans: Sequence[Span], reading: Reading, shown: int, opinion: Opinion | None = None
) -> tuple[Reading, bool]:
    """Return a reading whose roles agree with the words right beside each span, and whether one had to be changed."""
    wrong = contradicted(message, spans, reading, passed_over=opinion is None)
    by_rules = read_by_rules(message, spans, shown=shown)
    roles = list(reading.roles)
    for i in wrong:
        unfounded = roles[i] in ("exclude", "avoid")
        roles[i] = _wanted(opinion.roles[i]) if opinion is not None and unfounded else by_rules.roles[i]
    asks = reading.act in ("recommend", "critique", "feedback")
    for i, span in enumerate(spans):
        if not span.is_item and span.kind != "count":
            roles[i] = _plainly(message, span, roles[i], asks=asks)
    for i in refused_in_list(message, spans):
        roles[i] = "exclude" if roles[i] in ("must", "prefer") else roles[i]
    if only_seen(message):
        roles[:] = [_SEEN if role == "like" else role for role in roles]
    _last_word(message, spans, roles)
    return Reading(reading.act, tuple(roles)), bool(wrong)


def _wanted(shares: Mapping[Role, float]) -> Role:
    """Return the likeliest role of a value that nothing in the message rules out."""
    choices: tuple[Role, ...] = ("ignore", "must", "prefer", "about")
    return max(choices, key=lambda role: shares.get(role, 0.0))


def _plainly(message: str, span: Span, role: Role, *, asks: bool) -> Role:
    if asks and role in ("ignore", "about") and refuses(message, span):
        return "exclude"
    if role in ("exclude", "avoid") and asked_after_all(message, span):
        return "must"
    if role in ("must", "prefer") and is_permitted(message, span):
        return "ignore"
    return "must" if is_complaint(span) else role


def _last_word(message: str, spans: Sequence[Span], roles: list[Role]) -> None:
    """Where one message names a value twice, a plain "no" before it decides: "you gave me horror. No horror"."""
    for i, span in enumerate(spans):
        if roles[i] != "exclude" or not refuses(message, span):
            continue
        for j, other in enumerate(spans):
            if roles[j] in ("must", "prefer") and other.text.casefold() == span.text.casefold():
                roles[j] = "ignore"


def read_by_model(
    model: LanguageModel, message: str, spans: Sequence[Span], shown: int, before: str
) -> tuple[Reading | None, str]:
    """Return the model's own reading, None when it has none, and why it does not count (empty when it does)."""
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
    return reading, ""


# ---- reading -> request -----------------------------------------------------------------------------------------


def build_request(
    message: str, spans: Sequence[Span], reading: Reading, conversation: Conversation, domain: Domain
) -> Request:
    """Turn roles into a request and join it with what still holds from earlier turns."""
    act = _settle_act(reading.act, spans, reading.roles, conversation)
    pairs = list(zip(spans, reading.roles, strict=True))
    stated = _constraints(message, pairs, domain)
    previous = conversation.state.request if conversation.state and not starts_over(message) else None
    # "War is fine after all" wants no war film, and takes "no war" back.
    allowed = [s for s, r in pairs if r == "ignore" and not s.is_item and is_permitted(message, s)]
    lifted = (
        *(c for span, role in pairs if role in ("must", "prefer") for c in span.others),
        *(c for span in allowed for c in (*span.constraints, *span.others)),
    )
    if act == "recommend" and previous is not None and not _is_fresh(message, pairs, stated, domain):
        act = "critique"  # "two hours at most, and nothing German" changes the wish before, whatever it was called
    constraints = _carry(act, previous, stated, lifted, domain, given_up(message, domain))
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
        more=_wants_others(act, message, fresh=fresh) or (bool(language) and asks_for_others(message, language)),
        ambiguous=tuple(
            (s.text, s.items) for s, r in pairs if s.kind == "title" and len(s.items) > 1 and r != "ignore"
        ),
    )


_QUANTITIES: Mapping[str, tuple[str, ...]] = {
    "year": ("year", "years", "decade", "decades", "era", "period"),
    "duration": ("length", "running time", "duration"),
}
"""What the quantities of numeric attributes are called."""


def _is_fresh(message: str, pairs: Sequence[tuple[Span, Role]], stated: Sequence[Constraint], domain: Domain) -> bool:
    """Return whether a request stands by itself: it names what is wanted, and not only limits and what is not."""
    if _CONTINUES.search(message) or (not stated and _OTHERS.search(message)):
        return False
    named = any(c.op in ("is", "any_of") and (a := domain.attribute(c.attribute)) and not a.quantity for c in stated)
    return named or bool(_items(pairs, "like")) or not (stated or any(s.is_item for s, _ in pairs))


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


def _wants_others(act: Act, message: str, *, fresh: bool) -> bool:
    """Return whether items other than those on the screen are wanted.

    Who finds fault with a list wants another one, unless they choose among it ("only the short ones of these"). In a new request
    "more" says so only when it goes with nothing else.
    """
    if act == "critique":
        return not _NARROWS.search(message)
    return act == "recommend" and bool(_OTHERS.search(message) or (fresh and _MORE.search(message)))


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
    return _consistent(_without_contradictions(found))


def _without_contradictions(found: Sequence[Constraint]) -> Iterator[Constraint]:
    """Yield conditions of one message; what it asks for by name it does not rule out: "westerns, but no spaghetti westerns"."""
    wanted = {(c.attribute, v.casefold()) for c in found if c.op in ("is", "any_of") for v in c.values()}
    for constraint in found:
        if constraint.op not in ("is_not", "none_of"):
            yield constraint
            continue
        left = tuple(v for v in constraint.values() if (constraint.attribute, v.casefold()) not in wanted)
        if len(left) == len(constraint.values()):
            yield constraint
        elif left:
            yield _without(replace(constraint, op="any_of", value=left), constraint.strength)


def _add_wanted(found: list[Constraint], new: Constraint, *, alternatives: bool) -> None:
    """Add a wanted value: as one more alternative (this country or that one), or as one more condition (comedy and horror)."""
    if alternatives and new.op in ("is", "any_of"):
        for i, old in enumerate(found):
            if old.attribute == new.attribute and old.op in ("is", "any_of") and old.strength == new.strength:
                found[i] = _either(old, new)
                return
    found.append(new)


def _either(old: Constraint, new: Constraint) -> Constraint:
    """Join two wanted values as alternatives; beside one that is named, a word for very many ("subtitles") adds none."""
    few, many = sorted((old, new), key=lambda c: len(c.values()))
    if len(many.values()) > MANY >= len(few.values()):
        return few
    return replace(old, op="any_of", value=tuple(dict.fromkeys((*old.values(), *new.values()))))


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
    dropped: frozenset[str] = frozenset(),
) -> tuple[Constraint, ...]:
    """Join what was said before with what is said now.

    A new request keeps only what was ruled out; a critique and feedback keep everything that is not contradicted.
    """
    if previous is None or act not in ("recommend", "critique", "feedback"):
        return stated
    new = act == "recommend"
    kept = [c for c in previous.constraints if not new or c.op in ("is_not", "none_of")]
    kept = [c for c in kept if c.attribute not in dropped]
    # "War is fine after all" also takes back the other things that "no war" ruled out.
    kept = [c for c in kept if not any(_rules_out(c, other) for other in lifted)]
    left = [rest for old in kept if (rest := _left_of(old, stated, domain)) is not None]
    return _consistent([*left, *stated])


def given_up(message: str, domain: Domain) -> frozenset[str]:
    """Return the attributes whose conditions a message takes back by name: "never mind the countries"."""
    names = {form: a.name for a in domain.attributes for form in (a.label.casefold(), f"{a.label.casefold()}s", a.name)}
    names |= {word: a.name for a in domain.attributes for word in _QUANTITIES.get(a.quantity, ())}
    words = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    found = re.finditer(
        rf"\b(?:never mind|forget|drop|ignore|scrap|any)\s+(?:about\s+)?(?:the\s+)?({words})\b", message.casefold()
    )
    return frozenset(names[m[1]] for m in found) if words else frozenset()


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
        # A mark keeps the place of what is left out, so that a negation before it goes no further.
        parts.append(span.text if role in ("must", "prefer") and _adds_meaning(span, domain) else " , ")
        position = span.end
    parts.append(message[position:])
    idle = empty_words() | {n.casefold() for n in (*domain.nouns, domain.noun, domain.plural)}
    words = re.findall(r"[\w'’-]+", _UNWANTED.sub(" ", "".join(parts)))
    return " ".join(w for w in words if _bare(w) not in idle and not w.isdigit())[:_LONGEST_WISH]


def _bare(word: str) -> str:
    return word.casefold().replace("’", "'").removesuffix("'s").strip("'-")


def _adds_meaning(span: Span, domain: Domain) -> bool:
    """Return whether a wanted span is worth searching by meaning: a kind or a mood is, a country, a person or a year is not."""
    attributes = [domain.attribute(c.attribute) for c in span.constraints]
    return bool(attributes) and all(
        a is not None and a.kind == "list" and not (a.single or a.people) for a in attributes
    )
