"""From the data to ranked test cases: choose on validation, learn the blend out of fold, fit on everything, measure once."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from vouchrec.evals.redial.blend import Blend, Choices, fit_blend
from vouchrec.evals.redial.data import Dialogue, read_dialogues, read_films
from vouchrec.evals.redial.evaluate import Row, rank_targets, repeat_scores
from vouchrec.evals.redial.features import Catalogue, Floats, events_of
from vouchrec.evals.redial.protocol import PROTOCOLS, Case, Protocol, check_disjoint, make_cases
from vouchrec.evals.redial.recover import Recovered, recover
from vouchrec.evals.redial.signals import COUNT_GROUPS, Signals, group_of, mask_of, wanted_of
from vouchrec.evals.redial.split import Block, make_blocks
from vouchrec.evals.redial.vectors import ContextVectors
from vouchrec.retrieval.embed import Embedder

__all__ = ["Benchmark", "Outcome", "Settings", "Timing", "open_benchmark", "run", "run_test"]

_log = logging.getLogger(__name__)
BASELINES: Mapping[str, str] = {"popularity": "popularity", "co-mention": "together", "context ridge": "ridge_log"}
"""Methods that are one signal alone."""
REPEAT, BLEND = "repeat the context", "Vouch blend"


@dataclass(frozen=True, slots=True)
class Settings:
    """What is chosen on validation.

    Attributes:
        blocks: Validation blocks of workers.
        l2, group_l2: Penalties of the blend.
        learn_cases: Most cases per block from which weights are learnt.
        seed: Of everything that is drawn.
        use_recovered: Whether dialogues with recovered ids are learnt from.
    """

    blocks: int = 3
    l2: float = 1.0
    group_l2: float = 10.0
    learn_cases: int = 1200
    seed: int = 0
    use_recovered: bool = True


@dataclass(frozen=True, slots=True)
class Benchmark:
    """The data, checked.

    Attributes:
        catalogue: All films.
        labelled, recovered, test: Dialogues; no test dialogue and no test worker among the others.
        source: What the recovery found.
    """

    catalogue: Catalogue
    labelled: tuple[Dialogue, ...]
    recovered: tuple[Dialogue, ...]
    test: tuple[Dialogue, ...]
    source: Recovered


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of processor time.

    Attributes:
        fit: All models on all dialogues.
        per_case: Scoring one context for all films.
    """

    fit: float
    per_case: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run gives.

    Attributes:
        rows: Validation rows or test rows, all methods and protocols.
        blends: The weights for new films (dedup) and for all films of a turn (standard).
        cases: That were measured.
        timing: None for validation.
    """

    rows: tuple[Row, ...]
    blends: Mapping[Protocol, Blend]
    cases: tuple[Case, ...]
    timing: Timing | None


@dataclass(frozen=True, slots=True)
class _Scored:
    """A block's validation cases with their signals, (n, n films, n signals)."""

    names: tuple[str, ...]
    cases: tuple[Case, ...]
    signals: Floats


def open_benchmark(data: Path, settings: Settings) -> Benchmark:
    """Read `redial/` below a folder.

    Raises:
        DataFileError: A file is absent or malformed.
        ConfigError: A test dialogue, or a worker of one, is among the training dialogues.
    """
    folder = data / "redial"
    films = read_films(folder)
    labelled, test = read_dialogues(folder / "train.jsonl.xz"), read_dialogues(folder / "test.jsonl.xz")
    source = recover(folder / "all_dialogs_text.jsonl.xz", films, test=test, labelled=labelled)
    recovered = source.dialogues if settings.use_recovered else ()
    check_disjoint([*labelled, *recovered], test)
    return Benchmark(Catalogue.of(films), tuple(labelled), tuple(recovered), tuple(test), source)


def run(
    bench: Benchmark, settings: Settings, embedder: Embedder | None, folder: Path, *, test: bool, progress: bool = False
) -> Iterator[tuple[str, Outcome]]:
    """Measure by worker-disjoint validation, and where asked for on the test dialogues.

    In validation a block is ranked with weights learnt on the other blocks; each block's signals come from dialogues without its
    workers. For the test the weights are those of all blocks, and the models learn from all training dialogues.

    Args:
        bench: The data.
        settings: Chosen on validation.
        embedder: For the signals of meaning; None leaves them out.
        folder: Where sentence vectors are kept.
        test: Open the test too.
        progress: Show bars.

    Yields:
        "validation" and its outcome; then, where it is opened, "test" and its outcome.
    """
    vectors = None if embedder is None else ContextVectors(bench.catalogue, embedder, folder)
    blocks = make_blocks(bench.labelled, bench.recovered, settings.blocks)
    if vectors is not None:
        known = (*bench.labelled, *bench.recovered)
        held = bench.test if test else ()
        films = bench.catalogue.column
        vectors.prepare([*events_of(known, films), *make_cases((*bench.labelled, *held), films)], progress=progress)
    scored = [
        _score_block(bench.catalogue, block, vectors, settings)
        for block in tqdm(blocks, desc="validation blocks", disable=not progress)
    ]
    validation = _validate(bench.catalogue, scored, settings)
    del scored
    yield "validation", validation
    if test:
        yield "test", _open_test(bench, vectors, validation.blends)


def run_test(
    bench: Benchmark,
    blends: Mapping[Protocol, Blend],
    embedder: Embedder | None,
    folder: Path,
    *,
    progress: bool = False,
) -> Outcome:
    """Measure on the test dialogues with weights that an earlier validation learnt.

    Args:
        bench: The data.
        blends: Of the validation, whose embedder must have been the same.
        embedder, folder, progress: As for `run`.
    """
    vectors = None if embedder is None else ContextVectors(bench.catalogue, embedder, folder)
    if vectors is not None:
        films = bench.catalogue.column
        known = events_of((*bench.labelled, *bench.recovered), films)
        vectors.prepare([*known, *make_cases(bench.test, films)], progress=progress)
    return _open_test(bench, vectors, blends)


def _score_block(catalogue: Catalogue, block: Block, vectors: ContextVectors | None, settings: Settings) -> _Scored:
    signals = Signals(catalogue, vectors)
    signals.fit([*block.train, *block.recovered])
    cases = make_cases(block.validation, catalogue.column)
    if len(cases) > settings.learn_cases:
        drawn = np.random.default_rng(settings.seed).permutation(len(cases))[: settings.learn_cases]
        cases = [cases[number] for number in sorted(drawn.tolist())]
    found = signals.score(cases)
    return _Scored(tuple(found), tuple(cases), np.stack(list(found.values()), axis=2))


def _learn(catalogue: Catalogue, scored: Sequence[_Scored], settings: Settings) -> dict[Protocol, Blend]:
    """Return one blend for new films, which never ranks what was mentioned, and one for all films of a turn."""
    blends: dict[Protocol, Blend] = {}
    for protocol in ("dedup", "standard"):
        choices = [
            Choices(
                own.signals,
                mask_of(own.cases, catalogue) & (protocol == "dedup"),
                wanted_of(own.cases, catalogue, protocol),
                group_of(own.cases),
            )
            for own in scored
        ]
        blends[protocol] = fit_blend(
            scored[0].names, choices, l2=settings.l2, group_l2=settings.group_l2, groups=COUNT_GROUPS
        )
    return blends


def _validate(catalogue: Catalogue, scored: Sequence[_Scored], settings: Settings) -> Outcome:
    rows: list[Row] = []
    for number, own in enumerate(scored):
        others = [other for place, other in enumerate(scored) if place != number]
        rows += _rows(own, _learn(catalogue, others or [own], settings), catalogue)
    cases = tuple(case for own in scored for case in own.cases)
    return Outcome(tuple(rows), _learn(catalogue, scored, settings), cases, None)


def _open_test(bench: Benchmark, vectors: ContextVectors | None, blends: Mapping[Protocol, Blend]) -> Outcome:
    signals = Signals(bench.catalogue, vectors)
    start = time.process_time()
    signals.fit([*bench.labelled, *bench.recovered])
    fitted = time.process_time() - start
    cases = make_cases(bench.test, bench.catalogue.column)
    rows: list[Row] = []
    start = time.process_time()
    for first in range(0, len(cases), 512):
        part = cases[first : first + 512]
        found = signals.score(part)
        scored = _Scored(tuple(found), tuple(part), np.stack(list(found.values()), axis=2))
        rows += _rows(scored, blends, bench.catalogue)
    spent = (time.process_time() - start) / max(len(cases), 1)
    return Outcome(tuple(rows), blends, tuple(cases), Timing(fitted, spent))


def _rows(scored: _Scored, blends: Mapping[Protocol, Blend], catalogue: Catalogue) -> list[Row]:
    """Return the rows of the baselines and of the blend; what was mentioned is left in the ranking by the standard blend."""
    methods: dict[str, Floats] = {REPEAT: repeat_scores(scored.cases, catalogue)}
    for name, signal in BASELINES.items():
        methods[name] = scored.signals[:, :, scored.names.index(signal)]
    groups = group_of(scored.cases)
    own = {protocol: blend.score(scored.signals, groups) for protocol, blend in blends.items()}
    rows: list[Row] = []
    for protocol in PROTOCOLS:
        learnt = own["dedup" if protocol == "dedup" else "standard"]
        for name, scores in {**methods, BLEND: learnt}.items():
            rows += rank_targets(name, scores, scored.cases, catalogue, protocol)
    return rows
