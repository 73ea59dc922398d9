import json
import os
import random
import re
from pathlib import Path

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from vouchrec.finetune import corpus, sources
from vouchrec.finetune.corpus import WEIGHTS, Shards, build_shards, documents, load_shards
from vouchrec.finetune.formats import plan_documents, span_documents
from vouchrec.finetune.sources import Film, OfficialTest, RedialDialogue, dialogue_document

PLANNED = re.compile(r'(\[\[[a-z0-9.]+\]\]) "')


def texts(data: Path, name: str) -> list[str]:
    return [document.text for document in documents(data)[name]()]


def test_every_source_has_documents_and_a_weight(small_data: Path) -> None:
    assert set(documents(small_data)) == set(WEIGHTS)
    assert sum(WEIGHTS.values()) == pytest.approx(1)
    for name in WEIGHTS:
        found = texts(small_data, name)
        assert found, name
        assert all(text.startswith("<|bos|>") and text.endswith("<|end|>") for text in found)


@pytest.mark.parametrize("name", ["redial", "spans"])
def test_no_test_dialogue_is_used(small_data: Path, name: str) -> None:
    found = texts(small_data, name)
    assert len(found) == 150
    assert not re.search("volcano|penguin|submarine|xerxes|yvonne", " ".join(found), re.IGNORECASE)


def test_without_the_test_file_no_redial_text_is_read(small_data: Path, tmp_path: Path) -> None:
    (tmp_path / "redial").mkdir()
    (tmp_path / "redial" / "all_dialogs_text.jsonl.xz").write_bytes(
        (small_data / "redial" / "all_dialogs_text.jsonl.xz").read_bytes()
    )
    with pytest.raises(FileNotFoundError, match=r"test\.jsonl\.xz"):
        texts(tmp_path, "redial")


def test_dialogues_have_the_roles_of_seeker_and_recommender(small_data: Path) -> None:
    assert texts(small_data, "redial")[2] == "<|bos|><|user|>Hi 2<|end|><|assistant|>See Deep Water 2<|end|>"


def test_turns_of_one_speaker_are_joined_and_repeats_dropped() -> None:
    turns = [("user", "Hi"), ("user", "Hi"), ("user", " there\n"), ("assistant", "Yes")]
    assert dialogue_document(turns, "k").text == "<|bos|><|user|>Hi there<|end|><|assistant|>Yes<|end|>"


def test_a_plan_lists_exactly_the_references_of_its_text(small_data: Path) -> None:
    found = texts(small_data, "plans")
    for text in found:
        plan, _, said = text.partition("<|end|><|assistant|>")
        assert set(PLANNED.findall(plan)) == set(re.findall(r"\[\[[a-z0-9.]+\]\]", said))
        assert "Film Number" not in said
    assert any("[[liked1.cast]]" in text for text in found)


def test_a_plan_takes_whole_lists_and_no_sentence_end() -> None:
    lead = "Pool is a 2002 comedy film directed by Mo B. Hill. It stars Ada Stone, Ben Wood and Al Marsh."
    film = Film("Pool", 2002, ("Ada Stone",), ("Comedy",), lead)
    text = next(iter(plan_documents([film] * 9, random.Random(3)))).text
    values = dict(re.findall(r'\[\[([a-z0-9.]+)\]\] "([^"]*)"', text))
    assert values["rec1.directors"] == "Mo B. Hill"
    assert values.get("rec1.cast", "Ada Stone, Ben Wood and Al Marsh") == "Ada Stone, Ben Wood and Al Marsh"


def test_spans_wrap_titles_genres_people_and_years() -> None:
    turns = (("user", "I loved @7 , any scary film with Ada Stone from 1999?"), ("user", "or @8"))
    dialogue = RedialDialogue(turns, {"7": "Deep Water (1999)"}, "k")
    (found,) = span_documents([dialogue], frozenset({"ada stone"}), random.Random(0))
    assert found.text == (
        "<|bos|><|user|>I loved [s1|title|Deep Water] , any [s2|genres|scary] film with [s3|person|Ada Stone] "
        "from [s4|year|1999]? or @8<|end|>"
    )


def test_spans_stop_at_the_last_opener() -> None:
    dialogue = RedialDialogue((("user", "@7 " * 30),), {"7": "Up (2009)"}, "k")
    (found,) = span_documents([dialogue], frozenset(), random.Random(0))
    assert found.text.count("|title|Up]") == 24
    assert found.text.count(" Up") == 6


def test_shards_hold_the_documents_once(
    small_data: Path, small_shards: Shards, small_tokenizer: PreTrainedTokenizerFast
) -> None:
    for name in WEIGHTS:
        both = np.concatenate([small_shards.train[name], small_shards.held_out[name]])
        decoded = small_tokenizer.decode(both.tolist())
        assert sorted(decoded.split("<|bos|>")[1:]) == sorted(
            text.removeprefix("<|bos|>") for text in texts(small_data, name)
        )
    assert any(len(ids) for ids in small_shards.held_out.values())


def test_unfinished_or_foreign_shards_are_not_used(
    small_data: Path, small_tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    (tmp_path / "redial.bin").write_bytes(b"\x01\x00")
    with pytest.raises(FileNotFoundError, match="no finished corpus"):
        load_shards(tmp_path)
    (tmp_path / "corpus.json").write_text(json.dumps({"made_of": {"vocabulary": 1, "seed": 0}, "sources": {}}))
    build_shards(small_data, tmp_path, small_tokenizer)
    before = (tmp_path / "redial.bin").stat()
    assert before.st_size > 2
    build_shards(small_data, tmp_path, small_tokenizer)
    assert (tmp_path / "redial.bin").stat().st_mtime_ns == before.st_mtime_ns


def test_missing_data_sets_are_named(small_tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    (tmp_path / "sgd").mkdir()
    with pytest.raises(FileNotFoundError, match="lacks: redial, topical-chat"):
        build_shards(tmp_path, tmp_path / "out", small_tokenizer)
    with pytest.raises(FileNotFoundError, match="lacks"):
        corpus.train_corpus_tokenizer(tmp_path)


@pytest.mark.data
@pytest.mark.skipif("VOUCH_DATA" not in os.environ, reason="VOUCH_DATA does not name the folder of public data sets")
@pytest.mark.parametrize("name", ["redial", "spans"])
def test_no_real_test_dialogue_is_used(name: str) -> None:
    data = Path(os.environ["VOUCH_DATA"])
    # Told apart from the reader's own rule: rare word sequences of the test dialogues, of which no document has many.
    grams: dict[str, str] = {}
    for conversation, said in real_test_dialogues(data):
        grams |= dict.fromkeys(eight_words(said), conversation)
    kept = list(documents(data)[name]())
    assert len(kept) > 3000
    for document in kept:
        shared = [grams[gram] for gram in eight_words(plain(document.text)) if gram in grams]
        worst = max((shared.count(one) for one in set(shared)), default=0)
        assert worst < 10, document.text


def real_test_dialogues(data: Path) -> list[tuple[str, str]]:
    found = OfficialTest.read(data)
    assert len(found.ids) == 1342
    rows = sources._json_lines(data / "redial" / "test.jsonl.xz")
    return [
        (str(row["conversationId"]), " ".join(text for _, text in sources._redial_turns(row, with_titles=True)))
        for row in rows
    ]


def plain(text: str) -> str:
    return re.sub(r"<\|\w+\|>|\[s\d+\|\w+\|", " ", text)


def eight_words(text: str) -> set[str]:
    words = re.findall(r"[a-z]+", re.sub(r"\(\d{4}\)", "", text).lower())
    return {" ".join(words[at : at + 8]) for at in range(len(words) - 7)}
