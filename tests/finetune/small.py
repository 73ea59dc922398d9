"""A small workspace with dated likes, and tiny bases of three architectures: what the tests of fine-tuning run on."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from vouchrec.retrieval.build import init_workspace
from vouchrec.retrieval.embed import Embedder

KINDS = ("llama", "gpt2", "gpt_neox")
TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SUBJECTS = ("sea", "gardens", "war", "cooking", "mountains", "chess")
DOMAIN = """
[item]
noun = "book"
plural = "books"
nouns = ["novel", "novels", "books"]
consume = "read"
consumed = "read"
recency = "year"

[attributes.subjects]
label = "subject"
phrase = "about {value}"

[attributes.authors]
label = "author"
phrase = "written by {value}"
people = true
cues = ["written by", "by"]
words = ["author", "writer", "wrote"]

[attributes.year]
kind = "number"
quantity = "year"
phrase = "from {value}"
lower = ["older"]
higher = ["newer"]
"""
AUTHORS = ("Ada Stone", "Ben Wood", "Cleo Marsh", "Dan Field", "Eve Brook", "Finn Vale")
FIRST = ("Quiet", "Burning", "Paper", "Hidden", "Silver", "Distant", "Broken", "Winter")
SECOND = ("Harbour", "Orchard", "Letters", "Kitchen", "Summit", "Gambit")


def make_workspace(folder: Path, embedder: Embedder, *, people: int = 60, dated: bool = True) -> Path:
    """48 books of six subjects; everyone reads one subject, in the order of time."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(3)
    books: list[dict[str, object]] = []
    for number, (first, second) in enumerate((f, s) for f in FIRST for s in SECOND):
        subject = SUBJECTS[number % 6]
        books.append(
            {
                "id": f"b{number}",
                "title": f"{first} {second}",
                "subjects": [subject, SUBJECTS[(number // 6) % 6]],
                "authors": [AUTHORS[(number + number // 7) % 6]],
                "year": 1950 + number,
                "description": f"A book about {subject}.",
            }
        )
    (folder / "books.jsonl").write_text("".join(json.dumps(b) + "\n" for b in books), encoding="utf-8")
    (folder / "books.toml").write_text(DOMAIN, encoding="utf-8")
    ratings = folder / "ratings.csv"
    with ratings.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["user", "item", "value", "time"] if dated else ["user", "item", "value"])
        for person in range(people):
            own = [f"b{n}" for n in range(48) if n % 6 == person % 6]
            rng.shuffle(own)
            others = [f"b{n}" for n in rng.sample(range(48), 3) if f"b{n}" not in own]
            for position, book in enumerate(own):
                moment = 1_500_000_000 + position * 86_400 + person
                table.writerow([f"u{person}", book, rng.choice((4, 5)), *([moment] if dated else [])])
            for position, book in enumerate(others):
                moment = 1_500_000_000 + position * 86_400 + person + 5
                table.writerow([f"u{person}", book, 1, *([moment] if dated else [])])
    init_workspace(
        folder / "workspace",
        folder / "books.jsonl",
        interactions=ratings if people else None,
        domain=folder / "books.toml",
        embedder=embedder,
    )
    return folder / "workspace"


def make_tokenizer(*, template: bool = True) -> PreTrainedTokenizerFast:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=["<|pad|>", "<|end|>", "<|user|>", "<|assistant|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = ['{"act":"recommend","roles":{"s1":"like"}} task: understand message: shown: liked: rerank prefer reason']
    core.train_from_iterator([*texts, *(f"{a} {b}" for a in FIRST for b in SECOND)] * 9, trainer)
    made = PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<|pad|>", eos_token="<|end|>")
    if template:
        made.chat_template = TEMPLATE
    return made


def make_model(kind: str, vocabulary: int, *, hidden: int = 32) -> PreTrainedModel:
    torch.manual_seed(2)
    shared = {"vocab_size": vocabulary, "bos_token_id": 1, "eos_token_id": 1, "initializer_range": 0.2}
    if kind == "llama":
        return LlamaForCausalLM(
            LlamaConfig(
                hidden_size=hidden, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
                num_key_value_heads=1, max_position_embeddings=1024, pad_token_id=0, **shared,
            )
        )  # fmt: skip
    if kind == "gpt2":
        return GPT2LMHeadModel(GPT2Config(n_embd=hidden, n_layer=2, n_head=2, n_positions=1024, **shared))
    return GPTNeoXForCausalLM(
        GPTNeoXConfig(
            hidden_size=hidden, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
            max_position_embeddings=1024, **shared,
        )
    )  # fmt: skip


def make_base(folder: Path, kind: str, *, template: bool = True, hidden: int = 32) -> Path:
    tokenizer = make_tokenizer(template=template)
    make_model(kind, len(tokenizer), hidden=hidden).save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    return folder
