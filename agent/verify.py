"""verify(): find every name, number and category in a finished text and check each against the evidence.

The plan was true by construction; this catches what the wording added.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from vouchrec.agent.amounts import clock_of
from vouchrec.agent.gazetteer import LONGEST_NAME, Entry, Gazetteer
from vouchrec.agent.numbers import link_numbers
from vouchrec.agent.plan import CAUSE_SHARE, KIND_OF, Plan
from vouchrec.agent.types import Claim, Verdict
from vouchrec.agent.words import Token, common_words, plain_words, tokenize
from vouchrec.retrieval.catalogue import Catalogue, fold
from vouchrec.retrieval.domain import Domain
from vouchrec.retrieval.types import Recommendation

_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")
_UNPROVABLE = re.compile(
    r"\b(?:award\w*|oscars?|nominat\w+|winning|acclaim\w*|critics?|reviewers?|audiences|rav(?:e|ed|ing)|box office|"
    r"blockbuster|masterpiece|classic|best|greatest|finest|top[- ]rated|famous|popular|everyone|everybody|universally|"
    r"based on|adapt\w*|true stor(?:y|ies)|novel|stage play|memoir|sequel|prequel|remake|follow[- ]?up|spin[- ]?off|"
    r"trilogy|franchise|debut|legendary|iconic|(?<!your )beloved|underrated|hit(?! with you)|won(?! you over)|must[- ]see|"
    r"perfect(?:ly)?|guarantee\w*|(?:has|have) ever|ever (?:been|made)|of (?:its|the|this|that) (?:decade|century|era)|"
    r"you(?:'ll| will) (?:love|adore)|never fails?)\b",
    re.IGNORECASE,
)
_ASKED = re.compile(
    r"\byou(?:'ve| have| had|'d)? (?:just )?(?:ask|want|hop|wish|request|look|need|fanc|said|told|describ|specif|set|gave|nam)\w*"
    r"|\byou(?:['’]re| are| were) (?:\w+ )?after\b|\bwas the (?:request|wish|brief)\b|\bas you do\b"
    r"|\byour (?:request|wish|ask|brief|order|criteria|plan)",
    re.IGNORECASE,
)
"""Words that say what the person asked for."""
_PLOT = re.compile(
    r"\b(?:(?:where|in which)(?! you)|follows an?|tells (?:of|the)"
    r"|(?:an?|two|three) (?!(?:friend|person|viewer|film)\b)(?:[\w-]+ ){1,3}who(?:se)?"
    r"|(?:has|finds?|sees?|sends?|takes) an? (?:[\w-]+ ){1,3}\w+ing"
    r"|an? (?:[\w-]+ ){1,2}(?:who|that) (?:\w+s) (?:an?|her|his|its|their|the))\b",
    re.IGNORECASE,
)
"""Words that begin to tell a plot, which no record holds."""
_PERSON = re.compile(r"\[\[(?:rec|liked)\d\.(?P<name>\w+)\]\]")
_BRACKETS = re.compile(r"\[\[|\]\]|<\||\|>")


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The claims of a text, and what in it nothing supports.

    Attributes:
        unsupported: The offending words with their kind, for instance `person: Tom Hanks`.
    """

    claims: tuple[Claim, ...]
    unsupported: tuple[str, ...]

    @property
    def verified(self) -> bool:
        """True when every claim is supported and nothing else is stated."""
        return not self.unsupported and all(c.verdict == "supported" for c in self.claims)


class Verifier:
    """Checks texts against one open catalogue; safe to share between threads."""

    def __init__(self, catalogue: Catalogue, gazetteer: Gazetteer) -> None:
        self._catalogue = catalogue
        self._gazetteer = gazetteer
        self._clock = clock_of(catalogue)
        self._plain = plain_words() | _words_of(catalogue.domain)

    def verify(self, text: str, plan: Plan, recommendation: Recommendation) -> Verdicts:
        """Check a rendered reason: its planned claims against the score and the record, and everything else in its words."""
        claims = tuple(
            self._claim(entry.kind, entry.reference, entry.value, plan, recommendation) for entry in plan.entries
        )
        return Verdicts(claims, tuple(self._unsupported(text, plan)))

    def _claim(self, kind: str, reference: str, value: str, plan: Plan, recommendation: Recommendation) -> Claim:
        """Check one planned statement afresh against the evidence, not against the plan."""
        name = reference.strip("[]")
        subject, _, attribute = name.partition(".")
        proven = False
        if kind == "cause":
            item = plan.liked[int(subject.removeprefix("liked")) - 1]
            weighty = recommendation.evidence.collaborative_share >= CAUSE_SHARE
            top = recommendation.evidence.contributions[:2]
            proven = weighty and any(c.item.id == item.id and c.value > 0 for c in top)
        elif kind == "similar":
            item = plan.liked[int(subject.removeprefix("liked")) - 1]
            proven = any(other.id == item.id for other, _ in recommendation.evidence.similar)
        elif attribute:
            holders = [recommendation.item]
            if subject.startswith("liked"):
                holders.append(plan.liked[int(subject.removeprefix("liked")) - 1])
            proven = all(self._has(holder.values(attribute), value) for holder in holders)
            if kind == "match":
                proven = proven and any(c.attribute == attribute for c, _ in recommendation.evidence.matched)
        verdict: Verdict = "supported" if proven else "refuted"
        return Claim(value, KIND_OF[kind], name, verdict)

    def _has(self, own: Sequence[str], rendered: str) -> bool:
        """Return whether each of the rendered values is one of the item's own."""
        rest = fold(rendered)
        for value in sorted(own, key=len, reverse=True):
            rest = rest.replace(fold(value), " ")
        units = {fold(a.unit) for a in self._catalogue.domain.attributes}
        return bool(rendered.strip()) and not [w for w in re.findall(r"\w+", rest) if w != "and" and w not in units]

    def _unsupported(self, text: str, plan: Plan) -> list[str]:
        found = [f"format: {m.group()}" for m in _BRACKETS.finditer(text)]
        free = text
        for value in sorted(self._said(plan), key=len, reverse=True):
            # What the references brought is checked by the claims; what is left is the wording's own.
            free = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", " \u25a1 ", free, flags=re.IGNORECASE)
        found += [f"number: {m.group()}" for m in _NUMBER.finditer(free)]
        found += [f"praise: {m.group()}" for m in _UNPROVABLE.finditer(free)]
        found += [f"plot: {m.group()}" for m in _PLOT.finditer(free)]
        if not any(entry.kind == "match" for entry in plan.entries):
            found += [f"request: {m.group()}" for m in _ASKED.finditer(free)]
        found += self._amounts(free, plan)
        found += self._roles(free, plan)
        found += self._sameness(free, plan)
        found += self._names(free, plan)
        return found

    def _said(self, plan: Plan) -> set[str]:
        """Return what the references stand for, whole and value by value: "identity and an alien invasion" holds two."""
        said = set(plan.values().values())
        items = (plan.item, *plan.liked)
        for entry in plan.entries:
            attribute = entry.reference.strip("[]").partition(".")[2]
            said.update(v for item in items for v in item.values(attribute) if fold(v) in fold(entry.value))
        return said - {""}

    def _amounts(self, free: str, plan: Plan) -> list[str]:
        """Numbers in words ("from the seventies", "under two hours") that the recommended item's record refutes."""
        found: list[str] = []
        for span in link_numbers(free, self._catalogue.domain, self._clock):
            row = self._catalogue.row(plan.item.id)
            if re.search(
                r"\u25a1\s+(?:just\s+)?(?:that\s+)?$", free[: span.start]
            ):  # "98 minutes long": the plan's own amount
                continue
            if span.constraints and not all(self._catalogue.satisfied(c, row) for c in span.constraints):
                found.append(f"amount: {span.text}")
        return found

    def _sameness(self, free: str, plan: Plan) -> list[str]:
        """Likenesses that the plan does not hold: "the same year" where no year is shared."""
        shared = {e.reference.strip("[]").partition(".")[2] for e in plan.entries if e.kind == "shared"}
        labels = [a.label for a in self._catalogue.domain.attributes if a.name not in shared]
        return [
            f"same: {m.group()}"
            for m in re.finditer(rf"\bsame (?:{'|'.join(map(re.escape, labels))})", free, re.IGNORECASE)
        ]

    def _roles(self, free: str, plan: Plan) -> list[str]:
        """Words of an attribute that the plan names no value of: "the same director", "plays the lead"."""
        planned = {entry.reference.strip("[]").partition(".")[2] for entry in plan.entries}
        attributes = [a for a in self._catalogue.domain.attributes if a.name not in planned and a.words]
        return [
            f"{attribute.label}: {m.group()}"
            for attribute in attributes
            for m in re.finditer(rf"\b(?:{'|'.join(map(re.escape, attribute.words))})\b", free, re.IGNORECASE)
        ]

    def _names(self, free: str, plan: Plan) -> list[str]:
        """Names and categories in the free wording that the recommended item does not have."""
        tokens = tokenize(free)
        found: list[str] = []
        position = 0
        while position < len(tokens):
            step = 1
            for length in range(min(LONGEST_NAME, len(tokens) - position), 0, -1):
                words = tokens[position : position + length]
                key = tuple(w.folded for w in words)
                entry = self._gazetteer.get(key)
                if entry is None:
                    continue
                surface = free[words[0].start : words[-1].end]
                problem = self._problem(key, surface, free, words[0].start, plan)
                if problem:
                    found.append(problem)
                    step = length
                    break
            else:
                step, problem = self._free_word(tokens, position, free, plan)
                found += [problem] if problem else []
            position += step
        return found

    def _free_word(self, tokens: Sequence[Token], position: int, free: str, plan: Plan) -> tuple[int, str]:
        """Return how many tokens were read at a place where nothing false is named, and what is wrong with the first one.

        A word outside the plain ones says something that no record can prove, unless it names a value of the item.
        """
        token = tokens[position]
        if self._unknown(token, free):
            return 1, f"name: {token.text}"
        if _is_plain(token.folded, self._plain):
            return 1, ""
        for length in range(min(LONGEST_NAME, len(tokens) - position), 0, -1):
            entry = self._gazetteer.get(tuple(w.folded for w in tokens[position : position + length]))
            if entry is not None and self._is_own(entry, plan):
                return length, ""
        return 1, f"word: {token.text}"

    def _is_own(self, entry: Entry, plan: Plan) -> bool:
        """Return whether a name means a value that the recommended item has."""
        return any(
            fold(value) in {fold(v) for v in plan.item.values(attribute)}
            for attribute, constraints in entry.values
            for constraint in constraints
            for value in constraint.values()
        )

    def _problem(self, key: tuple[str, ...], surface: str, free: str, start: int, plan: Plan) -> str:
        entry = self._gazetteer.get(key)
        if entry is None or surface == "us":  # the pronoun
            return ""
        named = surface[:1].isupper() and not _starts_sentence(free, start)
        if entry.people and (len(key) > 1 or named or (surface[:1].isupper() and common_words().isdisjoint(key))):
            return f"person: {surface}"
        title = named and (len(key) > 1 or not entry.values)
        if entry.items and (title or not self._gazetteer.is_common(key)):
            return f"title: {surface}"
        return self._category(key, surface, entry, plan)

    def _category(self, key: tuple[str, ...], surface: str, entry: Entry, plan: Plan) -> str:
        """Return what is wrong with a word that names values: that the item has none of them."""
        problem = ""
        for attribute_name, constraints in entry.values:
            attribute = self._catalogue.domain.attribute(attribute_name)
            own = {fold(v) for v in plan.item.values(attribute_name)}
            if attribute is None or any(fold(v) in own for c in constraints for v in c.values()):
                return ""
            if attribute.strict or len(key) > 1 or common_words().isdisjoint(key):
                problem = problem or f"{attribute.label}: {surface}"  # else "dark": an ordinary word
        return problem

    def _unknown(self, token: Token, free: str) -> bool:
        """Return whether a word is written like a name that neither the plan nor the catalogue knows."""
        if not token.text[:1].isupper() or _starts_sentence(free, token.start) or token.folded.split("'")[0] == "i":
            return False
        return token.folded not in common_words() and (token.folded,) not in self._gazetteer


def _words_of(domain: Domain) -> frozenset[str]:
    """Return the words with which the domain file speaks of items and attributes: they name a thing and no value of it."""
    texts = [domain.noun, domain.plural, domain.consume, domain.consumed, *domain.nouns]
    for attribute in domain.attributes:
        texts += [attribute.label, attribute.unit, attribute.phrase, *attribute.words, *attribute.cues]
    return frozenset(word for text in texts for word in re.findall(r"[^\W\d_]+", text.casefold()) if word != "value")


def _is_plain(word: str, plain: frozenset[str]) -> bool:
    """Return whether a word is plain as it stands, in each of its parts ("you've", "well-made"), or without its ending."""
    parts = [part for part in re.split(r"['’-]", word) if part not in ("s", "t", "d", "m", "ll", "re", "ve", "")]
    return all(
        not part.isalpha() or part in plain or part.removesuffix("s") in plain or part + "s" in plain for part in parts
    )


def _starts_sentence(text: str, start: int) -> bool:
    before = text[:start].rstrip()
    return not before or before[-1] in ".!?:"


_DOT = re.compile(r"(?<=\d)\.(?=\w+\]\])")
_ATTRIBUTE = re.compile(r"\[\[(?:rec|liked)\d/\w+\]\]")


def wishes_wrongly(text: str, plan: Plan) -> bool:
    """Return whether a wording with references says that something was asked for which only is so.

    What stands in one clause after "you wanted" must be planned as a match, and so must what stands last before "as you asked".
    """
    kinds = {_DOT.sub("/", entry.reference): entry.kind for entry in plan.entries}
    text = _DOT.sub("/", text)  # a dot inside a reference ends no sentence
    for m in _ASKED.finditer(text):
        clause = re.split(r"[.,;:!?]", text[m.end() :])[0]
        said = _ATTRIBUTE.findall(clause) or _ATTRIBUTE.findall(re.split(r"[.!?]", text[: m.start()])[-1])[-1:]
        if any(kinds.get(reference) != "match" for reference in said):
            return True
    return False


def relates_wrongly(text: str, domain: Domain) -> bool:
    """Return whether a wording with references ties a person to the work as another attribute does: "by" an actor.

    The words right before a reference, and right after it, are held against the cue words of the domain's people attributes.
    """
    for m in _PERSON.finditer(text):
        attribute = domain.attribute(m["name"])
        if attribute is None or not attribute.people:
            continue
        others = {cue for a in domain.people if a.name != attribute.name for cue in a.cues} - set(attribute.cues)
        before = " ".join(text[: m.start()].casefold().split()[-3:])
        after = text[m.end() :].casefold().split()[:2]
        verbs = {cue.split()[0] for cue in others if " " in cue}
        if any(re.search(rf"\b{re.escape(cue)}$", before) for cue in others) or verbs.intersection(after):
            return True
    return False
