"""Train the second reader: the packaged sentence encoder, fine-tuned to read acts and roles from the authored messages.

`python -m vouchrec.finetune.tagger --out DIR`; about 45 minutes on two shared cores. The embeddings stay as they are; the layers
and two small heads are learned with AdamW, linear decay and bfloat16 autocast, on the linker's real output.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm
from transformers import PreTrainedTokenizerFast

from vouchrec.agent.annotations import AuthoredTurn, read_messages, role_of
from vouchrec.agent.link import Linker, Screen
from vouchrec.agent.llm.tagger import ROLES, Range, TaggerNet, load_tagger_tokenizer, mark, save_tagger
from vouchrec.agent.redial_annotations import read_redial
from vouchrec.agent.types import ACTS
from vouchrec.finetune.examples import AUTHORED, REDIAL_ANNOTATIONS, Names, split_groups, vary
from vouchrec.retrieval.build import builtin_domain, builtin_items
from vouchrec.retrieval.catalogue import Catalogue
from vouchrec.retrieval.errors import ConfigError

log = logging.getLogger(__name__)
SPLIT_SEED = 1
ROLE_WEIGHT = 1.5
"""Weight of the roles' loss beside that of the act."""
HEAD_RATIO = 4.0
"""Learning rate of the heads, which start from nothing, over that of the layers."""
_POOL = 20
"""Batches among which examples are sorted by length, so that little is padding."""


@dataclass(frozen=True, slots=True)
class TaggerConfig:
    """One training run.

    Attributes:
        copies: Variants of every message: as written, then with other names.
        epochs: Passes over all variants.
        rate: Peak learning rate of the layers.
        held_out: Share of authored lines kept for validation.
    """

    copies: int = 4
    epochs: float = 3.0
    rate: float = 2e-4
    batch: int = 24
    warmup: int = 100
    held_out: float = 0.06
    seed: int = 1


@dataclass(frozen=True, slots=True)
class TagExample:
    """A marked message with its act, the role of each span that was read, and which roles each can have."""

    ids: tuple[int, ...]
    ranges: tuple[Range, ...]
    act: int
    roles: tuple[int, ...]
    allowed: tuple[tuple[bool, ...], ...]


def tag_example(turn: AuthoredTurn, linker: Linker, tokenizer: PreTrainedTokenizerFast, screen: Screen) -> TagExample:
    """Return one example: the message linked as in serving, roles by overlap with the annotation."""
    spans = linker.link(turn.text, screen)
    marked = mark(tokenizer, turn.text, spans, turn.shown, turn.before)
    read = spans[: len(marked.ranges)]
    roles = tuple(ROLES.index(role_of(span, turn, linker.catalogue.domain)) for span in read)
    allowed = tuple(tuple(role in span.roles for role in ROLES) for span in read)
    return TagExample(marked.ids, marked.ranges, ACTS.index(turn.act), roles, allowed)


def tag_examples(
    turns: Sequence[AuthoredTurn], linker: Linker, tokenizer: PreTrainedTokenizerFast, *, copies: int, seed: int
) -> Iterator[TagExample]:
    """Yield examples of all messages, as written and then with other names."""
    rng, names = random.Random(seed), Names(linker.catalogue)
    ids = [item.id for item in linker.catalogue.items]
    for copy in range(copies):
        for turn in tqdm(turns, desc=f"linking, copy {copy + 1} of {copies}", leave=False):
            varied = turn if copy == 0 else vary(turn, names, rng, rate=0.75)
            shown = tuple(rng.sample(ids, min(turn.shown, len(ids))))
            yield tag_example(varied, linker, tokenizer, Screen(shown, shown[0] if len(shown) == 1 else None))


def batch_loss(net: TaggerNet, batch: Sequence[TagExample]) -> torch.Tensor:
    """Return the cross-entropy of acts plus the weighted one of roles, over roles that each span can have."""
    acts, roles = net(*_padded(batch), [e.ranges for e in batch])
    loss = torch.nn.functional.cross_entropy(acts.float(), torch.tensor([e.act for e in batch]), label_smoothing=0.02)
    wanted = torch.tensor([role for e in batch for role in e.roles], dtype=torch.long)
    if len(wanted):
        legal = torch.tensor([row for e in batch for row in e.allowed], dtype=torch.bool)
        loss = loss + ROLE_WEIGHT * torch.nn.functional.cross_entropy(roles.float().masked_fill(~legal, -1e4), wanted)
    return loss


def _padded(batch: Sequence[TagExample]) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(len(e.ids) for e in batch)
    ids = torch.tensor([[*e.ids, *([0] * (width - len(e.ids)))] for e in batch])
    mask = torch.tensor([[1] * len(e.ids) + [0] * (width - len(e.ids)) for e in batch])
    return ids, mask


def evaluate(net: TaggerNet, examples: Sequence[TagExample]) -> dict[str, float]:
    """Return the accuracy of acts and of roles."""
    right_acts = right_roles = roles_seen = 0
    net.eval()
    with torch.inference_mode():
        for start in range(0, len(examples), 32):
            batch = examples[start : start + 32]
            acts, roles = net(*_padded(batch), [e.ranges for e in batch])
            right_acts += int((acts.argmax(-1) == torch.tensor([e.act for e in batch])).sum())
            wanted = torch.tensor([role for e in batch for role in e.roles], dtype=torch.long)
            if len(wanted):
                legal = torch.tensor([row for e in batch for row in e.allowed], dtype=torch.bool)
                right_roles += int((roles.masked_fill(~legal, -1e9).argmax(-1) == wanted).sum())
                roles_seen += len(wanted)
    net.train()
    return {"act": right_acts / max(1, len(examples)), "role": right_roles / max(1, roles_seen)}


def train_tagger(
    config: TaggerConfig,
    train: Sequence[TagExample],
    validation: Sequence[TagExample],
    out: Path,
    *,
    kinds: Iterable[str] | None = None,
) -> dict[str, float]:
    """Train, save, and return the validation accuracies. The finished folder appears under its name only when it is whole.

    Args:
        kinds: Kinds of parts that the authors marked; of others the reader gives no opinion that nothing is meant. All when None.

    Raises:
        ConfigError: There is nothing to learn from.
    """
    if not train:
        raise ConfigError("There are no messages to learn from.")
    torch.manual_seed(config.seed)
    net = TaggerNet()
    net.train()
    net.encoder.get_submodule("embeddings").requires_grad_(False)
    total = max(1, int(len(train) * config.epochs) // config.batch)
    heads = [*net.role.parameters(), *net.act.parameters()]
    layers = [p for p in net.encoder.parameters() if p.requires_grad]
    groups = [{"params": layers, "peak": config.rate}, {"params": heads, "peak": config.rate * HEAD_RATIO}]
    optimizer = torch.optim.AdamW(groups, lr=config.rate, weight_decay=0.01)
    batches = _batches(train, config)
    for step in tqdm(range(total), desc="second reader", unit="step"):
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * min(1.0, (step + 1) / config.warmup) * max(0.02, 1 - step / total)
        with torch.autocast("cpu", torch.bfloat16):
            loss = batch_loss(net, next(batches))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
    found = evaluate(net, validation)
    temporary = out.with_name(out.name + ".tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    about = {"config": asdict(config), "steps": total, "validation": found}
    save_tagger(net, temporary, about | ({} if kinds is None else {"kinds": sorted(kinds)}))
    shutil.rmtree(out, ignore_errors=True)
    temporary.replace(out)
    return found


def _batches(examples: Sequence[TagExample], config: TaggerConfig) -> Iterator[list[TagExample]]:
    """Yield batches of messages of like length, for ever."""
    rng = random.Random(config.seed + 1)
    size, pool = config.batch, config.batch * _POOL
    while True:
        order = list(range(len(examples)))
        rng.shuffle(order)
        parts = [sorted(order[i : i + pool], key=lambda k: len(examples[k].ids)) for i in range(0, len(order), pool)]
        batches = [part[i : i + size] for part in parts for i in range(0, len(part), size)]
        rng.shuffle(batches)
        for batch in batches:
            yield [examples[k] for k in batch]


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = TaggerConfig()
    parser.add_argument("--out", type=Path, required=True, help="folder of the finished second reader")
    parser.add_argument(
        "--data", type=Path, help="folder of the public data sets: learn from the annotated messages of ReDial too"
    )
    parser.add_argument("--copies", type=int, default=default.copies)
    parser.add_argument("--epochs", type=float, default=default.epochs)
    parser.add_argument("--rate", type=float, default=default.rate)
    parser.add_argument("--seed", type=int, default=default.seed)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    config = TaggerConfig(copies=options.copies, epochs=options.epochs, rate=options.rate, seed=options.seed)
    catalogue = Catalogue(builtin_items(), builtin_domain())
    linker, tokenizer = Linker(catalogue, np.zeros(len(catalogue), np.float32)), load_tagger_tokenizer()
    turns = read_messages(sorted(AUTHORED.glob("messages_*.jsonl")))
    turns += read_redial(options.data, REDIAL_ANNOTATIONS) if options.data else []
    kept = split_groups([t.group for t in turns], held_out=config.held_out, seed=SPLIT_SEED)
    learnt = [t for t in turns if t.group not in kept]
    train = list(tag_examples(learnt, linker, tokenizer, copies=config.copies, seed=config.seed))
    held = [t for t in turns if t.group in kept]
    validation = list(tag_examples(held, linker, tokenizer, copies=1, seed=config.seed))
    kinds = {a.kind for t in turns for a in t.annotations}
    log.info("%s", json.dumps(train_tagger(config, train, validation, options.out, kinds=kinds)))


if __name__ == "__main__":
    main()
