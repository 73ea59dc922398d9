"""Planted falsehoods are found, true texts pass, and a cause must be among the top contributors."""

from __future__ import annotations

import pytest

from vouchrec.agent.compose import composed_reason
from vouchrec.agent.link import Linker
from vouchrec.agent.plan import Plan, plan_reason
from vouchrec.agent.prompts import Planned
from vouchrec.agent.verify import Verdicts, Verifier, relates_wrongly, wishes_wrongly
from vouchrec.retrieval.build import builtin_domain
from vouchrec.retrieval.catalogue import Catalogue
from vouchrec.retrieval.types import SOURCES, Contribution, Evidence, Item, Query, Recommendation, SharedFact


@pytest.fixture(scope="module")
def verifier(full_linker: Linker) -> Verifier:
    return Verifier(full_linker.catalogue, full_linker.gazetteer)


@pytest.fixture(scope="module")
def catalogue(full_linker: Linker) -> Catalogue:
    return full_linker.catalogue


def item(catalogue: Catalogue, name: str) -> Item:
    return catalogue.items[catalogue.row(name)]


@pytest.fixture(scope="module")
def recommendation(catalogue: Catalogue) -> Recommendation:
    alien = item(catalogue, "alien-1979")
    parts = (Contribution(alien, 0.7, 0.7), Contribution(item(catalogue, "big-1988"), -0.2, -0.2))
    parts += (Contribution(item(catalogue, "heat-1995"), 0.1, 0.1),)
    shared = (SharedFact(alien, "cast", ("Sigourney Weaver",)),)
    evidence = Evidence(parts, collaborative_share=0.5, shared=shared, similar=((alien, 0.8),))
    return Recommendation(1, item(catalogue, "aliens-1986"), 1.0, dict.fromkeys(SOURCES, 0.5), evidence)


@pytest.fixture(scope="module")
def plan(recommendation: Recommendation) -> Plan:
    return plan_reason(recommendation, Query(), builtin_domain())


@pytest.mark.parametrize(
    "text",
    [
        "Since you enjoyed Alien, Aliens should please you: Sigourney Weaver is in both.",
        "You liked Alien, and Sigourney Weaver returns in this action film.",
        "Aliens keeps Sigourney Weaver from Alien; it is a science fiction story, and I think it suits you.",
        "It's got Sigourney Weaver, as Alien has.",
    ],
)
def test_true_texts_are_supported(verifier: Verifier, plan: Plan, recommendation: Recommendation, text: str) -> None:
    assert verifier.verify(text, plan, recommendation).unsupported == ()
    assert verifier.verify(text, plan, recommendation).verified


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Sigourney Weaver and Tom Hanks star, as in Alien.", "person: Tom Hanks"),
        ("Like Alien, with Sigourney Weaver, and Spielberg directs.", "person: Spielberg"),
        ("Spielberg directs Sigourney Weaver, as in Alien.", "person: Spielberg"),
        ("Alien had Sigourney Weaver; this is by Zorblax Quill.", "name: Zorblax"),
        ("Alien had Sigourney Weaver in 1986 too.", "number: 1986"),
        ("At 2.5 hours it gives Sigourney Weaver more room than Alien.", "number: 2.5"),
        ("A western with Sigourney Weaver, like Alien.", "genre: western"),
        ("A romantic comedy with Sigourney Weaver, like Alien.", "subgenre: romantic comedy"),
        ("Like Alien and Blade Runner, it has Sigourney Weaver.", "title: Blade Runner"),
        ("Like Alien and The Thing, it has Sigourney Weaver.", "title: The Thing"),
        ("A Japanese film with Sigourney Weaver, like Alien.", "country: Japanese"),
        ("The best film with Sigourney Weaver, like Alien.", "praise: best"),
        ("An Oscar winning part for Sigourney Weaver after Alien.", "praise: Oscar"),
        ("You will love Sigourney Weaver after Alien.", "praise: You will love"),
        ("The sequel to Alien has Sigourney Weaver.", "praise: sequel"),
        ("Sigourney Weaver of Alien [[rec1]] again.", "format: [["),
        ("Sigourney Weaver of Alien <|end|> again.", "format: <|"),
    ],
)
def test_planted_falsehoods_are_refuted(
    verifier: Verifier, plan: Plan, recommendation: Recommendation, text: str, kind: str
) -> None:
    verdicts = verifier.verify(text, plan, recommendation)
    assert kind in verdicts.unsupported
    assert not verdicts.verified


def claimed(verifier: Verifier, recommendation: Recommendation, liked: list[Item], entry: Planned) -> Verdicts:
    plan = Plan(recommendation.item, tuple(liked), (entry,))
    return verifier.verify("Fine.", plan, recommendation)


def test_causes_must_be_top_contributors(
    verifier: Verifier, catalogue: Catalogue, recommendation: Recommendation
) -> None:
    for name, verdict in (
        ("alien-1979", "supported"),
        ("big-1988", "refuted"),  # it spoke against
        ("heat-1995", "refuted"),  # not among the first two
        ("up-2009", "refuted"),  # no contributor
    ):
        cause = item(catalogue, name)
        verdicts = claimed(verifier, recommendation, [cause], Planned("cause", "[[liked1]]", cause.title))
        assert [c.verdict for c in verdicts.claims] == [verdict], name
        assert verdicts.verified is (verdict == "supported")


def test_cause_needs_a_share_of_the_score(
    verifier: Verifier, catalogue: Catalogue, recommendation: Recommendation
) -> None:
    weak = Recommendation(
        1,
        recommendation.item,
        1.0,
        recommendation.scores,
        Evidence(recommendation.evidence.contributions, collaborative_share=0.05),
    )
    verdicts = claimed(verifier, weak, [item(catalogue, "alien-1979")], Planned("cause", "[[liked1]]", "Alien"))
    assert [c.verdict for c in verdicts.claims] == ["refuted"]


@pytest.mark.parametrize(
    ("kind", "reference", "value", "verdict"),
    [
        ("fact", "[[rec1.genres]]", "horror and action", "supported"),
        ("fact", "[[rec1.genres]]", "western", "refuted"),
        ("fact", "[[rec1.genres]]", "horror and western", "refuted"),
        ("fact", "[[rec1.genres]]", "", "refuted"),
        ("fact", "[[rec1.runtime]]", "137 minutes", "supported"),
        ("fact", "[[rec1.runtime]]", "37 minutes", "refuted"),
        ("fact", "[[rec1.directors]]", "James Cameron", "supported"),
        ("fact", "[[rec1.directors]]", "Ridley Scott", "refuted"),
        ("match", "[[rec1.genres]]", "horror", "refuted"),  # nobody asked for it
        ("shared", "[[liked1.cast]]", "Sigourney Weaver", "supported"),
        ("shared", "[[liked1.directors]]", "James Cameron", "refuted"),  # only one of the two has him
        ("similar", "[[liked1]]", "Alien", "supported"),
    ],
)
def test_claims_are_checked_against_the_record(
    verifier: Verifier,
    catalogue: Catalogue,
    recommendation: Recommendation,
    kind: str,
    reference: str,
    value: str,
    verdict: str,
) -> None:
    verdicts = claimed(verifier, recommendation, [item(catalogue, "alien-1979")], Planned(kind, reference, value))
    assert [c.verdict for c in verdicts.claims] == [verdict]


def test_likeness_must_be_in_the_evidence(
    verifier: Verifier, catalogue: Catalogue, recommendation: Recommendation
) -> None:
    other = item(catalogue, "up-2009")
    verdicts = claimed(verifier, recommendation, [other], Planned("similar", "[[liked1]]", other.title))
    assert [c.verdict for c in verdicts.claims] == ["refuted"]


def test_composed_reasons_of_the_whole_catalogue_are_verified(verifier: Verifier, catalogue: Catalogue) -> None:
    domain = builtin_domain()
    for own in catalogue.items:
        plain = Recommendation(1, own, 1.0, dict.fromkeys(SOURCES, 0.0), Evidence())
        plan = plan_reason(plain, Query(), domain)
        verdicts = verifier.verify(composed_reason(plan, domain), plan, plain)
        assert verdicts.verified, (own.title, composed_reason(plan, domain), verdicts)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("You like [[liked1]], and [[rec1]] is by [[liked1.cast]].", True),
        ("[[rec1.cast]] directed this one, so it fits.", True),
        ("It was directed by [[rec1.cast]], as you asked.", True),
        ("[[rec1]] is by [[rec1.directors]].", False),
        ("[[rec1.directors]] directed this one, so it fits.", False),
        ("Both are with [[liked1.cast]] in front.", False),
        ("Both come from [[rec1.countries]] by way of [[rec1.genres]].", False),
    ],
)
def test_a_person_in_another_persons_role_is_refused(text: str, wrong: bool) -> None:
    assert relates_wrongly(text, builtin_domain()) is wrong


WISHED = Planned("match", "[[rec1.genres]]", "horror")
FACT = Planned("fact", "[[rec1.year]]", "1982")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("You wanted a [[rec1.genres]] film, and [[rec1]] came out in [[rec1.year]].", False),
        ("You wanted a [[rec1.genres]] film from [[rec1.year]].", True),
        ("It is from [[rec1.year]], as you asked.", True),
        ("It is from [[rec1.year]]. It is a [[rec1.genres]] film, as you asked.", False),
        ("[[rec1]] dates from [[rec1.year]], which is what you were after.", True),
        ("[[rec1]] dates from [[rec1.year]], and that is that.", False),
    ],
)
def test_a_wish_is_said_only_of_what_was_asked(recommendation: Recommendation, text: str, wrong: bool) -> None:
    assert wishes_wrongly(text, Plan(recommendation.item, (), (WISHED, FACT))) is wrong
