"""The second reader: where it is sure it corrects, where it is not the model's word stands, and plain words decide."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vouchrec.agent.assemble import open_second
from vouchrec.agent.llm.local import BUILTIN_DIR
from vouchrec.agent.llm.tagger import SpanTagger, load_tagger_tokenizer, mark
from vouchrec.agent.opinion import SURE, corrected, likeliest
from vouchrec.agent.types import Opinion, Reading, Span
from vouchrec.agent.understand import mended
from vouchrec.retrieval.errors import ModelError
from vouchrec.retrieval.types import Constraint

ALIEN = Span(0, 5, "Alien", "title", items=("alien-1979",))
HORROR = Span(10, 16, "horror", "genres", constraints=(Constraint("genres", "is", "horror"),))


def opinion(act: float, like: float, must: float) -> Opinion:
    return Opinion(
        {"critique": act, "recommend": 1 - act},
        ({"like": like, "seen": 1 - like}, {"must": must, "exclude": 1 - must}),
    )


def test_a_sure_second_reader_corrects() -> None:
    reading = Reading("recommend", ("seen", "must"))
    assert corrected(reading, opinion(0.9, 0.9, 0.9)) == Reading("critique", ("like", "must"))
    torn = Opinion({"critique": 0.4, "recommend": 0.35}, ({"like": 0.4, "seen": 0.3, "about": 0.3}, {}))
    assert max(torn.acts.values()) < SURE
    assert corrected(reading, torn) == reading, "not sure, or not read: the model's word stands"


def test_the_likeliest_reading() -> None:
    assert likeliest(Opinion({"critique": 0.4, "recommend": 0.35}, ({"like": 0.4, "seen": 0.3}, {}))) == Reading(
        "critique", ("like", "ignore")
    )


@pytest.mark.parametrize(
    ("text", "said", "role"),
    [
        ("nothing with horror", "must", "exclude"),
        ("I don't mind horror at all", "must", "ignore"),
        ("horror is fine", "prefer", "ignore"),
        ("is there nothing with horror", "exclude", "must"),
        ("some horror for tonight", "exclude", "must"),
    ],
)
def test_plain_words_decide(text: str, said: str, role: str) -> None:
    start = text.index("horror")
    span = Span(start, start + 6, "horror", "genres", constraints=HORROR.constraints)
    shares = Opinion({"recommend": 1.0}, ({"must": 0.6, "ignore": 0.1, "exclude": 0.3},))
    assert mended(text, [span], Reading("recommend", (said,)), 0, shares)[0].roles == (role,)  # type: ignore[arg-type]


def test_of_two_mentions_the_plain_no_counts() -> None:
    text = "you gave me horror. no horror please"
    spans = [
        Span(12, 18, "horror", "genres", constraints=HORROR.constraints),
        Span(23, 29, "horror", "genres", constraints=HORROR.constraints),
    ]
    assert mended(text, spans, Reading("critique", ("must", "exclude")), 3)[0].roles == ("ignore", "exclude")


def test_marks_and_their_places() -> None:
    tokenizer = load_tagger_tokenizer()
    text = "Alien was horror"
    marked = mark(tokenizer, text, [ALIEN, HORROR], 3, "something scary")
    words = tokenizer.convert_ids_to_tokens(list(marked.ids))
    assert words[:3] == ["[CLS]", "3", "shown"]
    for span, (opening, first, closing) in zip((ALIEN, HORROR), marked.ranges, strict=True):
        assert (words[opening], words[closing]) == ("[", "]")
        assert tokenizer.decode(list(marked.ids[first:closing])) == span.text.lower()


def test_the_packaged_second_reader_reads_what_stands_far_from_a_name() -> None:
    second = open_second()
    assert second is not None
    assert open_second("some/other-model") is None
    text = "Tenet was so boring i fell asleep, Inception on the other hand, wow"
    spans = [Span(0, 5, "Tenet", "title", items=("a",)), Span(35, 44, "Inception", "title", items=("b",))]
    found = second.read(text, spans, 5, "")
    assert likeliest(found).roles == ("dislike", "like")
    assert sum(found.acts.values()) == pytest.approx(1.0, abs=1e-4)
    assert set(found.roles[0]) == set(spans[0].roles), "only roles that a title can have"


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="second reader"):
        SpanTagger(tmp_path)
    source = BUILTIN_DIR / "tagger"
    (tmp_path / "tagger.safetensors").write_bytes((source / "tagger.safetensors").read_bytes()[:1000])
    (tmp_path / "tagger.json").write_bytes((source / "tagger.json").read_bytes())
    with pytest.raises(ModelError, match="can't be used"):
        SpanTagger(tmp_path)
    (tmp_path / "tagger.safetensors").write_bytes((source / "tagger.safetensors").read_bytes())
    (tmp_path / "tagger.json").write_text(json.dumps({"encoder": "0000"}), encoding="utf-8")
    with pytest.raises(ModelError, match="other encoder weights"):
        SpanTagger(tmp_path)
