"""Which statements a reason makes: causes only above the thresholds, then what is shared, matched, and telling."""

from __future__ import annotations

import pytest

from vouchrec.agent.plan import MAX_ENTRIES, join, plan_reason
from vouchrec.retrieval.build import builtin_domain
from vouchrec.retrieval.catalogue import Catalogue
from vouchrec.retrieval.types import SOURCES, Constraint, Contribution, Evidence, Query, Recommendation, SharedFact

DOMAIN = builtin_domain()


def recommendation(catalogue: Catalogue, item: str = "aliens-1986", **evidence: object) -> Recommendation:
    found = catalogue.get(item)
    assert found is not None
    scores = dict.fromkeys(SOURCES, 0.5)
    return Recommendation(1, found, 1.0, scores, Evidence(**evidence))  # type: ignore[arg-type]


def part(catalogue: Catalogue, item: str, value: float, share: float) -> Contribution:
    return Contribution(catalogue.items[catalogue.row(item)], value, share)


def entries(rec: Recommendation, query: Query | None = None) -> list[tuple[str, str, str]]:
    return [(e.kind, e.reference, e.value) for e in plan_reason(rec, query or Query(), DOMAIN).entries]


def test_top_contributors_are_causes(small_catalogue: Catalogue) -> None:
    parts = (
        part(small_catalogue, "alien-1979", 0.6, 0.6),
        part(small_catalogue, "the-thing-1982", 0.3, 0.3),
        part(small_catalogue, "big-1988", 0.1, 0.1),
    )
    rec = recommendation(small_catalogue, contributions=parts, collaborative_share=0.4)
    assert entries(rec)[:2] == [("cause", "[[liked1]]", "Alien"), ("cause", "[[liked2]]", "The Thing")]
    assert [i.id for i in plan_reason(rec, Query(), DOMAIN).liked] == ["alien-1979", "the-thing-1982"]


@pytest.mark.parametrize(
    ("value", "share", "whole"),
    [(0.6, 0.6, 0.1), (-0.6, -0.6, 0.4), (0.1, 0.1, 0.4)],
)
def test_weak_contributors_are_no_causes(small_catalogue: Catalogue, value: float, share: float, whole: float) -> None:
    parts = (part(small_catalogue, "alien-1979", value, share),)
    rec = recommendation(small_catalogue, contributions=parts, collaborative_share=whole)
    assert "cause" not in [kind for kind, _, _ in entries(rec)]


def test_approximate_parts_are_no_causes(small_catalogue: Catalogue) -> None:
    parts = (part(small_catalogue, "alien-1979", 0.6, 0.6),)
    rec = recommendation(small_catalogue, contributions=parts, collaborative_share=0.4, exact=False)
    assert "cause" not in [kind for kind, _, _ in entries(rec)]


def test_likeness_is_said_of_an_item_of_the_request_only(small_catalogue: Catalogue) -> None:
    alien = small_catalogue.items[small_catalogue.row("alien-1979")]
    shared = (SharedFact(alien, "cast", ("Sigourney Weaver",)), SharedFact(alien, "themes", ("survival",)))
    rec = recommendation(small_catalogue, similar=((alien, 0.9),), shared=shared)
    asked = entries(rec, Query(similar_to=("alien-1979",)))
    assert asked == [("similar", "[[liked1]]", "Alien"), ("shared", "[[liked1.cast]]", "Sigourney Weaver")]
    assert {kind for kind, _, _ in entries(rec)} == {"fact"}


def test_matches_stand_in_the_order_of_the_domain(small_catalogue: Catalogue) -> None:
    matched = (
        (Constraint("runtime", "max", 140), ("137",)),
        (Constraint("moods", "is", "tense", "soft"), ("tense",)),
        (Constraint("genres", "is", "horror"), ("horror",)),
    )
    assert entries(recommendation(small_catalogue, matched=matched)) == [
        ("match", "[[rec1.genres]]", "horror"),
        ("fact", "[[rec1.runtime]]", "137 minutes"),
        ("match", "[[rec1.moods]]", "tense"),
    ]


def test_facts_fill_up(small_catalogue: Catalogue) -> None:
    found = entries(recommendation(small_catalogue))
    assert [kind for kind, _, _ in found] == ["fact", "fact"]
    item = small_catalogue.get("aliens-1986")
    for _, reference, value in found:
        own = item.values(reference.strip("[]").split(".")[1])  # type: ignore[union-attr]
        assert all(v in own for v in value.split(" and "))


def test_at_most_three_entries_and_values_for_all_references(small_catalogue: Catalogue) -> None:
    alien = small_catalogue.items[small_catalogue.row("alien-1979")]
    rec = recommendation(
        small_catalogue,
        contributions=(part(small_catalogue, "alien-1979", 1.0, 0.5), part(small_catalogue, "heat-1995", 1.0, 0.5)),
        collaborative_share=0.9,
        shared=(SharedFact(alien, "cast", ("Sigourney Weaver",)),),
        matched=((Constraint("genres", "is", "horror"), ("horror",)),),
    )
    plan = plan_reason(rec, Query(), DOMAIN)
    assert len(plan.entries) == MAX_ENTRIES
    assert plan.values() == {
        "[[rec1]]": "Aliens",
        "[[liked1]]": "Alien",
        "[[liked2]]": "Heat",
        "[[liked1.cast]]": "Sigourney Weaver",
    }


def test_join() -> None:
    assert [join(v) for v in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
