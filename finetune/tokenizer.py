"""The tokenizer of the built-in language model: byte-level BPE with the reserved tokens of our text format.

The base model, the fine-tuned adapter and the serving code share it, so its ids are part of the weights: changing
anything here means training again.

A *span* is a linked part of a message, written ``[s3|genres|horror]``; a *reference* stands for a fact that code fills
in, written ``[[rec1]]`` (the recommended item), ``[[rec1.directors]]`` (one of its attributes) or ``[[liked1.cast]]``
(what it shares with an item the user liked). Openers and closers are single tokens, so that a small model emits or
copies them in one step and never misspells them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Final

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

__all__ = [
    "BOS",
    "END",
    "FORMAT_TOKENS",
    "MAX_LENGTH",
    "PAD",
    "ROLES",
    "SPAN_OPENERS",
    "SPECIAL_TOKENS",
    "VOCAB_SIZE",
    "load_tokenizer",
    "render_chat",
    "span",
    "train_tokenizer",
]

PAD: Final = "<|pad|>"
BOS: Final = "<|bos|>"
END: Final = "<|end|>"
ROLES: Final = ("system", "user", "assistant")
VOCAB_SIZE: Final = 9216
MAX_LENGTH: Final = 1024
"""Context length of the base model, in tokens."""

SPECIAL_TOKENS: Final = (PAD, BOS, END, *(f"<|{role}|>" for role in ROLES))
SPAN_OPENERS: Final = tuple(f"[s{number}|" for number in range(1, 25))
_ITEMS: Final = ("rec1", "liked1", "liked2", "liked3")
FORMAT_TOKENS: Final = (
    *SPAN_OPENERS,
    *(f"[[{item}]]" for item in _ITEMS),
    *(f"[[{item}." for item in _ITEMS),
    "]]",
    *(f"<|r{number}|>" for number in range(16)),
)
"""Kept by ``decode(..., skip_special_tokens=True)``, because they carry meaning that code reads back."""

_FORMAT_WORDS: Final = """
    recommend critique feedback ask_item explain compare profile restart smalltalk off_topic unclear ask
    act wish liked disliked seen about must must_not constraints attribute op value strength hard soft n
    references context plan none null true false is is_not any_of none_of min max like dislike why
    title year genres directors cast runtime country countries language themes moods person people text
    cause match relation popularity similar films film movie movies books music actor director
    horror comedy drama action thriller romance fantasy animation documentary family crime mystery
"""
"""Names of the record's fields and values, which the tokenizer is made to hold in few tokens each."""

CHAT_TEMPLATE: Final = (
    "{{ bos_token }}{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)

# One leading space joins a word, a digit or a run of punctuation. Digits stay single, so that years and counts are
# read and written digit by digit. Letters never join the punctuation before them: `|horror` and `.cast` keep the word.
_SPLIT: Final = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def train_tokenizer(texts: Iterable[str], *, vocab_size: int = VOCAB_SIZE) -> PreTrainedTokenizerFast:
    """Train the tokenizer on plain texts (without reserved tokens).

    Args:
        texts: documents; a few megabytes are enough.
        vocab_size: number of ids in all, reserved ones included. A tiny corpus may give fewer.

    Returns:
        The tokenizer with its chat template; store it by ``save_pretrained``.

    Raises:
        ValueError: if ``vocab_size`` has no room for the 256 bytes and the reserved tokens.
    """
    reserved = len(SPECIAL_TOKENS) + len(FORMAT_TOKENS)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    if vocab_size < reserved + len(alphabet):
        raise ValueError(f"vocab_size must be at least {reserved + len(alphabet)}, got {vocab_size}")
    core = _untrained()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - reserved, min_frequency=2, initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator(chain(texts, _drill()), trainer)
    core.add_special_tokens([_added(token, special=True) for token in SPECIAL_TOKENS])
    core.add_tokens([_added(token, special=False) for token in FORMAT_TOKENS])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token=BOS,
        eos_token=END,
        pad_token=PAD,
        model_max_length=MAX_LENGTH,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def _untrained() -> Tokenizer:
    """Byte-level BPE without merges."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    return core


def _drill() -> Iterator[str]:
    """The format's own words, often enough to be merged: they stand after a bar or a quote, so without the space."""
    words = _FORMAT_WORDS.split()
    for _ in range(500):
        yield "|".join(words)
        yield " ".join(words)


def _added(token: str, *, special: bool) -> AddedToken:
    """A token matched as it stands: inside words too, and without swallowing the spaces around it."""
    return AddedToken(token, single_word=False, lstrip=False, rstrip=False, normalized=False, special=special)


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """Read a tokenizer written by ``save_pretrained``.

    Raises:
        FileNotFoundError: if the folder has no ``tokenizer.json``.
    """
    if not (folder / "tokenizer.json").is_file():
        raise FileNotFoundError(f"{folder} holds no tokenizer.json: train one first (vouchrec.finetune.tokenizer)")
    return PreTrainedTokenizerFast.from_pretrained(folder)


def render_chat(messages: Sequence[Mapping[str, str]]) -> str:
    """Messages as one training document, the same text as the chat template gives without generation prompt.

    Args:
        messages: mappings with ``role`` (one of `ROLES`) and ``content``.

    Raises:
        ValueError: for an unknown role, which would otherwise be split into ordinary tokens.
    """
    return BOS + "".join(_turns(messages))


def _turns(messages: Iterable[Mapping[str, str]]) -> Iterator[str]:
    """Every message in its role's frame."""
    for message in messages:
        if message["role"] not in ROLES:
            raise ValueError(f"role must be one of {', '.join(ROLES)}, got {message['role']!r}")
        yield f"<|{message['role']}|>{message['content']}{END}"


def span(number: int, kind: str, text: str) -> str:
    """A linked span, as ``[s3|genres|horror]``.

    Brackets and bars inside the text are dropped: they would end the span early.

    Raises:
        ValueError: if ``number`` has no opener (1 to 24).
    """
    if not 1 <= number <= len(SPAN_OPENERS):
        raise ValueError(f"a span is numbered 1 to {len(SPAN_OPENERS)}, got {number}")
    clean = text.translate({ord(mark): None for mark in "[]|"})
    return f"{SPAN_OPENERS[number - 1]}{kind}|{clean}]"
