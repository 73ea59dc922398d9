"""The second reader's training: examples from the linker's real output, a loss that falls, a folder that serves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from vouchrec.agent.annotations import AuthoredTurn, parse_annotation
from vouchrec.agent.link import Linker, Screen
from vouchrec.agent.llm.tagger import ROLES, SpanTagger, load_tagger_tokenizer
from vouchrec.agent.types import ACTS
from vouchrec.finetune.tagger import TaggerConfig, tag_example, tag_examples, train_tagger
from vouchrec.retrieval.build import builtin_domain, builtin_items
from vouchrec.retrieval.catalogue import Catalogue
from vouchrec.retrieval.errors import ConfigError


def turn(marked: str, act: str, shown: int = 0) -> AuthoredTurn:
    text, annotations = parse_annotation(marked)
    return AuthoredTurn("g", text, annotations, act, shown)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def linker() -> Linker:
    catalogue = Catalogue(builtin_items(), builtin_domain())
    return Linker(catalogue, np.zeros(len(catalogue), np.float32))


TURNS = [
    turn("a {comedy|genres|must} but no {horror|genres|exclude}", "recommend"),
    turn("thanks, that was kind", "smalltalk", 5),
]


def test_examples_take_their_roles_from_the_annotation(linker: Linker) -> None:
    example = tag_example(TURNS[0], linker, load_tagger_tokenizer(), Screen())
    assert [ROLES[r] for r in example.roles] == ["must", "exclude"]
    assert ACTS[example.act] == "recommend"
    assert all(row[role] for row, role in zip(example.allowed, example.roles, strict=True))


@pytest.mark.slow
def test_what_was_learnt_is_read_back(linker: Linker, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    examples = list(tag_examples(TURNS, linker, load_tagger_tokenizer(), copies=4, seed=1))
    config = TaggerConfig(copies=4, epochs=40, batch=8, warmup=5, rate=3e-4)
    found = train_tagger(config, examples, examples, tmp_path / "tagger")
    torch.set_num_threads(threads)
    assert found["act"] == 1.0
    assert found["role"] >= 0.9
    assert not (tmp_path / "tagger.tmp").exists()
    text = TURNS[0].text
    opinion = SpanTagger(tmp_path / "tagger").read(text, linker.link(text), 0, "")
    assert [max(r, key=lambda k: r[k]) for r in opinion.roles] == ["must", "exclude"]


def test_nothing_to_learn_from(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no messages"):
        train_tagger(TaggerConfig(), [], [], tmp_path / "out")
