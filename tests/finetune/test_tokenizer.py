from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from vouchrec.finetune.tokenizer import (
    FORMAT_TOKENS,
    SPECIAL_TOKENS,
    load_tokenizer,
    render_chat,
    span,
    train_tokenizer,
)

MESSAGES = [
    {"role": "system", "content": 'plan: [[rec1.cast]] "Ada Stone"'},
    {"role": "user", "content": "I loved [s1|title|Alien] , more [s24|genres|horror]?"},
    {"role": "assistant", "content": "[[rec1]] has [[rec1.cast]], as [[liked3]] has [[liked3.moods]]."},
]


def ids(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize(("before", "after"), [("", ""), ("x", "y"), (" ", " "), ("[", "."), ("\n", "1")])
def test_reserved_token_is_one_id_anywhere(small_tokenizer: PreTrainedTokenizerFast, before: str, after: str) -> None:
    for token in (*SPECIAL_TOKENS, *FORMAT_TOKENS):
        text = before + token + after
        assert ids(small_tokenizer, text) == [
            *ids(small_tokenizer, before),
            small_tokenizer.get_vocab()[token],
            *ids(small_tokenizer, after),
        ]
        assert small_tokenizer.decode(ids(small_tokenizer, text)) == text


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=12), st.sampled_from(FORMAT_TOKENS)), max_size=8))
def test_any_text_round_trips(small_tokenizer: PreTrainedTokenizerFast, parts: list[str]) -> None:
    text = "".join(parts).replace("<|", "")
    assert small_tokenizer.decode(ids(small_tokenizer, text), skip_special_tokens=True) == text


def test_format_tokens_survive_skipping_special_ones(small_tokenizer: PreTrainedTokenizerFast) -> None:
    found = small_tokenizer.decode(ids(small_tokenizer, render_chat(MESSAGES[2:])), skip_special_tokens=True)
    assert found == MESSAGES[2]["content"]


def test_digits_are_single_and_case_is_kept(small_tokenizer: PreTrainedTokenizerFast) -> None:
    pieces = [small_tokenizer.decode([one]) for one in ids(small_tokenizer, "In 1979, 12 MEN")]
    assert [piece.strip() for piece in pieces if any(mark.isdigit() for mark in piece)] == list("197912")
    assert "".join(pieces) == "In 1979, 12 MEN"


def test_words_of_the_format_are_single_tokens(small_tokenizer: PreTrainedTokenizerFast) -> None:
    assert len(ids(small_tokenizer, "[s3|genres|horror]")) == 5
    assert len(ids(small_tokenizer, "[[rec1.directors]]")) == 3


def test_chat_template_is_the_training_text(small_tokenizer: PreTrainedTokenizerFast) -> None:
    assert small_tokenizer.apply_chat_template(MESSAGES, tokenize=False) == render_chat(MESSAGES)
    assert (
        small_tokenizer.apply_chat_template(MESSAGES[1:2], tokenize=False, add_generation_prompt=True)
        == "<|bos|><|user|>I loved [s1|title|Alien] , more [s24|genres|horror]?<|end|><|assistant|>"
    )


def test_saved_tokenizer_is_the_same(small_tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    small_tokenizer.save_pretrained(tmp_path)
    assert not [path.name for path in tmp_path.iterdir() if path.suffix in {".pkl", ".bin", ".model"}]
    text = render_chat(MESSAGES)
    for loaded in (load_tokenizer(tmp_path), AutoTokenizer.from_pretrained(tmp_path)):
        assert loaded(text)["input_ids"] == ids(small_tokenizer, text)
        assert loaded.apply_chat_template(MESSAGES, tokenize=False) == text
        assert (loaded.bos_token, loaded.eos_token, loaded.pad_token) == ("<|bos|>", "<|end|>", "<|pad|>")


def test_errors_are_clear(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="vocab_size must be at least 311"):
        train_tokenizer(["a"], vocab_size=300)
    with pytest.raises(FileNotFoundError, match="train one first"):
        load_tokenizer(tmp_path)
    with pytest.raises(ValueError, match="role must be one of"):
        render_chat([{"role": "tool", "content": "x"}])
    with pytest.raises(ValueError, match="1 to 24"):
        span(25, "title", "Alien")


def test_span_text_cannot_end_the_span() -> None:
    assert span(2, "title", "[REC] | 2]]") == "[s2|title|REC  2]"
