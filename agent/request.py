"""build_request(): a reading and the conversation so far -> the Request of this turn."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from vouchrec.agent.conditions import carry, given_up, moved_bounds, stated_constraints
from vouchrec.agent.foreign_rules import asks_for_others, english_wish
from vouchrec.agent.language import spoken
from vouchrec.agent.rules import is_permitted, starts_over
from vouchrec.agent.types import Act, Conversation, Reading, Request, Role, Span
from vouchrec.agent.words import empty_words
from vouchrec.retrieval.domain import Domain
from vouchrec.retrieval.types import Constraint, ItemId

_OTHERS = re.compile(r"\b(?:another|others|else|different|new ones)\b", re.IGNORECASE)
_MORE = re.compile(r"\b(?:more|other|next|again)\b", re.IGNORECASE)
_CONTINUES = re.compile(
    r"\b(?:still|also|as well|same|as before|as i said|everything else|the rest|in addition|on top of that|instead)\b"
    r"|^\W*(?:(?:ok(?:ay)?|yes|yeah|yep|fine|good|great|hm+|no|nah|vale|bueno|bon|gut)[\s,.!]+)?(?:and|but|or|plus|only|just|rather|preferably|ideally|make it|y|pero|et|mais|plut[oô]t|und|aber|lieber|"
    r"ma|anzi|mas)\b"
    r"|\b(?:of|from|among|out of) (?:these|those|them)\b|\bde (?:esas|esos|estas|estos)\b|\b(?:something|anything|one) (?:a (?:bit|little) )?more\b",
    re.IGNORECASE,
)
"""What says that a message goes on with the wish before it."""
_ANEW = re.compile(
    r"\b(?:now|next|new|another time|different|change of|switch|forget|instead of that|moving on|actually,? (?:i|let|can|how)|for (?:tomorrow|next|later)|also (?:need|want)|"
    r"(?:recommend|suggest|looking for|look for|show me|find me|give me|i(?:'d| would)? (?:want|like|need)|we (?:want|need)|can you|could you|do you have|have you got|got any|any good))\b",
    re.IGNORECASE,
)
"""What begins a wish of its own."""
_SHORT_WISH = 7
"""Words up to which a message that names no new kind changes the wish before it."""
_NARROWS = re.compile(
    r"\b(?:narrow|keep|(?:out )?of (?:these|those|them|the (?:list|\w+ you))|among (?:these|those|them)|from (?:these|those|this list)|remove|drop|replace|swap)\b",
    re.IGNORECASE,
)
_WHICH = re.compile(
    r"\bwhich(?:\s+one)?(?:\s+of\s+the\s+(?:first\s+|last\s+)?two)?\s+is\s+(?:the\s+)?(?:better|best|more|less|most|\w+er|\w+est)\b"
    r"|\bbetter\b[^.!?]*\?",
    re.IGNORECASE,
)
_WHY = re.compile(r"\s*(?:but\s+|and\s+|so\s+)?why\b(?!\s+not\b)", re.IGNORECASE)
_LONGEST_WISH = 300
_WANTED_MARK = "\x01"
_SENTENCE_END = re.compile(r"(?<=[.!?;\n])\s+")
_ASKS = re.compile(
    r"\b(?:something|anything|films?|movies?|one|want|need|look(?:ing)?|recommend|suggest|show|fancy|mood|feel(?:ing)?|about|where)\b",
    re.IGNORECASE,
)
"""What a sentence holds that says what is wanted, and not only how things are."""
_UNWANTED = re.compile(
    r"\b(?:(?:very )?last thing (?:i|we)|no|not|without|never|nothing|nor|less|except|minus|hates?|sick of|tired of|enough|isn['’]?t|aren['’]?t|don['’]?t (?:want|like|need))\b"
    r"(?:(?!\b(?:but|and|though|however|instead|only|just)\b)[^,.;:!?])*",
    re.IGNORECASE,
)
"""What is not wanted is nothing to search for."""


def build_request(
    message: str, spans: Sequence[Span], reading: Reading, conversation: Conversation, domain: Domain
) -> Request:
    """Turn roles into a request and join it with what still holds from earlier turns."""
    act = _settle_act(reading.act, message, spans, reading.roles, conversation)
    pairs = list(zip(spans, reading.roles, strict=True))
    stated = stated_constraints(message, pairs, domain)
    previous = conversation.state.request if conversation.state and not starts_over(message) else None
    stated = moved_bounds(message, stated, previous, domain)
    # "War is fine after all" wants no war film, and takes "no war" back.
    allowed = [s for s, r in pairs if r == "ignore" and not s.is_item and is_permitted(message, s)]
    lifted = (
        *(c for span, role in pairs if role in ("must", "prefer") for c in span.others),
        *(c for span in allowed for c in (*span.constraints, *span.others)),
    )
    if act == "recommend" and previous is not None and not _is_fresh(message, pairs, stated, domain):
        act = "critique"  # "two hours at most, and nothing German" changes the wish before, whatever it was called
    constraints = carry(act, previous, stated, lifted, domain, given_up(message, domain))
    language = spoken(message, spans)
    words = english_wish(message, pairs, domain, language) if language else _words(message, pairs, domain)
    wish = words if language or not words else _wish(message, pairs, domain)
    if previous is not None and act in ("critique", "feedback"):
        more = act == "critique"
        wish = f"{previous.wish} {wish}".strip()[-_LONGEST_WISH:] if more else previous.wish
        words = f"{previous.words} {words}".strip()[-_LONGEST_WISH:] if more else previous.words
    liked = _items(pairs, "like")
    disliked = _items(pairs, "dislike")
    fresh = not stated and not liked
    if previous is not None and act in ("critique", "feedback") and not liked:
        liked = tuple(i for i in previous.liked if i in conversation.likes and i not in disliked)
    return Request(
        act=act,
        wish=wish,
        words=words,
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


def _is_fresh(message: str, pairs: Sequence[tuple[Span, Role]], stated: Sequence[Constraint], domain: Domain) -> bool:
    """Return whether a request stands by itself: it names what is wanted, and not only limits and what is not."""
    if _CONTINUES.search(message) or (not stated and _OTHERS.search(message)):
        return False
    if len(message.split()) <= _SHORT_WISH and not _ANEW.search(message) and not _names_kind(stated, domain):
        return False
    named = any(c.op in ("is", "any_of") and (a := domain.attribute(c.attribute)) and not a.quantity for c in stated)
    return named or bool(_items(pairs, "like")) or not (stated or any(s.is_item for s, _ in pairs))


def _names_kind(stated: Sequence[Constraint], domain: Domain) -> bool:
    """Return whether what is wanted names a kind of item: a value of the first attribute that is none of a person or a number."""
    kind = next((a for a in domain.attributes if a.kind == "list" and not a.people), None)
    return kind is not None and any(c.attribute == kind.name and c.op in ("is", "any_of") for c in stated)


def _settle_act(
    act: Act, message: str, spans: Sequence[Span], roles: Sequence[Role], conversation: Conversation
) -> Act:
    """Correct acts that the state of the conversation, or what is asked beside them, rules out."""
    named = sum(len(s.items) if s.kind == "ref" else 1 for s in spans if s.is_item)
    if named >= 2 and _WHICH.search(message):
        return "compare"
    if named and conversation.shown and _WHY.match(message):
        return "explain"
    if act == "critique" and starts_over(message):
        return "recommend"
    wishes = any(
        r in ("must", "prefer") and not s.is_item and s.kind != "count" for s, r in zip(spans, roles, strict=True)
    )
    if act == "smalltalk" and wishes:  # "Thank you. If possible, I should like a western"
        return "recommend" if conversation.state is None else "critique"
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


def _wish(message: str, pairs: Sequence[tuple[Span, Role]], domain: Domain) -> str:
    """Return the sentences that say what is wanted, without names, numbers and what is not wanted.

    An encoder reads sentences better than telling words alone: with the former a film is among the first ten for .47 of authored
    wishes, with the latter for .37 (docs/log.md). What is told beside the wish is left out by sentence.
    """
    sentences = _SENTENCE_END.split(_without_names(message, pairs, domain, wanted=_WANTED_MARK))
    asking = [s for s in sentences if _WANTED_MARK in s or _ASKS.search(s)] or sentences
    text = _UNWANTED.sub(" ", " ".join(asking).replace(_WANTED_MARK, ""))
    return re.sub(r"\s*,(?:\s*,)*\s*", ", ", " ".join(text.split())).strip(" ,")[:_LONGEST_WISH]


def _words(message: str, pairs: Sequence[tuple[Span, Role]], domain: Domain) -> str:
    """Return the telling words of what is wanted: what a search by word can use."""
    idle = empty_words() | {n.casefold() for n in (*domain.nouns, domain.noun, domain.plural)}
    words = re.findall(r"[\w'’-]+", _UNWANTED.sub(" ", _without_names(message, pairs, domain)))
    return " ".join(w for w in words if _bare(w) not in idle and not w.isdigit())[:_LONGEST_WISH]


def _without_names(message: str, pairs: Sequence[tuple[Span, Role]], domain: Domain, *, wanted: str = "") -> str:
    """Return the message without names, numbers and hard conditions, with a mark before each value that is wanted."""
    parts: list[str] = []
    position = 0
    for span, role in pairs:
        parts.append(message[position : span.start])
        # A comma keeps the place of what is left out, so that a negation before it goes no further.
        parts.append(wanted + span.text if role in ("must", "prefer") and _adds_meaning(span, domain) else " , ")
        position = span.end
    parts.append(message[position:])
    return "".join(parts)


def _bare(word: str) -> str:
    return word.casefold().replace("’", "'").removesuffix("'s").strip("'-")


def _adds_meaning(span: Span, domain: Domain) -> bool:
    """Return whether a wanted span is worth searching by meaning: a kind or a mood is, a country, a person or a year is not."""
    attributes = [domain.attribute(c.attribute) for c in span.constraints]
    return bool(attributes) and all(
        a is not None and a.kind == "list" and not (a.single or a.people) for a in attributes
    )
