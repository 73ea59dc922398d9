"""The examples that `vouch finetune` learns from: a workspace and perhaps a file of dialogues -> three skills, split.

Understanding: authored messages brought to the catalogue, a grammar over its domain, and the user's own annotated dialogues.
Reasons: authored wordings over plans sampled from the workspace. Re-ranking: choices of its people, split along time. What is
held out is held out by line (messages, reasons) and by time (choices); the latest choices are touched by evaluation alone.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from tqdm import tqdm

from vouchrec.agent.annotations import AuthoredTurn, read_messages
from vouchrec.agent.link import Linker, Screen
from vouchrec.finetune.choices import preference_examples, rerank_examples
from vouchrec.finetune.examples import (
    AUTHORED,
    AuthoredReason,
    Example,
    read_reasons,
    split_groups,
    understanding_example,
)
from vouchrec.finetune.grammar import Grammar
from vouchrec.finetune.translate import Translator
from vouchrec.finetune.wording import Wordings, reason_examples_of
from vouchrec.retrieval.build import builtin_domain
from vouchrec.retrieval.errors import ConfigError, DataFileError
from vouchrec.retrieval.scorers.registry import default_l2
from vouchrec.retrieval.timeline import Proposer, Timeline, split_timeline
from vouchrec.retrieval.workspace import Workspace

Skill: TypeAlias = Literal["understand", "reason", "rerank", "prefer"]
SKILLS: tuple[Skill, ...] = get_args(Skill)
LEAST_EXAMPLES = 20
"""Training examples of a skill below which learning it makes no sense."""
LEAST_VALIDATION = 4
GRAMMAR_SHARE = 0.25
"""Part of the messages that the grammar makes."""
HELD_OUT = 0.05
"""Part of the authored lines that is kept for validation."""
SPLIT_SEED = 1


@dataclass(frozen=True, slots=True)
class DataOptions:
    """What to make examples of.

    Attributes:
        skills: Which skills; empty for all that the workspace allows.
        dialogues: JSON lines of annotated turns or of plans with reasons, in the form of docs/how-to/finetune.md.
        count: Most training examples of one skill.
        validation: Most validation examples of one skill.
    """

    skills: tuple[Skill, ...] = ()
    dialogues: Path | None = None
    count: int = 4000
    validation: int = 200
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Dataset:
    """Examples, split.

    Attributes:
        notes: What the user should know of how they were made, in whole sentences.
        split: How they were split, for the card.
    """

    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    notes: tuple[str, ...] = ()
    split: Mapping[str, object] = field(default_factory=dict[str, object])

    def digest(self) -> str:
        """Return 16 hex digits that change with any example."""
        rows = [[[m.content for m in e.messages], e.answer] for part in (self.train, self.validation) for e in part]
        return hashlib.sha256(json.dumps(rows, ensure_ascii=False).encode()).hexdigest()[:16]

    def counts(self) -> dict[str, tuple[int, int]]:
        """Return (training, validation) examples by skill."""
        train, held = (Counter(e.skill for e in part) for part in (self.train, self.validation))
        return {skill: (train[skill], held[skill]) for skill in SKILLS if train[skill] or held[skill]}


def build_dataset(workspace: Workspace, options: DataOptions) -> Dataset:
    """Make the examples of a workspace.

    Raises:
        ConfigError: A skill that needs interactions is asked for and the workspace has none, or too few examples result.
        DataFileError: The dialogues file is malformed; with row and field.
    """
    notes: list[str] = []
    timeline = _timeline(workspace, options, notes)
    own_turns, own_reasons = read_dialogues(options.dialogues) if options.dialogues else ([], [])
    linker = Linker(workspace.catalogue, workspace.popularity)
    translator = Translator(builtin_domain(), workspace.catalogue)
    train: list[Example] = []
    held: list[Example] = []
    chosen = options.skills or (SKILLS if timeline else ("understand", "reason"))
    if "understand" in chosen:
        parts = _understanding(translator, linker, own_turns, options)
        train += parts[0]
        held += parts[1]
    if "reason" in chosen:
        parts = _reasons(workspace, translator, linker, own_reasons, timeline, options)
        train += parts[0]
        held += parts[1]
    if timeline and ("rerank" in chosen or "prefer" in chosen):
        parts = _choices(workspace, timeline, chosen, options)
        train += parts[0]
        held += parts[1]
    if translator.foreign:
        notes.append(f"The authored messages speak of films; their words were exchanged for {workspace.domain.plural}.")
    dataset = Dataset(tuple(train), tuple(held), tuple(notes), _split_record(timeline))
    _check_counts(dataset, chosen, asked=bool(options.skills))
    return dataset


# ---- the parts --------------------------------------------------------------------------------------------------


def _timeline(workspace: Workspace, options: DataOptions, notes: list[str]) -> Timeline | None:
    interactions = workspace.store.interactions()
    wanted = {"rerank", "prefer"} & set(options.skills)
    if not interactions:
        if wanted:
            hint = "Add them with `vouch init --interactions FILE`, or leave --skills out."
            raise ConfigError(f"{workspace.folder} has no interactions, which {min(wanted)} learns from.", hint=hint)
        notes.append("The workspace has no interactions: re-ranking is not learned, and no reason names a cause.")
        return None
    timeline = split_timeline(interactions, [item.id for item in workspace.catalogue.items])
    if timeline.order == "position":
        notes.append("Some interactions have no time: each person's order in the file stands in for it.")
    if len(timeline.train) < LEAST_EXAMPLES or len(timeline.validation) < LEAST_VALIDATION or not timeline.fit:
        problem = (
            f"{len(interactions)} interactions leave {len(timeline.train)} choices to learn from and "
            f"{len(timeline.validation)} to check with; {LEAST_EXAMPLES} and {LEAST_VALIDATION} are needed"
        )
        if wanted:
            raise ConfigError(f"{problem}.", hint="Add interactions, or leave --skills out.")
        notes.append(f"{problem}: re-ranking is not learned.")
        return None
    return timeline


def _understanding(
    translator: Translator, linker: Linker, own: Sequence[AuthoredTurn], options: DataOptions
) -> tuple[list[Example], list[Example]]:
    """Return (train, validation) examples of reading messages; copies of the authored lines until there are enough."""
    rng = random.Random(options.seed)
    authored = read_messages(sorted(AUTHORED.glob("messages_*.jsonl")))
    kept = split_groups([t.group for t in (*authored, *own)], held_out=HELD_OUT, seed=SPLIT_SEED)
    held = _linked(_drawn([t for t in authored if t.group in kept], translator, rng, options.validation), linker, rng)
    held += _linked([t for t in own if t.group in kept], linker, rng)
    grammar = list(Grammar(linker.catalogue).turns(round(options.count * GRAMMAR_SHARE), rng))
    mine = [t for t in own if t.group not in kept]
    room = max(0, options.count - len(grammar) - len(mine))
    drawn = _drawn([t for t in authored if t.group not in kept], translator, rng, room)
    return _linked([*mine, *drawn, *grammar], linker, rng), held


def _drawn(turns: Sequence[AuthoredTurn], translator: Translator, rng: random.Random, count: int) -> list[AuthoredTurn]:
    """Return `count` messages in the catalogue's words: all authored ones that have them, again and again with other names."""
    found: list[AuthoredTurn] = []
    order = list(turns)
    while len(found) < count:
        rng.shuffle(order)
        before = len(found)
        found += [varied for turn in order if (varied := translator.turn(turn, rng)) is not None]
        if len(found) == before:
            break
    return found[:count]


def _linked(turns: Sequence[AuthoredTurn], linker: Linker, rng: random.Random) -> list[Example]:
    ids = [item.id for item in linker.catalogue.items]
    found: list[Example] = []
    for turn in tqdm(turns, desc="messages", leave=False, disable=None):
        shown = tuple(rng.sample(ids, min(turn.shown, len(ids))))
        found.append(understanding_example(turn, linker, Screen(shown, shown[0] if len(shown) == 1 else None)))
    return found


def _reasons(
    workspace: Workspace,
    translator: Translator,
    linker: Linker,
    own: Sequence[AuthoredReason],
    timeline: Timeline | None,
    options: DataOptions,
) -> tuple[list[Example], list[Example]]:
    authored = read_reasons(sorted(AUTHORED.glob("reasons_*.jsonl")))
    translated = [r for r in map(translator.reason, authored) if r is not None]
    every = [*translated, *own]
    kept = split_groups([r.group for r in every], held_out=HELD_OUT, seed=SPLIT_SEED)
    train = Wordings([r for r in every if r.group not in kept], linker)
    check = Wordings([r for r in every if r.group in kept], linker)
    made = reason_examples_of(workspace, train, timeline, count=options.count, seed=options.seed)
    held = reason_examples_of(workspace, check, timeline, count=options.validation, seed=options.seed + 1)
    known = {e.messages for e in made}
    return made, [e for e in held if e.messages not in known]


def _choices(
    workspace: Workspace, timeline: Timeline, chosen: Sequence[Skill], options: DataOptions
) -> tuple[list[Example], list[Example]]:
    catalogue = workspace.catalogue
    popular = sorted({e.item for e in timeline.fit})
    made: tuple[list[Example], list[Example]] = ([], [])
    proposer = past_proposer(timeline) if "rerank" in chosen else None
    for place, choices, count in (
        (0, timeline.train, options.count),
        (1, timeline.validation, options.validation),
    ):
        if proposer is not None:
            made[place].extend(rerank_examples(choices, proposer, catalogue, count=count, seed=options.seed))
        if "prefer" in chosen:
            made[place].extend(preference_examples(choices, popular, catalogue, count=count, seed=options.seed))
    return made


def past_proposer(timeline: Timeline) -> Proposer:
    """Return the scorer that proposes candidates, fitted on the time before every choice."""
    return Proposer(timeline.fit, l2=default_l2(len(timeline.fit), len({e.item for e in timeline.fit})))


# ---- the user's own dialogues -----------------------------------------------------------------------------------


def read_dialogues(path: Path) -> tuple[list[AuthoredTurn], list[AuthoredReason]]:
    """Read the user's own annotated turns (`{"turns": [...]}`) and reasons (`{"plan": [...], "reason": ...}`).

    Raises:
        DataFileError: The file is absent, or a line is neither; with row.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataFileError(path, f"can't be read: {getattr(error, 'strerror', None) or error}") from error
    for number, line in enumerate(lines, start=1):
        if line.strip() and '"turns"' not in line and '"plan"' not in line:
            raise DataFileError(path, 'has neither "turns" nor "plan"', row=number, hint="See docs/how-to/finetune.md.")
    return read_messages([path], only='"turns"'), read_reasons([path], only='"plan"')


def _split_record(timeline: Timeline | None) -> dict[str, object]:
    record: dict[str, object] = {"messages and reasons": f"by authored line, {HELD_OUT:.0%} for validation"}
    if timeline is not None:
        record["choices"] = {
            "order": timeline.order,
            "cuts": list(timeline.cuts),
            "fit, train, validation, test": [
                len(timeline.fit), len(timeline.train), len(timeline.validation), len(timeline.test),
            ],
            "digest": timeline.digest(),
        }  # fmt: skip
    return record


def _check_counts(dataset: Dataset, chosen: Sequence[Skill], *, asked: bool) -> None:
    counts = dataset.counts()
    for skill in chosen:
        train, held = counts.get(skill, (0, 0))
        few = train < LEAST_EXAMPLES or held < 1
        if few and (asked or skill in ("understand", "reason")):
            problem = f"There are too few examples of '{skill}': {train} to learn from, {held} to check with."
            hint = f"At least {LEAST_EXAMPLES} and 1 are needed: add items, interactions or --dialogues, or choose --skills."
            raise ConfigError(problem, hint=hint)
