"""understand(): a message, its spans and the conversation so far -> a Request. The model reads; rules stand in, counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vouchrec.agent.foreign_rules import read_foreign
from vouchrec.agent.language import spoken
from vouchrec.agent.link import Linker, Screen, is_complaint
from vouchrec.agent.llm.base import LanguageModel
from vouchrec.agent.opinion import SecondReader, corrected, likeliest
from vouchrec.agent.prompts import parse_reading, reading_schema, understand_prompt
from vouchrec.agent.request import build_request
from vouchrec.agent.rules import (
    asked_after_all,
    contradicted,
    is_permitted,
    only_seen,
    read_by_rules,
    refused_in_list,
    refuses,
)
from vouchrec.agent.types import Conversation, Opinion, Reading, Role, Span, Understanding
from vouchrec.retrieval.errors import ModelError

MIN_MASS = 0.5
"""Probability that the model must give to the allowed answers by itself; below, it does not know the format and isn't used."""
MIN_LOGPROB = -1.2
"""Mean log-probability of the model's choices below which its reading is taken as a guess and isn't used."""
_SEEN: Role = "seen"
_ANSWER_TOKENS = 400


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
        limit = any(c.op in ("min", "max") for c in spans[i].constraints)
        if unfounded and limit:
            roles[i] = "must"  # what is over or under a number is said to be wanted
        else:
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
    if asks and role not in ("exclude", "avoid") and refuses(message, span):
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
