"""recommend(), assess(), relax() on a real workspace of 40 films."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vouchrec.retrieval.blend import Weights, blend, semantic_scale, source_shares, unit_scale
from vouchrec.retrieval.build import init_workspace
from vouchrec.retrieval.diversify import mmr, overlap
from vouchrec.retrieval.errors import RequestError
from vouchrec.retrieval.pipeline import MOST, allowed_rows, assess, rank, recommend, relax
from vouchrec.retrieval.types import SOURCES, AttributeValue, Constraint, Item, Op, Profile, Query, Recommendation
from vouchrec.retrieval.workspace import Workspace

DATA = Path(__file__).parents[1] / "data"
DARK = {"alien-1979": 1.0, "the-thing-1982": 0.8, "psycho-1960": 0.6}
WARM = {"paddington-2014": 1.0, "amelie-2001": 0.8}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory, embedder) -> Iterator[Workspace]:
    """A workspace that the tests of this module only read; those that change one take `workspace`."""
    folder, ratings, domain = tmp_path_factory.mktemp("films"), DATA / "ratings.csv", DATA / "films.toml"
    init_workspace(folder, DATA / "films.jsonl", interactions=ratings, domain=domain, embedder=embedder)
    opened = Workspace.open(folder, embedder=embedder)
    yield opened
    opened.close()


def ids(found: list[Recommendation]) -> list[str]:
    return [r.item.id for r in found]


def number(item: Item, attribute: str) -> float:
    value = item.number(attribute)
    assert value is not None
    return value


# ---- hard promises ------------------------------------------------------------------------------------------------

TEXTS = {
    "genres": ["horror", "Science Fiction", "musical", "documentary", "comedy", "western", "unheard of"],
    "countries": ["Japan", "United States", "France", "japan"],
    "moods": ["funny", "eerie", "warm"],
    "cast": ["Tom Hanks", "Natalie Wood"],
}


def naive_holds(item: Item, constraint: Constraint) -> bool:
    """The meaning of a constraint, written a second time in the plainest way."""
    if constraint.attribute in ("year", "runtime"):
        own = number(item, constraint.attribute)
        wanted = [float(v) for v in constraint.values()]
        if constraint.op in ("min", "max"):
            return own >= wanted[0] if constraint.op == "min" else own <= wanted[0]
        return (own in wanted) == (constraint.op in ("is", "any_of"))
    mine = {v.lower() for v in item.values(constraint.attribute)}
    hit = bool(mine & {v.lower() for v in constraint.values()})
    return hit == (constraint.op in ("is", "any_of"))


@st.composite
def constraints(draw: st.DrawFn) -> Constraint:
    strength = draw(st.sampled_from(["hard", "hard", "soft"]))
    if draw(st.booleans()):
        attribute = draw(st.sampled_from(["year", "runtime"]))
        op: Op = draw(st.sampled_from(["min", "max", "is", "is_not"]))
        bound = draw(st.integers(1950, 2020) if attribute == "year" else st.integers(80, 175))
        value: AttributeValue = draw(st.sampled_from([bound, float(bound), str(bound)]))
        return Constraint(attribute, op, value, strength)
    attribute = draw(st.sampled_from(sorted(TEXTS)))
    op = draw(st.sampled_from(["is", "is_not", "any_of", "none_of"]))
    one = draw(st.sampled_from(TEXTS[attribute]))
    several = tuple(draw(st.lists(st.sampled_from(TEXTS[attribute]), min_size=1, max_size=3)))
    return Constraint(attribute, op, one if op in ("is", "is_not") else several, strength)


ALL_IDS = [line.split('"id": "')[1].split('"')[0] for line in (DATA / "films.jsonl").read_text().splitlines()]
SOME = st.lists(st.sampled_from(ALL_IDS), max_size=4, unique=True).map(tuple)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    wanted=st.lists(constraints(), max_size=4).map(tuple),
    wish=st.sampled_from(["", "a slow space film", "funny family", "zzz", "the"]),
    lists=st.tuples(SOME, SOME, SOME, SOME, SOME, SOME),
    n=st.integers(1, 12),
)
def test_no_promise_is_broken(
    films: Workspace, wanted: tuple[Constraint, ...], wish: str, lists: tuple[tuple[str, ...], ...], n: int
):
    similar, unlike, exclude, liked, disliked, seen = lists
    query = Query(wish, wanted, similar, unlike, exclude, n)
    profile = Profile(dict.fromkeys(liked, 0.7), frozenset(disliked), frozenset(seen))
    found = recommend(films, query, profile)
    gone = {i for group in lists for i in group}
    hard = [c for c in wanted if c.strength == "hard"]
    possible = {i.id for i in films.catalogue.items if i.id not in gone and all(naive_holds(i, c) for c in hard)}
    assert set(ids(found)) <= possible
    assert len(ids(found)) == len(set(ids(found))) == min(n, len(possible))
    assert [r.rank for r in found] == list(range(1, len(found) + 1))
    assert [r.score for r in found] == sorted((r.score for r in found), reverse=True)
    check_numbers(found, Weights.of_request(query, profile))


def check_numbers(found: list[Recommendation], weights: Weights) -> None:
    for r in found:
        assert set(r.scores) == set(SOURCES)
        assert r.score == pytest.approx(sum(weights.of(s) * r.scores[s] for s in SOURCES), abs=1e-5)
        assert all(-1.0001 <= value <= 1.0001 for value in r.scores.values())
        parts = r.evidence.contributions
        assert sum(c.value for c in parts) == pytest.approx(r.scores["collaborative"], abs=1e-5)
        assert [abs(c.value) for c in parts] == sorted((abs(c.value) for c in parts), reverse=True)
        total = sum(abs(c.share) for c in parts)
        assert total == pytest.approx(1.0, abs=1e-5) or all(c.value == 0 for c in parts)
        assert r.evidence.shares == {} or sum(r.evidence.shares.values()) == pytest.approx(1.0, abs=1e-5)
        assert r.evidence.collaborative_share == r.evidence.shares.get("collaborative", 0.0)
        assert r.item.id not in {c.item.id for c in parts}


# ---- the collaborative part ---------------------------------------------------------------------------------------


def test_contributions_are_those_of_the_history_and_exact(films: Workspace):
    found = recommend(films, Query(n=10), Profile(DARK))
    check_numbers(found, Weights.for_history())
    assert any(r.scores["collaborative"] > 0.5 for r in found)
    for r in found:
        assert r.evidence.exact
        assert {c.item.id for c in r.evidence.contributions} == set(DARK)


def test_history_that_the_catalogue_has_lost_counts_nothing(films: Workspace):
    """Its scorer column may still be there; a cause that can't be named must not be in the score."""
    lost = "the-shining-1980"
    catalogue_row = films.catalogue._rows.pop(lost)
    try:
        found = recommend(films, Query(n=10), Profile({**DARK, lost: 1.0}))
    finally:
        films.catalogue._rows[lost] = catalogue_row
    assert {c.item.id for r in found for c in r.evidence.contributions} == set(DARK)
    check_numbers(found, Weights.for_history())


def test_tastes_are_told_apart(films: Workspace):
    dark, warm = ids(recommend(films, Query(n=6), Profile(DARK))), ids(recommend(films, Query(n=6), Profile(WARM)))
    assert not set(dark) & set(warm)
    assert {"horror", "science fiction", "thriller"} & set(films.catalogue.get(dark[0]).values("genres"))  # type: ignore[union-attr]
    assert {"comedy", "family", "musical"} & set(films.catalogue.get(warm[0]).values("genres"))  # type: ignore[union-attr]


def test_what_is_asked_for_now_weighs_as_much_as_the_history(films: Workspace):
    history, asked, target = {"paddington-2014": 1.0, "amelie-2001": 0.5}, "toy-story-1995", "singin-in-the-rain-1952"
    (found,) = assess(films, Query(similar_to=(asked,)), Profile(history), [target])
    unweighted = films.scorer.contributions(dict.fromkeys([*history, asked], 1.0), target)  # type: ignore[union-attr]
    used = {c.item.id: c.value / unweighted[c.item.id] for c in found.evidence.contributions}
    assert used["paddington-2014"] + used["amelie-2001"] == pytest.approx(used[asked], rel=1e-3)
    assert used["amelie-2001"] == pytest.approx(used["paddington-2014"] / 2, rel=1e-3)


def test_a_dislike_changes_the_next_list(films: Workspace):
    before = recommend(films, Query(n=5), Profile(DARK))
    disliked = before[0].item.id
    after = recommend(films, Query(n=5), Profile(DARK, disliked=frozenset({disliked})))
    assert disliked not in ids(after)
    assert ids(after) != ids(before)[1:] or [r.score for r in after[:4]] != [r.score for r in before[1:]]
    rows = [films.catalogue.row(i) for i in (disliked, *ids(before)[1:])]
    likest = ids(before)[1:][int(np.argmax(films.index.vectors[rows[1:]] @ films.index.vectors[rows[0]]))]
    was, now = (
        assess(films, Query(), p, [likest])[0].score for p in (Profile(DARK), Profile(DARK, frozenset({disliked})))
    )
    assert now < was


def test_unlike_lowers_what_resembles_it(films: Workspace):
    (plain,) = assess(films, Query("space"), Profile(), ["aliens-1986"])
    (unlike,) = assess(films, Query("space", unlike=("alien-1979",)), Profile(), ["aliens-1986"])
    assert unlike.scores["neighbours"] < plain.scores["neighbours"]
    assert unlike.scores["semantic"] == plain.scores["semantic"]


def test_a_like_brings_its_neighbours_up(films: Workspace):
    (cold,) = assess(films, Query(), Profile(), ["aliens-1986"])
    (after,) = assess(films, Query(), Profile({"alien-1979": 1.0}), ["aliens-1986"])
    assert after.scores["neighbours"] > cold.scores["neighbours"] == 0.0
    assert after.scores["collaborative"] > cold.scores["collaborative"] == 0.0


def test_nothing_known_gives_popular_items(films: Workspace):
    found = recommend(films, Query(n=3), Profile(), weights=Weights(recency=0.0))
    assert len(found) == 3
    assert found[0].scores["popularity"] == pytest.approx(1.0)


# ---- wishes and evidence ------------------------------------------------------------------------------------------


def test_a_wish_is_found_by_its_words(films: Workspace):
    assert (
        ids(recommend(films, Query("penguins walk across the ice", n=3), Profile()))[0] == "march-of-the-penguins-2005"
    )
    assert ids(recommend(films, Query("AMELIE", n=1), Profile())) == ["amelie-2001"]


def test_soft_constraints_raise_and_never_exclude(films: Workspace):
    wish = Constraint("moods", "is", "cosy", "soft")
    found = recommend(films, Query(constraints=(wish,), n=40), Profile())
    assert len(found) == 40
    cosy = [r.item.id for r in found if r.scores["match"] == 1.0]
    assert set(cosy) == {"paddington-2014", "my-neighbor-totoro-1988"}
    assert all(r.evidence.matched == ((wish, ("cosy",)),) for r in found if r.item.id in cosy)


def test_evidence_gives_the_items_own_values(films: Workspace):
    asked = (
        Constraint("genres", "any_of", ("HORROR", "western")),
        Constraint("year", "max", 1985),
        Constraint("genres", "is_not", "musical"),
    )
    (found,) = assess(films, Query(constraints=asked), Profile(), ["alien-1979"])
    assert found.evidence.matched == ((asked[0], ("horror",)), (asked[1], ("1979",)))


def test_shared_facts_are_true_and_people_come_first(films: Workspace):
    (found,) = assess(films, Query(), Profile({"blade-runner-1982": 1.0}), ["alien-1979"])
    facts = [(fact.item.id, fact.attribute, fact.values) for fact in found.evidence.shared]
    assert facts[0] == ("blade-runner-1982", "directors", ("Ridley Scott",))
    assert all(attribute != "languages" for _, attribute, _ in facts)  # nearly all are in English


def test_an_item_is_no_reason_for_itself(films: Workspace):
    (found,) = assess(films, Query(), Profile({"alien-1979": 1.0, "aliens-1986": 1.0}), ["alien-1979"])
    assert "alien-1979" not in {fact.item.id for fact in found.evidence.shared}
    assert "alien-1979" not in {item.id for item, _ in found.evidence.similar}


def test_assess_keeps_the_order_it_was_given(films: Workspace):
    wanted = ["big-1988", "alien-1979", "psycho-1960", "big-1988"]
    found = assess(films, Query("space horror"), Profile(seen=frozenset(wanted)), wanted)
    assert ids(found) == wanted
    assert [r.rank for r in found] == [1, 2, 3, 4]
    assert found[0].score == found[3].score
    assert assess(films, Query(), Profile(), []) == []


# ---- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, -1, MOST + 1])
def test_n_out_of_range(films: Workspace, n: int):
    for call in (
        lambda: recommend(films, Query(n=n), Profile()),
        lambda: assess(films, Query(n=n), Profile(), ["big-1988"]),
    ):
        with pytest.raises(RequestError, match=rf"n is {n}\. Ask for 1 to {MOST} items\."):
            call()


@pytest.mark.parametrize(
    ("constraint", "said"),
    [
        (
            Constraint("genre", "is", "horror"),
            "There is no attribute 'genre'. Attributes: genres, directors, cast, year",
        ),
        (Constraint("genres", "min", "horror"), "'genres' has no order"),
        (Constraint("year", "min", "recent"), "'recent' is no number for 'year'"),
        (Constraint("year", "max", float("nan")), "nan is no number for 'year'"),
        (Constraint("year", "max", ("1990",)), "('1990',) is no number for 'year'"),
        (Constraint("year", "any_of", ("1990", "x")), "('1990', 'x') is no number for 'year'"),
        (Constraint("genres", "equals", "horror"), "There is no condition 'equals'. Use one of is, is_not"),  # type: ignore[arg-type]
    ],
)
def test_a_constraint_that_means_nothing(films: Workspace, constraint: Constraint, said: str):
    with pytest.raises(RequestError) as caught:
        recommend(films, Query(constraints=(constraint,)), Profile())
    assert said in str(caught.value)


def test_an_item_that_is_not_there(films: Workspace):
    with pytest.raises(RequestError, match="There is no item 'nope'"):
        assess(films, Query(), Profile(), ["alien-1979", "nope"])
    assert recommend(films, Query(similar_to=("nope",), exclude=("nope",), n=2), Profile({"nope": 1.0}))


# ---- nothing found ------------------------------------------------------------------------------------------------


def test_relax_names_the_constraint_that_is_in_the_way(films: Workspace):
    japan, sixties, short = (
        Constraint("countries", "is", "Japan"),
        Constraint("year", "max", 1960),
        Constraint("runtime", "max", 100),
    )
    query = Query(constraints=(japan, sixties, short))
    assert recommend(films, query, Profile()) == []
    # Without Japan: High Noon (85). Without the year: Ring (96), Totoro (86). Without the length: Tokyo Story.
    assert relax(films, query, Profile()) == [(sixties, 2), (japan, 1), (short, 1)]
    assert relax(films, query, Profile(seen=frozenset({"tokyo-story-1953"}))) == [(sixties, 2), (japan, 1)]


def test_relax_leaves_out_what_helps_nothing_and_what_is_soft(films: Workspace):
    impossible = Constraint("genres", "is", "opera")
    query = Query(constraints=(impossible, Constraint("year", "min", 2000), Constraint("moods", "is", "warm", "soft")))
    assert [c for c, _ in relax(films, query, Profile())] == [impossible]
    two = Query(constraints=(impossible, Constraint("countries", "is", "Iceland")))
    assert relax(films, two, Profile()) == []


# ---- diversity and blend ------------------------------------------------------------------------------------------


def test_mmr_prefers_what_is_different_among_equals():
    alike = np.array([[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1]])
    relevance = np.array([1.0, 0.95, 0.9], np.float32)
    assert mmr(relevance, lambda a, b: float(alike[a, b]), 2) == [0, 2]
    assert mmr(relevance, lambda a, b: float(alike[a, b]), 2, trade_off=1.0) == [0, 1]
    assert mmr(relevance, lambda a, b: float(alike[a, b]), 9) == [0, 2, 1]
    assert mmr(np.zeros(0, np.float32), lambda a, b: 0.0, 3) == []
    assert mmr(np.zeros(3, np.float32), lambda a, b: 0.0, 2) == [0, 1]


def test_mmr_takes_a_clearly_better_item_whatever_it_resembles():
    assert mmr(np.array([1.0, 0.9, 0.1], np.float32), lambda a, b: 1.0 if {a, b} == {0, 1} else 0.0, 2) == [0, 1]


def test_a_list_is_more_varied_than_the_best_scores(workspace: Workspace):
    same = {"directors": ("Same Person",)}
    alike = [Item(f"alike{n}", "Red green blue yellow", attributes=same) for n in range(3)]
    workspace.add_items([*alike, Item("other", "Red green blue", attributes={"directors": ("Else",)})])
    query = Query("red green blue yellow", n=2)
    meaning_only = Weights(lexical=0, collaborative=0, neighbours=0, match=0, popularity=0, recency=0)
    assert rank(workspace, query, Profile(), weights=meaning_only)[:4] == ["alike0", "alike1", "alike2", "other"]
    assert ids(recommend(workspace, query, Profile(), weights=meaning_only)) == ["alike0", "other"]


def test_overlap_is_jaccard():
    assert overlap(["a", "b"], ["b", "c"]) == pytest.approx(1 / 3)
    assert overlap([], []) == 0.0


def test_blend_is_the_weighted_sum():
    scores = {source: np.full(2, index, np.float32) for index, source in enumerate(SOURCES)}
    weights = Weights()
    assert blend(scores, weights).tolist() == pytest.approx([sum(weights.of(s) * i for i, s in enumerate(SOURCES))] * 2)
    one = dict.fromkeys(SOURCES, 0.0) | {"collaborative": -1.0, "semantic": 0.5}
    expected = dict.fromkeys(SOURCES, 0.0) | {"collaborative": 0.9 / 1.4, "semantic": 0.5 / 1.4}
    assert source_shares(one, weights) == pytest.approx(expected)
    assert source_shares(dict.fromkeys(SOURCES, 0.0), weights) == {}


def test_scales():
    scaled, factor = unit_scale(np.array([2.0, -4.0], np.float32))
    assert (scaled.tolist(), factor) == ([0.5, -1.0], 0.25)
    assert unit_scale(np.zeros(2, np.float32))[1] == 1.0
    assert semantic_scale(np.array([-1, 0.1, 0.4, 0.7, 1], np.float32)).tolist() == pytest.approx([0, 0, 0.5, 1, 1])


# ---- adding items -------------------------------------------------------------------------------------------------

GATTACA = Item(
    "gattaca-1997",
    "Gattaca",
    "A man borrows another's blood to reach the stars.",
    {"genres": ("science fiction",), "year": 1997, "directors": ("Andrew Niccol",), "runtime": 106},
)


def test_an_added_item_is_recommended_at_once_by_every_way(workspace: Workspace):
    recommend(workspace, Query("warm up", n=1), Profile())
    started = time.perf_counter()
    assert workspace.add_items([GATTACA]) == 1
    wish = recommend(workspace, Query("a man borrows blood to reach the stars", n=1), Profile())
    assert time.perf_counter() - started < 1.0
    assert ids(wish) == ["gattaca-1997"]
    people = Query(constraints=(Constraint("directors", "is", "Andrew Niccol"), Constraint("year", "min", 1997)))
    assert ids(recommend(workspace, people, Profile())) == ["gattaca-1997"]
    assert workspace.lexical.search("gattaca", 1)[0][0] == 40
    assert workspace.index.search(workspace.index.vectors[40], np.ones(41, np.bool_), 1) == [40]
    check_numbers(recommend(workspace, Query(n=20), Profile(DARK)), Weights.for_history())


def test_an_added_item_is_there_after_a_start_and_not_embedded_again(workspace: Workspace, embedder):
    workspace.add_items([GATTACA])
    workspace.close()
    again = Workspace.open(workspace.folder, embedder=embedder)
    assert (again.index_state.embedded, again.index_state.rebuilt) == (0, False)
    assert ids(recommend(again, Query("gattaca", n=1), Profile())) == ["gattaca-1997"]
    again.close()


def test_a_changed_item_is_judged_by_what_it_is_now(workspace: Workspace):
    assert workspace.add_items([Item("big-1988", "Big", "", {"genres": ("western",), "year": 2020})]) == 1
    assert len(workspace.catalogue) == 40
    query = Query(constraints=(Constraint("genres", "is", "western"), Constraint("year", "min", 2000)), n=5)
    assert ids(recommend(workspace, query, Profile())) == ["big-1988"]
    assert "big-1988" not in ids(
        recommend(workspace, Query(constraints=(Constraint("genres", "is", "comedy"),), n=20), Profile())
    )


def test_of_several_with_one_id_the_last_is_kept(workspace: Workspace):
    first = Item("x", "First", "", {"year": 1990})
    assert workspace.add_items([first, GATTACA, Item("x", "Second", "", {"year": 1991})]) == 2
    assert workspace.catalogue.get("x").title == "Second"  # type: ignore[union-attr]
    assert (
        [i.id for i in workspace.store.items()][40:]
        == [i.id for i in workspace.catalogue.items][40:]
        == ["x", "gattaca-1997"]
    )
    assert workspace.add_items([]) == 0


def test_an_addition_that_fails_changes_nothing_that_is_open(workspace: Workspace, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(workspace.index._files, "append", fail)
    with pytest.raises(OSError, match="disk full"):
        workspace.add_items([GATTACA])
    assert len(workspace.catalogue) == len(workspace.index) == 40
    assert len(recommend(workspace, Query("space", n=40), Profile())) == 40


def test_people_are_served_while_items_are_added(workspace: Workspace):
    failures: list[BaseException] = []
    done = threading.Event()

    def serve(user: int) -> None:
        try:
            while not done.is_set():
                profile = Profile(DARK if user % 2 else WARM)
                query = Query("a warm film in space", (Constraint("year", "min", 1960),), n=10)
                found = recommend(workspace, query, profile)
                assert len(found) == 10
                assert {c.item.id for r in found for c in r.evidence.contributions} == set(profile.history)
                relax(workspace, query, profile)
                assess(workspace, query, profile, ids(found))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=serve, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for n in range(25):
        workspace.add_items([Item(f"new{n}", f"New {n}", "warm space", {"year": 1990 + n, "genres": ("comedy",)})])
    workspace.fit()
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(workspace.catalogue) == 65


def test_a_workspace_without_interactions_works_by_content(tmp_path: Path, embedder):
    init_workspace(tmp_path / "w", DATA / "films.jsonl", domain=DATA / "films.toml", embedder=embedder)
    workspace = Workspace.open(tmp_path / "w", embedder=embedder)
    assert workspace.scorer is None
    found = recommend(workspace, Query(n=5), Profile({"the-thing-1982": 1.0}))
    assert [r.scores["neighbours"] for r in found] == sorted((r.scores["neighbours"] for r in found), reverse=True)
    assert found[0].scores["neighbours"] > 0
    assert found[0].evidence.contributions == ()
    assert found[0].scores["collaborative"] == found[0].evidence.collaborative_share == 0.0
    workspace.close()


def test_allowed_rows_counts_what_is_left(films: Workspace):
    query = Query(constraints=(Constraint("genres", "is", "western"),), exclude=("high-noon-1952",))
    assert allowed_rows(films, query, Profile()).sum() == 3


def test_recency_gives_equal_years_equal_ranks(films: Workspace):
    years = [number(item, "year") for item in films.catalogue.items]
    recency = films.recency
    assert recency[int(np.argmax(years))] == 1.0
    assert 0.0 <= recency.min() < 0.05
    for a in range(40):
        for b in range(40):
            assert (years[a] < years[b]) == (recency[a] < recency[b])
