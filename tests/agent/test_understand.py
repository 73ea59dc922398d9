"""From roles to a request, and what still holds from the turns before; when the model's reading is not used."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pytest

from vouchrec.agent.link import Linker, Screen
from vouchrec.agent.llm.base import Completion
from vouchrec.agent.request import build_request
from vouchrec.agent.types import Conversation, Reading, Request, Role, Turn
from vouchrec.agent.understand import understand
from vouchrec.retrieval.build import builtin_domain, builtin_items
from vouchrec.retrieval.catalogue import Catalogue
from vouchrec.retrieval.errors import ModelError
from vouchrec.retrieval.types import Constraint, Query

from .conftest import Script, conversation

SHOWN = ("heat-1995", "alien-1979", "up-2009")


def request(linker: Linker, text: str, act: str, said: Mapping[str, str], talk: Conversation | None = None) -> Request:
    talk = talk or conversation()
    spans = linker.link(text, Screen(talk.shown, talk.focus))
    roles: tuple[Role, ...] = tuple(said.get(s.text, "ignore") for s in spans)  # type: ignore[misc]
    made = build_request(text, spans, Reading(act, roles), talk, linker.catalogue.domain)  # type: ignore[arg-type]
    talk.turns.append(Turn(text, made, Query() if act in ("recommend", "critique", "feedback") else None, SHOWN))
    talk.likes += tuple(i for i in made.liked if i not in talk.likes)
    return made


def conditions(made: Request) -> set[tuple[str, str, object, str]]:
    return {(c.attribute, c.op, c.value, c.strength) for c in made.constraints}


# ---- roles -> constraints ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "constraint"),
    [
        ("must", ("genres", "is", "horror", "hard")),
        ("prefer", ("genres", "is", "horror", "soft")),
        ("exclude", ("genres", "is_not", "horror", "hard")),
        ("avoid", ("genres", "is_not", "horror", "soft")),
    ],
)
def test_roles_of_values(linker: Linker, role: str, constraint: tuple[str, str, object, str]) -> None:
    assert conditions(request(linker, "horror please", "recommend", {"horror": role})) == {constraint}


@pytest.mark.parametrize("role", ["about", "ignore"])
def test_roles_without_a_condition(linker: Linker, role: str) -> None:
    assert request(linker, "horror please", "recommend", {"horror": role}).constraints == ()


def test_mood_is_never_hard_but_its_exclusion_is(linker: Linker) -> None:
    assert conditions(request(linker, "funny please", "recommend", {"funny": "must"})) == {
        ("moods", "is", "funny", "soft")
    }
    assert conditions(request(linker, "not funny please", "recommend", {"funny": "exclude"})) == {
        ("moods", "is_not", "funny", "hard")
    }


def test_roles_of_items(linker: Linker) -> None:
    said = {"Blade Runner": "like", "Toy Story": "dislike", "Tokyo Story": "seen", "Cast Away": "about"}
    made = request(linker, "Blade Runner, Toy Story, Tokyo Story, Cast Away, Forrest Gump", "recommend", said)
    assert (made.liked, made.disliked) == (("blade-runner-1982",), ("toy-story-1995",))
    assert (made.seen, made.about) == (("tokyo-story-1953",), ("cast-away-2000",))


def test_negated_range_keeps_every_year_of_it_out(linker: Linker) -> None:
    (made,) = request(linker, "not the 80s", "recommend", {"the 80s": "exclude"}).constraints
    assert (made.op, made.values()) == ("none_of", tuple(str(y) for y in range(1980, 1990)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nothing made after 1990", ("year", "max", 1990.0, "hard")),
        ("not since 1990", ("year", "max", 1989.0, "hard")),
        ("not under two hours", ("runtime", "min", 120, "hard")),
    ],
)
def test_negated_bound_turns_round(linker: Linker, text: str, expected: tuple[str, str, float, str]) -> None:
    (span,) = linker.link(text)
    role = "exclude" if "not under" not in text else "must"
    assert conditions(request(linker, text, "recommend", {span.text: role})) == {expected}


def test_countries_are_alternatives_and_genres_are_not(linker: Linker) -> None:
    said = dict.fromkeys(("Japan", "France", "comedy", "horror"), "must")
    made = request(linker, "from Japan, France: a comedy and horror", "recommend", said)
    assert conditions(made) == {
        ("countries", "any_of", ("Japan", "France"), "hard"),
        ("genres", "is", "comedy", "hard"),
        ("genres", "is", "horror", "hard"),
    }


def test_or_makes_alternatives_of_genres(linker: Linker) -> None:
    made = request(linker, "a comedy or a horror film", "recommend", dict.fromkeys(("comedy", "horror"), "must"))
    assert conditions(made) == {("genres", "any_of", ("comedy", "horror"), "hard")}


def test_two_actors_joined_by_and_are_both_wanted(linker: Linker) -> None:
    said = dict.fromkeys(("Al Pacino", "Robert De Niro"), "must")
    both = request(linker, "with Al Pacino and Robert De Niro", "recommend", said)
    either = request(linker, "with Al Pacino or Robert De Niro", "recommend", said)
    assert [(c.attribute, c.op) for c in both.constraints] == [("cast", "is"), ("cast", "is")]
    assert [c.op for c in either.constraints] == ["any_of"]


def test_two_directors_are_alternatives(linker: Linker) -> None:
    said = dict.fromkeys(("Ridley Scott", "Akira Kurosawa"), "must")
    made = request(linker, "by Ridley Scott and Akira Kurosawa", "recommend", said)
    assert [(c.attribute, c.op) for c in made.constraints] == [("directors", "any_of")]


def test_excluded_person_is_excluded_in_every_part(full_linker: Linker) -> None:
    made = request(full_linker, "nothing with Clint Eastwood", "recommend", {"Clint Eastwood": "exclude"})
    assert {(c.attribute, c.op) for c in made.constraints} == {("cast", "is_not"), ("directors", "is_not")}


def test_wish_leaves_out_names_numbers_and_what_is_not_wanted(linker: Linker) -> None:
    said = {"Alien": "like", "horror": "exclude", "under two hours": "must", "3": "must", "funny": "prefer"}
    made = request(
        linker, "give me 3 films like Alien, funny, no horror, under two hours, with robots", "recommend", said
    )
    assert made.words in ("funny robots", "funny")
    assert "funny" in made.wish
    assert not any(word in made.wish for word in ("Alien", "horror", "hours", "3"))
    assert made.n == 3


def test_ambiguous_names_are_reported_with_what_was_taken_first(linker: Linker) -> None:
    made = request(linker, "something like King Kong", "recommend", {"King Kong": "like"})
    assert made.liked == ("king-kong-2005",)
    assert made.ambiguous == (("King Kong", ("king-kong-2005", "king-kong-1933")),)


# ---- over turns -------------------------------------------------------------------------------------------------


def test_critique_keeps_all_and_recommend_keeps_exclusions_only(linker: Linker) -> None:
    talk = conversation()
    said = {"Alien": "like", "comedy": "must", "horror": "exclude", "70s": "must"}
    request(linker, "a comedy like Alien, no horror, 70s", "recommend", said, talk)
    critique = request(linker, "shorter than 90 minutes", "critique", {"shorter than 90 minutes": "must"}, talk)
    assert critique.liked == ("alien-1979",)
    assert conditions(critique) == {
        ("genres", "is", "comedy", "hard"),
        ("genres", "is_not", "horror", "hard"),
        ("year", "min", 1970, "hard"),
        ("year", "max", 1979, "hard"),
        ("runtime", "max", 90, "hard"),
    }
    new = request(linker, "a western", "recommend", {"western": "must"}, talk)
    assert conditions(new) == {("genres", "is_not", "horror", "hard"), ("genres", "is", "western", "hard")}
    assert new.liked == ()


@pytest.mark.parametrize("role", ["must", "prefer"])
def test_exclusion_is_taken_back(linker: Linker, role: str) -> None:
    talk = conversation()
    request(linker, "no horror", "recommend", {"horror": "exclude"}, talk)
    made = request(linker, "horror is fine after all", "critique", {"horror": role}, talk)
    assert [c.op for c in made.constraints] == ["is"]


def test_excluded_years_are_taken_back(linker: Linker) -> None:
    talk = conversation()
    request(linker, "not the 80s", "recommend", {"the 80s": "exclude"}, talk)
    made = request(linker, "the 80s after all", "recommend", {"the 80s": "must"}, talk)
    assert conditions(made) == {("year", "min", 1980, "hard"), ("year", "max", 1989, "hard")}


def test_part_of_the_alternatives_is_taken_back(linker: Linker) -> None:
    talk = conversation()
    request(linker, "from Japan or France", "recommend", dict.fromkeys(("Japan", "France"), "must"), talk)
    made = request(linker, "not Japan", "critique", {"Japan": "exclude"}, talk)
    assert conditions(made) == {("countries", "is", "France", "hard"), ("countries", "is_not", "Japan", "hard")}
    talk = conversation()
    request(linker, "no comedy or horror", "recommend", dict.fromkeys(("comedy", "horror"), "exclude"), talk)
    made = request(linker, "comedy is fine", "critique", {"comedy": "must"}, talk)
    assert conditions(made) == {("genres", "is_not", "horror", "hard"), ("genres", "is", "comedy", "hard")}


def test_another_country_replaces_the_first(linker: Linker) -> None:
    talk = conversation()
    request(linker, "a film from Japan", "recommend", {"Japan": "must"}, talk)
    made = request(linker, "rather from France", "critique", {"France": "must"}, talk)
    assert conditions(made) == {("countries", "is", "France", "hard")}


def test_later_bounds_replace_contradicted_ones(linker: Linker) -> None:
    talk = conversation()
    request(linker, "from the 70s", "recommend", {"from the 70s": "must"}, talk)
    made = request(linker, "actually after 1990", "critique", {"after 1990": "must"}, talk)
    assert conditions(made) == {("year", "min", 1991, "hard")}


def test_a_dislike_ends_a_carried_like(linker: Linker) -> None:
    talk = conversation()
    request(linker, "something like Blade Runner", "recommend", {"Blade Runner": "like"}, talk)
    second = request(linker, "I hate Blade Runner", "critique", {"Blade Runner": "dislike"}, talk)
    assert (second.liked, second.disliked) == ((), ("blade-runner-1982",))
    talk.likes = ()
    third = request(linker, "something funny", "critique", {"funny": "must"}, talk)
    assert third.liked == ()


def test_restart_forgets_all_conditions(linker: Linker) -> None:
    talk = conversation()
    request(linker, "no horror, like Blade Runner", "recommend", {"horror": "exclude", "Blade Runner": "like"}, talk)
    request(linker, "start over", "restart", {}, talk)
    made = request(linker, "a western", "critique", {"western": "must"}, talk)
    assert (made.act, made.liked) == ("recommend", ())
    assert conditions(made) == {("genres", "is", "western", "hard")}


def test_small_talk_between_keeps_the_state(linker: Linker) -> None:
    talk = conversation()
    request(linker, "no horror", "recommend", {"horror": "exclude"}, talk)
    request(linker, "thanks", "smalltalk", {}, talk)
    assert request(linker, "something shorter", "critique", {}, talk).constraints == (
        Constraint("genres", "is_not", "horror"),
    )


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("show me others", True),
        ("more please", True),
        ("another comedy", True),
        ("something else", True),
        ("something more funny", True),
        ("these are boring", True),
        ("only the comedies of these", False),
        ("drop the comedy", False),
    ],
)
def test_others_are_wanted(linker: Linker, text: str, more: bool) -> None:
    talk = conversation()
    request(linker, "something like Blade Runner", "recommend", {"Blade Runner": "like"}, talk)
    made = request(linker, text, "critique", {"comedy": "must", "funny": "must"}, talk)
    assert made.more is more
    assert made.liked == ("blade-runner-1982",)


def test_thanks_with_a_wish_ask_for_a_list(linker: Linker) -> None:
    assert request(linker, "thank you, and a horror film now", "smalltalk", {"horror": "must"}).act == "recommend"
    talk = conversation()
    request(linker, "a comedy", "recommend", {"comedy": "must"}, talk)
    assert request(linker, "thanks, horror would be nice", "smalltalk", {"horror": "must"}, talk).act == "critique"
    assert request(linker, "thanks", "smalltalk", {}, talk).act == "smalltalk"


# ---- acts that the state corrects --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "act", "said", "settled"),
    [
        ("something shorter", "critique", {}, "recommend"),
        ("why that one?", "explain", {}, "unclear"),
        ("how long?", "ask_item", {}, "unclear"),
        ("compare them", "compare", {}, "unclear"),
        ("a comedy", "feedback", {"comedy": "must"}, "recommend"),
        ("who directed Blade Runner?", "ask_item", {}, "ask_item"),
    ],
)
def test_acts_without_a_list(linker: Linker, text: str, act: str, said: Mapping[str, str], settled: str) -> None:
    assert request(linker, text, act, said).act == settled


def test_questions_are_about_the_named_items_whatever_their_roles(linker: Linker) -> None:
    made = request(
        linker, "compare Blade Runner with Toy Story", "compare", dict.fromkeys(("Blade Runner", "Toy Story"), "like")
    )
    assert made.about == ("blade-runner-1982", "toy-story-1995")
    talk = conversation()
    request(linker, "a comedy", "recommend", {}, talk)
    assert request(linker, "compare the first two", "compare", {}, talk).about == SHOWN[:2]
    assert request(linker, "why?", "explain", {}, talk).about == SHOWN[:1]


# ---- the model and the rules -------------------------------------------------------------------------------------


class Oracle:
    """A model that gives one completion, or fails."""

    name = "oracle"
    specialist = True

    def __init__(self, completion: Completion | None) -> None:
        self.completion = completion

    def complete(self, batch, **_options):  # type: ignore[no-untyped-def]
        if self.completion is None:
            raise ModelError("gone")
        return [[self.completion] for _ in batch]


VALID = json.dumps({"act": "recommend", "roles": {"s1": "prefer"}})


@pytest.mark.parametrize(
    ("completion", "fallback"),
    [
        (Completion(VALID), ""),
        (None, "understanding:model_error"),
        (Completion("{}"), "understanding:invalid_json"),
        (Completion(VALID, mass=0.1), "understanding:unknown_format"),
        (Completion(VALID, logprob=-3.0), "understanding:low_confidence"),
    ],
)
def test_rules_stand_in_and_say_why(linker: Linker, completion: Completion | None, fallback: str) -> None:
    result = understand(Oracle(completion), linker, conversation(), "horror please")  # type: ignore[arg-type]
    assert (result.source, result.fallback) == ("rules" if fallback else "model", fallback)
    assert [c.strength for c in result.request.constraints] == ["hard" if fallback else "soft"]


def test_model_sees_the_message_before(linker: Linker, model) -> None:  # type: ignore[no-untyped-def]
    talk = conversation()
    request(linker, "a comedy", "recommend", {}, talk)
    model._answer = Script({"shorter": ("critique", {})})
    understand(model, linker, talk, "shorter")
    assert "shown: 3\nbefore: a comedy\nmessage: " in model.prompts[-1]


def test_an_unwanted_word_rules_out_all_that_it_can_mean() -> None:
    """ "War" is a kind of film and a theme: who wants no war wants neither, and may take both back."""
    catalogue = Catalogue(builtin_items(), builtin_domain())
    films = Linker(catalogue, np.zeros(len(catalogue), np.float32))
    talk = conversation()
    first = request(films, "nothing with war in it", "recommend", {"war": "exclude"}, talk)
    assert {(c.attribute, c.op, c.value) for c in first.constraints} == {
        ("genres", "is_not", "war"),
        ("themes", "is_not", "war"),
    }
    wanted = request(films, "war is fine after all", "critique", {"war": "must"}, talk)
    assert {(c.attribute, c.op, c.value) for c in wanted.constraints} == {("genres", "is", "war")}


# ---- what follows on a wish before it ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("follow", "expected"),
    [
        ("any from before then?", {("year", "max", 1979.0)}),
        ("and the decade after?", {("year", "min", 1990.0), ("year", "max", 1999.0)}),
        ("the previous decade?", {("year", "min", 1970.0), ("year", "max", 1979.0)}),
        ("anything after that?", {("year", "min", 1990.0)}),
    ],
)
def test_years_move_with_those_before(linker: Linker, follow: str, expected: set[tuple[str, str, float]]) -> None:
    talk = conversation()
    request(linker, "a comedy from the 80s", "recommend", {"comedy": "must", "from the 80s": "must"}, talk)
    made = request(linker, follow, "critique", {}, talk)
    assert {(c.attribute, c.op, c.value) for c in made.constraints if c.attribute == "year"} == expected
    assert ("genres", "is", "comedy", "hard") in conditions(made)


@pytest.mark.parametrize("follow", ["and with Harrison Ford?", "but in black and white", "under 100 minutes"])
def test_a_short_addition_keeps_the_wish(linker: Linker, follow: str) -> None:
    talk = conversation()
    request(linker, "a comedy from the 80s", "recommend", {"comedy": "must", "from the 80s": "must"}, talk)
    spans = linker.link(follow, Screen(talk.shown, talk.focus))
    made = request(linker, follow, "recommend", {s.text: "must" for s in spans}, talk)
    assert ("genres", "is", "comedy", "hard") in conditions(made)


def test_a_new_kind_is_a_new_wish(linker: Linker) -> None:
    talk = conversation()
    request(linker, "a comedy from the 80s", "recommend", {"comedy": "must", "from the 80s": "must"}, talk)
    made = request(linker, "a western", "recommend", {"western": "must"}, talk)
    assert conditions(made) == {("genres", "is", "western", "hard")}


def test_only_the_sentences_that_ask_are_searched_for(linker: Linker) -> None:
    text = "My sister slammed the door on me. I want something funny. It rained all day."
    assert request(linker, text, "recommend", {"funny": "prefer"}).wish == "I want something funny."
