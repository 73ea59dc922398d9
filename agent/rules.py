"""A reading of a message by rules: the baseline, and the fallback when the model's reading is unusable."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vouchrec.agent.types import Act, Reading, Role, Span

_RESTART = re.compile(
    r"\b(?:forget (?:that|it|all that|this)(?=\s*[.,!?]|\s+(?:what|how|let|give|show|and)\b)|wipe (?:all|everything|it|that)|start (?:over|again|afresh|fresh)|restart|reset|new (?:conversation|chat|search)|forget (?:all|everything)|scrap (?:that|all|everything)|clear (?:all|everything|the)|from scratch|clean slate)\b"
)
_PROFILE = re.compile(
    r"\b(?:what do you (?:know|remember) about me|my (?:profile|tastes?|history|data)|(?:forget|remember) that i|what (?:have|did) i (?:like|liked|seen|told))"
)
_EXPLAIN = re.compile(
    r"\b(?:why (?:that|this|the|did|do|would|is|not|these|those|number|would)|how come|what makes you|explain)\b|^why\b"
)
_COMPARE = re.compile(
    r"\b(?:which (?:is|one|of)|compare|better[:,]?\s|\bvs\.?\b|versus|difference between|(?:first|second|third) or the)"
)
_ASK = re.compile(
    r"\b(?:who (?:directed|made|wrote|stars?|is in|plays|acted|'s in)|who's in|how long is|how old is|when (?:was|did)|what(?:'s| is) (?:it|that|the .{3,30}) about|what year|is (?:it|that|the \w+ one) (?:\w+ ){0,2}(?:long|subtitled|scary|in|any good|good|sad|violent)|where (?:was|is) it|what language|tell me (?:more )?about)"
)
_SMALLTALK = re.compile(
    r"^\W*(?:hi|hello|hey|yo|hiya|good (?:morning|evening|night|afternoon)|thanks|thank you|thx|ty|cheers|bye|goodbye|see you|ok|okay|cool|great|nice|lol|haha\w*|perfect|brilliant|sup|how are you)\b(?:\W+\w+){0,4}\W*$"
)
_OFF_TOPIC = re.compile(
    r"\b(?:weather|ignore (?:all|your|previous|the)|system prompt|write (?:me )?(?:a |an |some )?(?:poem|essay|code|song|python)|capital of|\d+\s*[+*/x]\s*\d+|stock price|joke|recipe|translate)\b"
)
_SEEN = re.compile(r"\b(?:seen|saw|watched|already (?:know|read|played)|know (?:that|it) already|been there)\b")
_LIKED = re.compile(
    r"\b(?:love[ds]?|liked?|adore[ds]?|enjoy(?:ed)?|great|favou?rites?|rate|fan of|similar to|along the lines|into|big on|brilliant|amazing)\b"
)
_DISLIKED = re.compile(
    r"\b(?:hate[ds]?|dislike[ds]?|(?:did|do|does|could|can)(?:n['’]?t| not) (?:really )?(?:like|stand|love|enjoy|care|get into)|left me cold|bor(?:ed|ing)|awful|terrible|meh|overrated|less like|not a fan|unlike|rubbish|not for me|sick of|tired of|nothing like|not like)\b"
)
_NEGATION = re.compile(
    r"\b(?:no|not|nothing|without|w/o|sans|except|excluding|avoid|minus|never|neither|nor|anything but|anyone but|(?:very )?last thing (?:i|we|he|she|they) (?:really )?(?:need|want)s?(?: (?:right now|now|tonight|today))? (?:is|are|would be)|apart from|aside from|other (?:\w+ )?than|hates?|refus(?:es?|ing)|veto(?:es|ed)?|(?:don|doesn|didn|isn|aren|won|can)['’]?t|hold the|skip|zero|less|can['’]?t stand|no more|rather than|instead of|sick of|tired of|none of)\b|\btoo\s*$"
)
_SOFT = re.compile(
    r"\b(?:maybe|perhaps|ideally|preferably|prefer|if possible|a bit|kind ?of|sort ?of|would be nice|bonus)\b"
)
_CONTRAST = re.compile(r"\b(?:but|however|though|although|yet|instead|while)\b|[.;!?]")
_MORE = re.compile(r"\b(?:more|another|other|others|else|different|next|again|instead)\b")
_WANTS = re.compile(
    r"\b(?:want|need|looking|recommend|suggest|something|anything|find|show me|give me|fancy|in the mood|what should|any(?:one)? good|got any|how about|after)\b|\?$"
)


_PLAIN_ACTS: tuple[tuple[re.Pattern[str], Act], ...] = (
    (_OFF_TOPIC, "off_topic"),
    (_RESTART, "restart"),
    (_PROFILE, "profile"),
    (_EXPLAIN, "explain"),
    (_ASK, "ask_item"),
)


def read_by_rules(text: str, spans: Sequence[Span], *, shown: int) -> Reading:
    """Return the act and the role of each span, by patterns around the spans."""
    lowered = text.casefold().replace("’", "'")
    roles: tuple[Role, ...] = tuple([_role(lowered, span, spans) for span in spans])
    act = _act(lowered, spans, roles, shown)
    if act == "compare":  # "Alien or Aliens?" says nothing of liking them
        about: Role = "about"
        roles = tuple([about if span.is_item else role for span, role in zip(spans, roles, strict=True)])
    return Reading(act, roles)


def _act(text: str, spans: Sequence[Span], roles: Sequence[Role], shown: int) -> Act:
    for pattern, act in _PLAIN_ACTS:
        if pattern.search(text):
            return act
    if _COMPARE.search(text) and sum(s.is_item for s in spans) >= 2:
        return "compare"
    if not spans:
        return _act_without_spans(text, shown)
    marks = all(s.is_item for s in spans) and all(r in ("like", "dislike", "seen") for r in roles)
    if marks and not _WANTS.search(text):
        return "feedback" if shown or "seen" in roles else "recommend"
    return "critique" if shown else "recommend"


def _act_without_spans(text: str, shown: int) -> Act:
    if _SMALLTALK.match(text.strip()):
        return "smalltalk"
    if shown and _MORE.search(text):
        return "critique"
    return "recommend" if _WANTS.search(text) or len(text.split()) >= 4 else "unclear"


def _role(text: str, span: Span, spans: Sequence[Span]) -> Role:
    before = _clause_before(text, span, spans)
    after = _clause_after(text, span, spans)
    if span.is_item:
        return _item_role(text, before, after)
    if span.kind == "count":
        return "must"
    if any(c.op in ("min", "max") for c in span.constraints):
        before = before.rsplit(",", 1)[-1]  # "not animated, under two hours": a number is no part of a negated list
    if is_permitted(text, span):
        return "ignore"
    if _NEGATION.search(before) and not _QUESTION.search(text[: span.start]):
        return "exclude"
    return "prefer" if _SOFT.search(before) or span.kind in ("moods", "themes") else "must"


def _item_role(text: str, before: str, after: str) -> Role:
    if _DISLIKED.search(before) or _DISLIKED.search(after):
        return "dislike"
    if _SEEN.search(before) or _SEEN.search(after):
        return "seen"
    if re.search(r"\b(?:not|don't want|no) (?:that|the|this|it)?\s*$", before):
        return "dislike"
    if _EXPLAIN.search(text) or _ASK.search(text):
        return "about"
    if _LIKED.search(before) or _LIKED.search(after) or re.search(r"\b(?:like|as)\s*$", before):
        return "like"
    return "like"


def _clause_before(text: str, span: Span, spans: Sequence[Span]) -> str:
    """Text between the last contrast word and the span; other spans stay, so that lists share their negation."""
    start = 0
    for m in _CONTRAST.finditer(text, 0, span.start):
        if not any(s.start < m.end() and m.start() < s.end for s in spans):
            start = m.end()
    return text[start : span.start]


def _clause_after(text: str, span: Span, spans: Sequence[Span]) -> str:
    """Text from the span to the next contrast word, comma or span."""
    stop = min((s.start for s in spans if s.start >= span.end), default=len(text))
    m = _CONTRAST.search(text, span.end, stop) or re.compile(",").search(text, span.end, stop)
    return text[span.end : m.start() if m else stop]


_PLAIN_NEGATION = re.compile(
    r"\b(?:no|not|without|w/o|sans|minus|ex?c?ep?c?t(?: for)?|excluding|never|nothing(?: with| from| by)?|anything but|anyone but|everything but|avoid|hates?|no more"
    r"|(?:very )?last thing (?:i|we|he|she|they) (?:really )?(?:need|want)s?(?: (?:right now|now|tonight|today))? (?:is|are|would be)|(?:apart|aside) from|none of (?:the|those|your) (?:ones )?(?:about|with|by|from)|none (?:by|with|from|of))"
    r"\s+(?:an?\s+|the\s+|any\s+|more\s+|by\s+|with\s+|from\s+|in\s+)*$"
)
_ANY_NEGATION = re.compile(
    r"\b(?:no|not|nothing|without|w/o|sans|except|excluding|avoid|minus|never|neither|nor|but|other (?:\w+ )?than|refus\w*|veto\w*|hat(?:e|es|ed|ing)|\w+n['’]?t|hold|skip|"
    r"zero|less|least|rather|instead|sick|tired|none|enough|over|too|stop|anti|non|un\w+|dislike\w*|boring|drop|lose|bar|only|free|cut|"
    r"ban|allergic|past|pass|fewer|out|nope|nah|meh|ugh|miss|worst|bad|rid|away|leave|ditch|scrap|apart|aside|last|exept|execpt|excpet)\b"
)


def is_softened(text: str) -> bool:
    """Return whether a message has a word that makes a wish a preference ("maybe", "ideally")."""
    return _SOFT.search(text.casefold()) is not None


_CLAUSE = re.compile(r"[,.;!?]|\sand\s")
_SENTENCE = re.compile(r"[.!?](?=\s|$)")
_TAKEN_BACK = re.compile(
    r"\b(?:sick|tired|bored|fed up|had enough|enough|hate|can['’]?t stand|not|no|don['’]?t)\b[^.!?]{0,30}\b(?:them|those|these|that|it|either)\b"
)
"""What says of something named in an earlier sentence that it is not wanted."""


def _may_negate(text: str, span: Span) -> str:
    """Return the part of a message whose words can negate a span: its own sentence, or its own clause for a number.

    "Nothing animated, and from after 2000" wants films after 2000: a number is no part of a negated list of kinds. "Nothing from
    Spain. Drama or thriller." wants dramas; but what "I'm sick of them" refuses stands in a sentence before.
    """
    if not any(c.op in ("min", "max") for c in span.constraints):
        if _TAKEN_BACK.search(text, span.end):
            return text
        ends = [m.end() for m in _SENTENCE.finditer(text, 0, span.start)]
        end = _SENTENCE.search(text, span.end)
        return text[ends[-1] if ends else 0 : end.start() if end else len(text)]
    starts = [m.end() for m in _CLAUSE.finditer(text, 0, span.start)]
    stop = _CLAUSE.search(text, span.end)
    # Without the number's own words: "under" and "over" negate nothing.
    return text[starts[-1] if starts else 0 : span.start] + " " + text[span.end : stop.start() if stop else len(text)]


_QUESTION = re.compile(
    r"\b(?:is|are)(?:n['’]?t)? there (?:really |absolutely )?(?:nothing|no|not|none|never)\b[^.!;]*$"
)
_PERMITTED_BEFORE = re.compile(
    r"\b(?:(?:do|does|did|would)(?:n['’]?t| not) (?:really )?mind|(?:fine|ok|okay|happy|cool) with|open to|no problem with|not (?:bothered|fussed) (?:by|about)"
    r"|allow(?:ed|ing)?|even)\s+(?:an?\s+|the\s+|some\s+|any\s+|if it(?:'s| is)\s+(?:in\s+)?)*$"
)
_PERMITTED_AFTER = re.compile(
    r"^\s*(?:films?|movies?|ones?)?\s*(?:(?:is|are|would be|'s)\s+)?(?:also\s+|all\s+|perfectly\s+|totally\s+|absolutely\s+)?"
    r"(?:fine|ok|okay|allowed|welcome|no (?:problem|bother|issue)|acceptable|not a problem|alright|all right)\b(?! (?:watch|film|movie))"
)


def is_permitted(text: str, span: Span) -> bool:
    """Return whether a message only allows a value: "subtitles are fine", "I don't mind black and white"."""
    lowered = text.casefold().replace("’", "'")
    return bool(_PERMITTED_BEFORE.search(lowered[: span.start]) or _PERMITTED_AFTER.match(lowered[span.end :]))


def contradicted(text: str, spans: Sequence[Span], reading: Reading, *, passed_over: bool = True) -> list[int]:
    """Return the spans of which a reading says the opposite of what stands right beside them, by position.

    Wanted although "no", "not" or "without" stands directly before it; excluded although the message has no word that could
    negate anything; or passed over in a request. These are the mistakes that people don't forgive.

    Args:
        passed_over: Also those that the reading passes over where the rules see a condition.
    """
    lowered = text.casefold().replace("’", "'")
    found: list[int] = []
    for i, (span, role) in enumerate(zip(spans, reading.roles, strict=True)):
        if span.is_item or span.kind == "count":
            continue
        negated = _negated(lowered, span)
        wanted_by_rules = (
            passed_over and reading.act == "recommend" and _role(lowered, span, spans) in ("must", "exclude")
        )
        if (
            (negated and role in ("must", "prefer"))
            or (role in ("ignore", "about") and wanted_by_rules and not is_permitted(text, span))
            or (role in ("exclude", "avoid") and not _ANY_NEGATION.search(_may_negate(lowered, span)))
        ):
            found.append(i)
    return found


def refuses(text: str, span: Span) -> bool:
    """Return whether "no", "not" or "without" stands directly before a value."""
    return _negated(text.casefold().replace("’", "'"), span)


_LIST_GAP = re.compile(r"\s*(?:,|,?\s*(?:or|nor)|/)\s*(?:any\s+|an?\s+)?")


def refused_in_list(text: str, spans: Sequence[Span]) -> list[int]:
    """Return the spans that share the "no" of a list that ends in "or": "anything but horror, zombies or pandemics"."""
    found: list[int] = []
    for i, span in enumerate(spans):
        if span.is_item or not refuses(text, span):
            continue
        chain, joined = [i], False
        for j in range(i + 1, len(spans)):
            gap = text[spans[j - 1].end : spans[j].start]
            if spans[j].is_item or not _LIST_GAP.fullmatch(gap):
                break
            chain.append(j)
            joined = joined or gap.strip(" ,").casefold().startswith(("or", "nor"))
        found += chain[1:] if joined else []
    return found


_KNOWN = re.compile(
    r"\b(?:know (?:it|them|that|those|both|all)(?: of (?:them|those))? (?:by heart|already|inside out|well)|(?:do|please) not (?:offer|suggest|recommend|give)|"
    r"don['’]?t (?:offer|suggest|recommend|give))\b"
)
_I_HAVE_SEEN = re.compile(r"\b(?:i|we|they)(?:['’]?ve|\s+have)?\s+(?:all\s+|already\s+|just\s+)?(?:seen|watched)\b")


def only_seen(text: str) -> bool:
    """Return whether a message says of titles that they were seen, and nothing of liking: "we've seen A, B and C"."""
    lowered = text.casefold()
    said = _I_HAVE_SEEN.search(lowered) or _KNOWN.search(lowered)
    return said is not None and not _LIKED.search(lowered) and " like" not in lowered


def starts_over(text: str) -> bool:
    """Return whether a message begins the conversation anew before it goes on."""
    return _RESTART.search(text.casefold()) is not None


def _negated(lowered: str, span: Span) -> bool:
    before = lowered[: span.start]
    return _PLAIN_NEGATION.search(before) is not None and _QUESTION.search(before) is None


def asked_after_all(text: str, span: Span) -> bool:
    """Return whether a negation before a value is a question: "is there nothing from the thirties?"."""
    return _QUESTION.search(text.casefold().replace("’", "'")[: span.start]) is not None
