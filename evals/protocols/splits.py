"""Five ways to hold something out. All rank the whole catalogue; none lets a scorer learn from what is to be found.

====================== ============================================================ =========================================
protocol               what is to be found                                          what may be known
====================== ============================================================ =========================================
leave one out          a person's last like                                         their others, and all of everyone else's
strong generalisation  the newer part of the likes of people nobody learnt from     the older part of their likes, folded in
temporal               what people liked after one moment                           everything before that moment
cold users             as strong generalisation                                     their first like, or first few, alone
cold items             items that nobody is known to have liked                     everything about the other items
====================== ============================================================ =========================================

Sources: leave one out as in Kang & McAuley, "Self-attentive sequential recommendation", ICDM 2018, with the full ranking
that Krichene & Rendle, "On sampled metrics for item recommendation", KDD 2020, ask for; strong generalisation as in Liang
et al., WWW 2018; one moment for all as in Ji et al., "A critical study on data leakage in recommender system offline
evaluation", TOIS 2023.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Literal, TypeAlias

import numpy as np

from vouchrec.retrieval.errors import ConfigError
from vouchrec.retrieval.interactions import split_users, to_matrix
from vouchrec.retrieval.ranking import Case
from vouchrec.retrieval.types import Interaction, ItemId, UserId

__all__ = ["PROTOCOLS", "Part", "Split", "SplitSettings", "likes_of", "make_split"]

Part: TypeAlias = Literal["validation", "test"]
_Histories: TypeAlias = Mapping[UserId, Sequence[Interaction]]
"""Likes by person, oldest first."""


@dataclass(frozen=True, slots=True)
class SplitSettings:
    """Sizes and seed of all protocols.

    Attributes:
        seed: Of every random choice.
        least: Likes that a person needs to be asked.
        people: Part of the people that is held out for the test, and again for validation.
        known: Part of a held-out person's likes, or of the time, that may be known.
        items: Part of the items that is held out as new, and again for validation.
        given: Likes that are known of a new person.
        most: Cases that are asked at most, drawn at random; 0 for all.
    """

    seed: int = 0
    least: int = 5
    people: float = 0.2
    known: float = 0.8
    items: float = 0.1
    given: int = 1
    most: int = 1_000


@dataclass(frozen=True, slots=True)
class Split:
    """What is learnt from, and who is asked for what.

    Attributes:
        train: Likes to learn from.
        cases: Who is asked: what is known of them (weight by item, newest last) and what is to be found.
        strangers: True when nobody who is asked may be learnt from; otherwise all that is known of them is in `train`.
        until: Moment by person up to which their likes may be known, where the protocol has one.
        moment: The same for everyone.
        unknown: Items that may be known from nobody.
    """

    protocol: str
    part: Part
    train: tuple[Interaction, ...]
    cases: tuple[Case, ...]
    strangers: bool
    until: Mapping[UserId, float] = field(default_factory=dict[UserId, float])
    moment: float | None = None
    unknown: frozenset[ItemId] = frozenset()

    def digest(self) -> str:
        """Return 16 hex digits that change with any case and with what is learnt from."""
        cases = [[case.user, list(case.history.items()), sorted(case.targets)] for case in self.cases]
        train = sorted([e.user, e.item, e.value] for e in self.train)
        text = json.dumps([self.protocol, self.part, cases, train], ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def likes_of(interactions: Sequence[Interaction], items: Sequence[ItemId]) -> list[Interaction]:
    """Return what people liked, once per person and item, by the rule that fitting uses.

    What is a like is decided on all ratings of a person, since it says what is to be found. Ratings become 1 where they are
    one, counts stay counts: their logarithms are scaled by what is known of the person when they are learnt from or folded
    in, so that a held-out count tells nothing.
    """
    last = {(event.user, event.item): event for event in interactions}
    matrix = to_matrix(list(last.values()), items)
    row, column = ({name: n for n, name in enumerate(names)} for names in (matrix.users, matrix.items))
    cells = set(zip(*(axis.tolist() for axis in matrix.matrix.nonzero()), strict=True))
    kept = [e for e in last.values() if e.item in column and (row[e.user], column[e.item]) in cells]
    return [replace(event, value=1.0) for event in kept] if matrix.explicit else kept


def make_split(
    likes: Sequence[Interaction], protocol: str, part: Part = "test", settings: SplitSettings | None = None
) -> Split:
    """Split likes by a protocol.

    Args:
        likes: As `likes_of` gives them.
        protocol: One of `PROTOCOLS`.
        part: For `validation` the test part is set aside and never seen.
        settings: Sizes and seed.

    Raises:
        ConfigError: There is no such protocol, it needs times that the data lack, or nobody can be asked.
    """
    chosen = settings or SplitSettings()
    maker = _MAKERS.get(protocol)
    if maker is None:
        raise ConfigError(f"There is no protocol '{protocol}'.", hint=f"Protocols: {', '.join(_MAKERS)}.")
    split = maker(_histories(likes, chosen.seed), part, chosen)
    split = replace(split, protocol=protocol, cases=_some(split.cases, chosen))
    if not split.cases:
        hint = f"People are asked who have {chosen.least} likes or more; give more interactions, or lower the least number."
        raise ConfigError(f"Nobody can be asked in the protocol '{protocol}'.", hint=hint)
    return split


def _histories(likes: Sequence[Interaction], seed: int) -> _Histories:
    """Return each person's likes, oldest first; likes without a time come first, in an order drawn by the seed.

    The order of a file is no order of time: it often lists the best first, which would tell what is to be found.
    """
    own: dict[UserId, list[Interaction]] = {}
    for event in sorted(likes, key=lambda e: (e.user, e.item)):
        own.setdefault(event.user, []).append(event)
    rng = np.random.default_rng(seed)
    found: dict[UserId, list[Interaction]] = {}
    for user, events in own.items():
        shuffled = [events[i] for i in rng.permutation(len(events))]
        found[user] = sorted(shuffled, key=lambda e: -math.inf if e.time is None else e.time)
    return found


def _case(user: UserId, known: Sequence[Interaction], sought: Iterable[Interaction]) -> Case:
    """Weigh the known likes as a profile does: counts by their logarithm, against the person's own largest."""
    top = max(math.log1p(event.value) for event in known)
    history = {event.item: math.log1p(event.value) / top for event in known}
    return Case(user, history, frozenset(event.item for event in sought) - set(history))


def _some(cases: Sequence[Case], settings: SplitSettings) -> tuple[Case, ...]:
    asked = [case for case in cases if case.history and case.targets]
    if not settings.most or len(asked) <= settings.most:
        return tuple(asked)
    chosen = np.random.default_rng(settings.seed).choice(len(asked), settings.most, replace=False)
    return tuple(asked[i] for i in sorted(chosen))


def _flat(histories: Iterable[Sequence[Interaction]]) -> tuple[Interaction, ...]:
    return tuple(event for own in histories for event in own)


def _leave_one_out(histories: _Histories, part: Part, settings: SplitSettings) -> Split:
    """The last like of everyone with enough; for validation the one before it, and the last is seen by nobody."""
    back = 1 if part == "test" else 2
    cases: list[Case] = []
    train: list[Interaction] = []
    until: dict[UserId, float] = {}
    for user, own in histories.items():
        if len(own) < settings.least:
            train += own
            continue
        known, sought = own[:-back], own[-back]
        train += known
        cases.append(_case(user, known, [sought]))
        if sought.time is not None:
            until[user] = sought.time
    return Split("", part, tuple(train), tuple(cases), strangers=False, until=until)


def _groups(histories: _Histories, part: Part, settings: SplitSettings) -> tuple[set[UserId], set[UserId]]:
    """Return who is asked, and who is set aside and seen by nobody."""
    eligible = [user for user, own in histories.items() if len(own) >= settings.least]
    rest, test = split_users(eligible, held_out=settings.people, seed=settings.seed)
    if part == "test":
        return test, set()
    _, validation = split_users(rest, held_out=settings.people / (1 - settings.people), seed=settings.seed + 1)
    return validation, test


def _strong(histories: _Histories, part: Part, settings: SplitSettings) -> Split:
    def cut(own: Sequence[Interaction]) -> int:
        return min(max(1, math.floor(len(own) * settings.known)), len(own) - 1)

    return _strangers(histories, part, settings, cut, cut)


def _cold_users(histories: _Histories, part: Part, settings: SplitSettings) -> Split:
    """Only the first few likes are known, and everything after them is to be found."""
    return _strangers(
        histories, part, settings, lambda own: min(settings.given, len(own) - 1), lambda _: settings.given
    )


def _strangers(
    histories: _Histories,
    part: Part,
    settings: SplitSettings,
    known: Callable[[Sequence[Interaction]], int],
    sought: Callable[[Sequence[Interaction]], int],
) -> Split:
    asked, aside = _groups(histories, part, settings)
    cases = [_case(u, own[: known(own)], own[sought(own) :]) for u, own in histories.items() if u in asked]
    train = _flat(own for user, own in histories.items() if user not in asked and user not in aside)
    return Split("", part, train, tuple(cases), strangers=True)


def _temporal(histories: _Histories, part: Part, settings: SplitSettings) -> Split:
    """One moment for everyone; for validation an earlier one, and what came after the test's moment is seen by nobody."""
    times = sorted(event.time for own in histories.values() for event in own if event.time is not None)
    if len(times) < sum(map(len, histories.values())) or times[0] == times[-1]:
        hint = "Add a column `time` to the interactions, or use another protocol."
        raise ConfigError("The temporal protocol needs the time of every interaction.", hint=hint)
    moment = times[math.floor(len(times) * settings.known)]
    end = math.inf
    if part == "validation":
        end, moment = moment, times[math.floor(len(times) * settings.known * settings.known)]
    cases: list[Case] = []
    for user, own in histories.items():
        known = [event for event in own if (event.time or 0.0) < moment]
        sought = [event for event in own if moment <= (event.time or 0.0) < end]
        if known and sought and len(known) + len(sought) >= settings.least:
            cases.append(_case(user, known, sought))
    train = tuple(event for event in _flat(histories.values()) if (event.time or 0.0) < moment)
    return Split("", part, train, tuple(cases), strangers=False, moment=moment)


def _cold_items(histories: _Histories, part: Part, settings: SplitSettings) -> Split:
    items = sorted({event.item for own in histories.values() for event in own})
    order = np.random.default_rng(settings.seed).permutation(len(items))
    size = max(1, round(len(items) * settings.items))
    test, validation = ({items[i] for i in order[start : start + size]} for start in (0, size))
    new, hidden = (test, test) if part == "test" else (validation, test | validation)
    cases: list[Case] = []
    for user, own in histories.items():
        known = [event for event in own if event.item not in hidden]
        sought = [event for event in own if event.item in new]
        if known and sought and len(own) >= settings.least:
            cases.append(_case(user, known, sought))
    train = tuple(event for event in _flat(histories.values()) if event.item not in hidden)
    return Split("", part, train, tuple(cases), strangers=False, unknown=frozenset(hidden))


_MAKERS: Mapping[str, Callable[[_Histories, Part, SplitSettings], Split]] = {
    "leave-one-out": _leave_one_out,
    "strong": _strong,
    "temporal": _temporal,
    "cold-users": _cold_users,
    "cold-items": _cold_items,
}
PROTOCOLS: Mapping[str, str] = {
    "leave-one-out": "Leave one out: everyone's last like is to be found",
    "strong": "Strong generalisation: the newer likes of people nobody learnt from",
    "temporal": "Temporal: what people liked after one moment",
    "cold-users": "Cold users: people of whom only the first like is known",
    "cold-items": "Cold items: items that nobody is known to have liked",
}
"""Title by name."""


def settings_record(settings: SplitSettings) -> dict[str, object]:
    """Return the settings as JSON."""
    return asdict(settings)
