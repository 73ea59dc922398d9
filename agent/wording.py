"""How a value stands in a sentence: "a heist film", "about a heist", "it is a comedy film".

Reasons are written with references, and one place of a sentence must take any value. What English asks of the value there, an
article or a preposition, is decided here, from the words beside the reference and the phrases of the domain file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from vouchrec.agent.prompts import Planned
from vouchrec.retrieval.domain import Attribute, Domain

_COPULA = re.compile(
    r"(?:\b(?:is|was|be|being)|\b(?:it|one|this|that|which|film)['’]s)(?:\s+(?:also|again|both|simply|just|all|still|quite|really|purely|too))*(?:\s+\[\[[^\[\]]*\]\](?:,|\s+and))?$",
    re.IGNORECASE,
)
_DETERMINED = re.compile(
    r"(?:\b(?:an?|the|this|that|its|same|another|your|more|some|any|no|such|our|their|his|her|pure|proper|\w+['’]s)|-)$",
    re.IGNORECASE,
)
_ENDS = re.compile(
    r"\s*(?:$|[^\w\s\[]|(?:and|or|but|with|in|from|too|as|by|for|like|you|that|again|on|is|was|to|of|at|so|if|when|which|who|while|"
    r"because|since|just|here|tonight|both|through|all|after|before|where|then|also)\b)",
    re.IGNORECASE,
)
"""What follows a value that ends its phrase; any other word is one that the value describes ("a heist film")."""
_JOINS = re.compile(r"(, | and )")


def in_place(entry: Planned, before: str, after: str, domain: Domain) -> str:
    """Return the value of a planned statement as it must stand between two parts of a sentence.

    Args:
        before, after: The text around the reference, other references already filled in or not.
    """
    attribute = domain.attribute(entry.reference.strip("[]").partition(".")[2])
    left = before.rstrip()
    if attribute is None or not _ENDS.match(after) or (_DETERMINED.search(left) and not _COPULA.search(left)):
        return entry.value
    if _COPULA.search(left) and attribute.phrase != "{value}":
        return phrased(attribute, entry.value, domain)
    return noun_form(entry.value, attribute)


def phrased(attribute: Attribute, value: str, domain: Domain) -> str:
    """Return a value as it stands after "It is": the domain file's phrase for it."""
    describes = "{value} {noun}" in attribute.phrase
    value = value if describes else noun_form(value, attribute)
    return attribute.phrase.replace("{noun}", domain.noun).replace("{value}", value)


def noun_form(text: str, attribute: Attribute) -> str:
    """Return joined values with each as a noun: "heist and time" is "a heist and time"."""
    if text in attribute.nouns:
        return attribute.nouns[text]
    parts: Sequence[str] = _JOINS.split(text)
    return "".join(attribute.nouns.get(part, part) for part in parts)
