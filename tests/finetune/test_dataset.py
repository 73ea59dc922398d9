"""Examples from a workspace: films become books, reasons pass the verifier, choices lie after what proposed them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from vouchrec.agent.annotations import parse_annotation, read_messages
from vouchrec.agent.link import Linker
from vouchrec.agent.prompts import LETTERS
from vouchrec.agent.types import ACTS
from vouchrec.finetune.dataset import DataOptions, Dataset, build_dataset
from vouchrec.finetune.examples import AUTHORED, AuthoredReason, read_reasons
from vouchrec.finetune.grammar import PRODUCTIONS, Grammar
from vouchrec.finetune.translate import Translator
from vouchrec.finetune.wording import Wordings, reason_examples_of
from vouchrec.retrieval.build import builtin_domain, builtin_items
from vouchrec.retrieval.catalogue import Catalogue
from vouchrec.retrieval.errors import ConfigError, DataFileError
from vouchrec.retrieval.timeline import split_timeline
from vouchrec.retrieval.workspace import Workspace

from ..conftest import HashEmbedder  # noqa: TID252
from .small import make_workspace


def opened(folder: Path, **options: object) -> Workspace:
    embedder = HashEmbedder()
    return Workspace.open(make_workspace(folder, embedder, **options), embedder=embedder)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    workspace = opened(tmp_path_factory.mktemp("books"))
    yield workspace
    workspace.close()


@pytest.fixture(scope="module")
def dataset(books: Workspace) -> Dataset:
    return build_dataset(books, DataOptions(count=80, validation=20))


def test_all_skills_are_there_and_the_split_parts_no_line(dataset: Dataset) -> None:
    counts = dataset.counts()
    assert list(counts) == ["understand", "reason", "rerank", "prefer"]
    assert all(train >= 20 and held >= 4 for train, held in counts.values())
    lines = [
        {e.group for e in part if e.group.startswith(("messages", "reasons"))}
        for part in (dataset.train, dataset.validation)
    ]
    assert lines[0]
    assert lines[1]
    assert not lines[0] & lines[1]
    assert build_digest(dataset) == dataset.digest()


def build_digest(dataset: Dataset) -> str:
    return Dataset(dataset.train, dataset.validation).digest()


def test_the_same_options_make_the_same_examples(books: Workspace, dataset: Dataset) -> None:
    assert build_dataset(books, DataOptions(count=80, validation=20)).digest() == dataset.digest()
    assert build_dataset(books, DataOptions(count=80, validation=20, seed=2)).digest() != dataset.digest()


def test_readings_are_answerable(dataset: Dataset) -> None:
    for example in dataset.train:
        if example.skill != "understand":
            continue
        answer = json.loads(example.answer)
        assert answer["act"] in ACTS
        prompt = example.messages[0].content
        assert all(f"[{name}|" in prompt for name in answer["roles"])
        assert "film" not in prompt.partition("message: ")[2].split()


def test_choices_are_later_than_what_proposed_them(books: Workspace, dataset: Dataset) -> None:
    timeline = split_timeline(books.store.interactions(), [i.id for i in books.catalogue.items])
    moments = {(e.user, e.item): e.time or 0.0 for e in books.store.interactions()}
    newest = max(moments[e.user, e.item] for e in timeline.fit)
    trained = [moments[c.user, c.target] for c in timeline.train]
    assert newest < min(trained)
    assert max(trained) < min(moments[c.user, c.target] for c in timeline.test)
    examples = [e for e in dataset.train if e.skill == "rerank"]
    assert examples
    for number, (example, choice) in enumerate(zip(examples, timeline.train, strict=False)):
        assert example.group == f"choice:{number}"
        lines = example.messages[0].content.splitlines()
        chosen = books.catalogue.items[books.catalogue.row(choice.target)]
        assert lines[2 + LETTERS.index(example.answer)].startswith(f"{example.answer}: {chosen.title} (")
        assert chosen.title not in lines[1]


def test_preferences_are_balanced(dataset: Dataset) -> None:
    answers = [e.answer for e in dataset.train if e.skill == "prefer"]
    assert set(answers) == {"Yes", "No"}
    assert abs(answers.count("Yes") - answers.count("No")) <= 1


# ---- films become books ------------------------------------------------------------------------------------------


def test_translation_keeps_roles_and_takes_the_catalogues_names(books: Workspace) -> None:
    translator = Translator(builtin_domain(), books.catalogue)
    assert translator.foreign
    assert translator.attributes["genres"] == "subjects"
    assert translator.attributes["directors"] == "authors"
    assert translator.attributes["year"] == "year"
    assert translator.attributes["countries"] is None
    rng = random.Random(1)
    titles = {i.title.casefold() for i in books.catalogue.items}
    subjects = set(books.catalogue.values("subjects"))
    exchanged = translated = 0
    for turn in read_messages(sorted(AUTHORED.glob("messages_*.jsonl"))):
        new = translator.turn(turn, rng)
        if new is None:
            continue
        translated += 1
        assert [(a.kind, a.role) for a in new.annotations] == [(a.kind, a.role) for a in turn.annotations]
        assert not {"film", "films", "movie", "movies"} & set(outside(new.text, new.annotations).casefold().split())
        for a in new.annotations:
            surface = new.text[a.start : a.end].casefold()
            if a.kind == "genres" and a.role != "ignore":
                assert surface in {s.casefold() for s in subjects}
            exchanged += a.kind == "title" and surface in titles
    assert translated > 2000
    assert exchanged > 500


def outside(text: str, annotations) -> str:
    for a in reversed(annotations):
        text = text[: a.start] + text[a.end :]
    return text


def test_translation_leaves_out_what_the_catalogue_does_not_have(books: Workspace) -> None:
    translator = Translator(builtin_domain(), books.catalogue)
    rng = random.Random(1)
    turns = {t.text: t for t in read_messages(sorted(AUTHORED.glob("messages_*.jsonl")))}
    french = next(t for t in turns.values() if any(a.kind == "countries" and a.role == "must" for a in t.annotations))
    assert translator.turn(french, rng) is None
    acted = AuthoredReason("g", (("cause", "[[liked1]]"),), "If you like [[liked1]], the actors here will do.")
    assert translator.reason(acted) is None
    made = AuthoredReason("g", (("shared", "[[liked1.directors]]"),), "This film shares [[liked1.directors]] with it.")
    found = translator.reason(made)
    assert found is not None
    assert found.plan == (("shared", "[[liked1.authors]]"),)
    assert found.text == "This book shares [[liked1.authors]] with it."


def test_translation_to_the_same_domain_changes_no_words() -> None:
    catalogue = Catalogue(builtin_items()[:200], builtin_domain())
    translator = Translator(builtin_domain(), catalogue)
    assert not translator.foreign
    reasons = read_reasons(sorted(AUTHORED.glob("reasons_1.jsonl")))
    assert [translator.reason(r) for r in reasons] == reasons


def test_grammar_speaks_of_the_catalogue(books: Workspace) -> None:
    turns = list(Grammar(books.catalogue).turns(120, random.Random(1)))
    assert len(turns) == 120
    linker = Linker(books.catalogue, books.popularity)
    wanted = found = 0
    for turn in turns:
        assert "<" not in turn.text
        spans = linker.link(turn.text)
        for a in turn.annotations:
            if a.kind in ("title", "person"):
                wanted += 1
                found += any(s.start <= a.start and a.end <= s.end for s in spans)
    assert found / wanted > 0.9
    assert any("written by" in t.text for t in turns)
    bare = Catalogue(books.catalogue.items[:3], type(books.domain)())
    assert all("{" not in t.text for t in Grammar(bare).turns(20, random.Random(1)))
    assert all(parse_annotation(text)[0] for _, _, text in PRODUCTIONS)


def test_every_reason_to_learn_passes_the_checks_of_serving(books: Workspace, dataset: Dataset) -> None:
    reasons = [e for e in dataset.train if e.skill == "reason"]
    composed = [e for e in reasons if e.group.startswith("composed")]
    assert len(composed) <= 0.4 * len(reasons)
    for example in reasons:
        references = {w for w in example.messages[0].content.split() if w.startswith("[[")}
        assert any(r in example.answer for r in references)
    linker = Linker(books.catalogue, books.popularity)
    lying = AuthoredReason("g", (("fact", "[[rec1.subjects]]"), ("fact", "[[rec1.authors]]")), "A lie.")
    assert Wordings([lying], linker)


def test_a_plan_without_an_authored_wording_gets_a_composed_one(books: Workspace) -> None:
    examples = reason_examples_of(
        books, Wordings([], Linker(books.catalogue, books.popularity)), None, count=20, seed=1
    )
    assert examples
    assert all(e.group.startswith("composed:") for e in examples)


# ---- bad input -----------------------------------------------------------------------------------------------------


def test_no_interactions(tmp_path: Path) -> None:
    workspace = opened(tmp_path, people=0)
    made = build_dataset(workspace, DataOptions(count=40, validation=10))
    assert list(made.counts()) == ["understand", "reason"]
    assert "no interactions" in made.notes[0]
    with pytest.raises(ConfigError, match="has no interactions, which rerank learns from"):
        build_dataset(workspace, DataOptions(skills=("understand", "rerank"), count=40))
    workspace.close()


def test_too_few_interactions(tmp_path: Path) -> None:
    workspace = opened(tmp_path, people=4)
    made = build_dataset(workspace, DataOptions(count=40, validation=10))
    assert "rerank" not in made.counts()
    assert "choices to learn from" in made.notes[0]
    with pytest.raises(ConfigError, match="20 and 4 are needed"):
        build_dataset(workspace, DataOptions(skills=("prefer",), count=40))
    workspace.close()


def test_undated_interactions_are_said(tmp_path: Path) -> None:
    workspace = opened(tmp_path, dated=False)
    made = build_dataset(workspace, DataOptions(skills=("rerank",), count=40, validation=10))
    assert "no time" in made.notes[0]
    assert made.split["choices"]["order"] == "position"  # type: ignore[index]
    workspace.close()


def test_own_dialogues_are_learned_first(books: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    turn = {"turns": [{"shown": 0, "act": "recommend", "text": "got owt like {Quiet Harbour|title|like}, our kid?"}]}
    plan = {"plan": [["cause", "[[liked1]]"]], "reason": "[[rec1]] is close to [[liked1]], our kid, so there you are."}
    path.write_text("".join(json.dumps(row) + "\n" for row in [turn, plan] * 30), encoding="utf-8")
    made = build_dataset(books, DataOptions(skills=("understand",), dialogues=path, count=60, validation=5))
    own = [e for e in made.train if "our kid" in e.messages[0].content]
    assert len(own) >= 25
    assert json.loads(own[0].answer) == {"act": "recommend", "roles": {"s1": "like"}}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"words": 1}', "neither"),
        ('{"turns": [{"shown": 0, "act": "dance", "text": "x"}]}', "row 2"),
        ('{"plan": [["cause", "[[nobody]]"]], "reason": "x"}', "malformed reference"),
        ('{"turns": ', "row 2"),
    ],
)
def test_bad_dialogues_name_the_row(books: Workspace, tmp_path: Path, line: str, problem: str) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text('{"turns": [{"shown": 0, "act": "restart", "text": "again"}]}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(DataFileError, match=problem):
        build_dataset(books, DataOptions(dialogues=path, count=40))
    with pytest.raises(DataFileError, match="can't be read"):
        build_dataset(books, DataOptions(dialogues=tmp_path / "none.jsonl", count=40))
