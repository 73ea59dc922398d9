"""The vector index on a real Chroma: what it rebuilds and when, what it never embeds twice, and what it finds."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from vouchrec.retrieval import index as index_module
from vouchrec.retrieval.errors import ModelError, WorkspaceError
from vouchrec.retrieval.index import VectorIndex
from vouchrec.retrieval.types import Embeddings
from vouchrec.retrieval.vectors import VectorFiles

N = 300
DIMENSION = 16
Opened = Callable[..., VectorIndex]


class SeededEmbedder:
    """A unit vector per text, the same on every call; counts the texts it was given."""

    def __init__(self, name: str = "seeded", dimension: int = DIMENSION) -> None:
        self.name, self.dimension, self.seen = name, dimension, []
        self.fail_after = 10**9

    def encode(self, texts: Sequence[str], *, bar: object = None) -> Embeddings:
        if len(self.seen) + len(texts) > self.fail_after:
            raise KeyboardInterrupt
        self.seen.extend(texts)
        rows = [np.random.default_rng([ord(c) for c in text]).standard_normal(self.dimension) for text in texts]
        vectors = np.asarray(rows, np.float32).reshape(-1, self.dimension)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def contents(n: int = N, *, changed: int | None = None) -> dict[str, str]:
    return {f"id{i}": f"hash{i}" if i != changed else "hash changed" for i in range(n)}


def open_at(folder: Path, embedder: SeededEmbedder, hashes: dict[str, str]) -> VectorIndex:
    index = VectorIndex(folder, embedder)
    values = list(hashes.values())
    index.state = index.open(hashes, lambda row: values[row])  # type: ignore[attr-defined]
    return index


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def opened(folder: Path) -> Iterator[Opened]:
    """Open the index in `folder` with a fresh embedder; all are closed at the end."""
    indexes: list[VectorIndex] = []

    def make(hashes: dict[str, str] | None = None, embedder: SeededEmbedder | None = None) -> VectorIndex:
        index = open_at(folder, embedder or SeededEmbedder(), hashes or contents())
        indexes.append(index)
        return index

    yield make
    for index in indexes:
        index.close()


@pytest.fixture
def built(opened: Opened) -> None:
    opened().close()


def embedded(index: VectorIndex) -> int:
    assert index.state.embedded == len(index.embedder.seen)  # type: ignore[attr-defined]
    return index.state.embedded  # type: ignore[attr-defined]


def reason(index: VectorIndex) -> str:
    assert index.state.rebuilt == bool(index.state.reason)  # type: ignore[attr-defined]
    return index.state.reason  # type: ignore[attr-defined]


def answers(index: VectorIndex) -> bool:
    """Whether Chroma itself finds items by their own vectors."""
    rows = range(0, len(index), 29)
    return all(index._nearest(index.vectors[row], 1) == [row] for row in rows)


def chroma_folder(folder: Path) -> Path:
    (found,) = [path for path in folder.glob("chroma*") if path.is_dir()]
    return found


def segment_files(folder: Path) -> list[Path]:
    return sorted(path for path in chroma_folder(folder).glob("*/*") if path.is_file())


# ---- opening and rebuilding ---------------------------------------------------------------------------------------


def test_a_first_opening_embeds_and_builds_all(opened: Opened):
    index = opened()
    assert (embedded(index), reason(index), len(index)) == (N, "made for the first time", N)
    np.testing.assert_allclose(np.linalg.norm(index.vectors, axis=1), 1.0, atol=1e-6)
    assert answers(index)


def test_a_second_opening_does_nothing(built: None, opened: Opened):
    index = opened()
    assert (embedded(index), reason(index)) == (0, "")
    assert answers(index)


def test_two_may_be_open_at_once(opened: Opened):
    first, second = opened(), opened()
    assert reason(second) == ""
    first.close()
    assert answers(second)


def test_only_what_changed_is_embedded(built: None, opened: Opened):
    index = opened(contents(N + 2, changed=7))
    assert index.embedder.seen == ["hash changed", "hash300", "hash301"]
    assert reason(index) == "the catalogue or the embedder changed"
    assert answers(index)
    index.close()
    assert (embedded(again := opened(contents(N + 2, changed=7))), reason(again)) == (0, "")


def test_a_removed_item_is_not_found_any_more(built: None, opened: Opened):
    index = opened(contents(N - 1))
    assert (embedded(index), len(index)) == (0, N - 1)
    gone = SeededEmbedder().encode([f"hash{N - 1}"])[0]
    assert index.search(gone, np.ones(N - 1, np.bool_), N) == exact(index, gone, np.ones(N - 1, np.bool_), N)


def test_another_order_needs_no_rebuild(built: None, opened: Opened):
    index = opened(dict(reversed(contents().items())))
    assert (embedded(index), reason(index)) == (0, "")
    assert answers(index)


def test_another_embedder_embeds_all_anew(built: None, opened: Opened):
    index = opened(embedder=SeededEmbedder("other", 8))
    assert (embedded(index), reason(index)) == (N, "the catalogue or the embedder changed")
    assert index.vectors.shape == (N, 8)


def test_a_missing_collection_is_rebuilt(built: None, folder: Path, opened: Opened):
    for path in sorted(chroma_folder(folder).rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    chroma_folder(folder).rmdir()
    index = opened()
    assert (embedded(index), reason(index)) == (0, "the collection was missing")
    assert answers(index)


def test_a_missing_index_folder_is_rebuilt(built: None, folder: Path, opened: Opened):
    folder.rename(folder.with_name("gone"))
    assert (embedded(index := opened()), reason(index)) == (N, "made for the first time")


def test_a_collection_that_lost_items_is_rebuilt(folder: Path, opened: Opened):
    index = opened()
    index._collection.delete(ids=["id3"])  # type: ignore[union-attr]
    index.close()
    assert (embedded(again := opened()), reason(again)) == (0, "the collection was incomplete")
    assert answers(again)


def test_a_collection_with_other_vectors_is_rebuilt(folder: Path, opened: Opened):
    index = opened()
    index._collection.upsert(ids=list(contents()), embeddings=index.vectors[::-1].copy())  # type: ignore[union-attr]
    index.close()
    assert (embedded(again := opened()), reason(again)) == (0, "the collection gave wrong answers")
    assert answers(again)


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "emptied":
        path.write_bytes(b"")
    elif how == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif how == "overwritten":
        path.write_bytes(b"\x99not what it was\x00" * (len(content) // 17 + 1))
    else:
        path.unlink()


@pytest.mark.parametrize("how", ["emptied", "cut", "overwritten", "removed"])
def test_a_damaged_chroma_database_is_rebuilt(built: None, folder: Path, opened: Opened, how: str):
    damage(chroma_folder(folder) / "chroma.sqlite3", how)
    index = opened()
    assert embedded(index) == 0
    assert reason(index)
    assert answers(index)


@pytest.mark.parametrize("how", ["emptied", "cut", "overwritten", "removed"])
def test_damaged_segment_files_are_rebuilt_or_harmless(folder: Path, opened: Opened, how: str):
    big = contents(1_200)  # Chroma writes segment files from 1,000 vectors on
    opened(big).close()
    files = segment_files(folder)
    assert {"data_level0.bin", "header.bin"} <= {path.name for path in files}
    for path in files:
        damage(path, how)
    index = opened(big)
    assert embedded(index) == 0
    assert answers(index)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"folder": "../../etc"}', '{"folder": 3, "fingerprint": 4}'])
def test_a_damaged_pointer_is_rebuilt(built: None, folder: Path, opened: Opened, content: str):
    (folder / "chroma.json").write_text(content)
    index = opened()
    assert embedded(index) == 0
    assert reason(index)
    assert answers(index)


@pytest.mark.parametrize("name", ["embeddings.npy", "embeddings.json"])
@pytest.mark.parametrize("how", ["emptied", "cut", "overwritten", "removed"])
def test_damaged_embeddings_are_made_anew(built: None, folder: Path, opened: Opened, name: str, how: str):
    damage(folder / name, how)
    index = opened()
    assert embedded(index) == N
    index.close()
    assert embedded(opened()) == 0


def test_embeddings_of_another_moment_than_their_hashes_are_made_anew(built: None, folder: Path, opened: Opened):
    np.save(folder / "embeddings.npy", np.load(folder / "embeddings.npy")[::-1])
    index = opened()
    assert embedded(index) == N
    assert answers(index)


def test_packaged_half_precision_vectors_need_no_embedding(folder: Path, opened: Opened):
    folder.mkdir()
    vectors = SeededEmbedder().encode([f"hash{n}" for n in range(N)])
    np.save(folder / "embeddings.npy", vectors.astype(np.float16))
    info = {"embedder": "seeded", "hashes": [f"hash{n}" for n in range(N)]}
    (folder / "embeddings.json").write_text(json.dumps(info))
    index = opened()
    assert embedded(index) == 0
    np.testing.assert_allclose(index.vectors, vectors, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(index.vectors, axis=1), 1.0, atol=1e-6)


def test_an_interrupted_embedding_keeps_what_it_made(folder: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(index_module, "_SAVE_EVERY", 64)
    stopped = SeededEmbedder()
    stopped.fail_after = 150
    with pytest.raises(KeyboardInterrupt):
        open_at(folder, stopped, contents())
    assert len(stopped.seen) == 128
    index = opened()
    assert embedded(index) == N - 128
    assert reason(index) == "made for the first time"
    assert answers(index)


@pytest.mark.parametrize("there_before", [False, True])
def test_an_interrupted_build_is_not_taken_for_a_whole_one(
    folder: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch, there_before: bool
):
    if there_before:
        opened(contents(N - 1)).close()
    monkeypatch.setattr(index_module, "_BATCH", 100)
    real = index_module.chromadb.Collection.add
    calls = iter(range(10))

    def stop_at_the_second(self, *args: object, **kwargs: object) -> None:
        if next(calls) == 1:
            raise KeyboardInterrupt
        real(self, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(index_module.chromadb.Collection, "add", stop_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            opened()
    index = opened()
    assert (embedded(index), reason(index)) == (0, "the last build was interrupted")
    assert answers(index)
    assert chroma_folder(folder)  # one only


def test_processes_and_threads_that_open_at_once_build_once(folder: Path):
    indexes: list[VectorIndex] = []
    threads = [
        threading.Thread(target=lambda: indexes.append(open_at(folder, SeededEmbedder(), contents()))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(embedded(index) for index in indexes) == [0, 0, 0, N]
    assert sorted(reason(index) for index in indexes) == ["", "", "", "made for the first time"]
    for index in indexes:
        assert answers(index)
        index.close()


def test_an_empty_catalogue(folder: Path):
    index = open_at(folder, SeededEmbedder(), {})
    assert index.search(np.ones(DIMENSION, np.float32), np.zeros(0, np.bool_), 3) == []
    assert index.vectors.shape == (0, DIMENSION)
    index.close()
    again = open_at(folder, SeededEmbedder(), {})
    assert reason(again) == ""
    again.close()


@pytest.mark.parametrize("wrong", ["shape", "count", "nan"])
def test_an_embedder_that_gives_nonsense_is_refused(folder: Path, wrong: str, monkeypatch: pytest.MonkeyPatch):
    vectors = np.ones((N, DIMENSION + (wrong == "shape")), np.float32)[: N - (wrong == "count")]
    vectors[0, 0] = np.nan if wrong == "nan" else 1.0
    embedder = SeededEmbedder()
    monkeypatch.setattr(embedder, "encode", lambda texts, *, bar=None: vectors)
    with pytest.raises(ModelError, match=rf"'seeded' gave an array .* expected {N} vectors of length {DIMENSION}"):
        open_at(folder, embedder, contents())


def test_a_folder_that_cannot_be_locked(folder: Path):
    folder.mkdir()
    (folder / "lock").mkdir()
    with pytest.raises(WorkspaceError, match=r"lock can't be locked"):
        open_at(folder, SeededEmbedder(), contents())


# ---- searching ----------------------------------------------------------------------------------------------------


def exact(index: VectorIndex, query: Embeddings, allowed: np.ndarray, n: int) -> list[int]:
    scores = np.where(allowed, index.vectors @ query, -np.inf)
    return [int(r) for r in np.argsort(-scores, kind="stable")[:n] if allowed[r]]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VectorIndex]:
    index = open_at(tmp_path_factory.mktemp("shared"), SeededEmbedder(), contents())
    yield index
    index.close()


@pytest.mark.parametrize("part", [1.0, 0.5, 0.15, 0.05])
def test_search_agrees_with_exact_search(shared: VectorIndex, part: float):
    rng = np.random.default_rng(5)
    for seed in range(10):
        query = SeededEmbedder().encode([f"query {seed}"])[0]
        allowed = rng.random(N) < part
        assert shared.search(query, allowed, 10) == exact(shared, query, allowed, 10)


def test_a_wide_filter_asks_chroma_and_a_selective_one_does_not(shared: VectorIndex, monkeypatch: pytest.MonkeyPatch):
    asked: list[int] = []
    real = shared._nearest
    monkeypatch.setattr(shared, "_nearest", lambda query, n: asked.append(n) or real(query, n))
    query, allowed = shared.vectors[3], np.zeros(N, np.bool_)
    allowed[:20] = True
    assert shared.search(query, allowed, 5)[0] == 3
    assert asked == []
    allowed[:150] = True
    assert shared.search(query, allowed, 5)[0] == 3
    assert asked == [20]


def test_all_allowed_rows_are_found_when_few_of_the_nearest_are(shared: VectorIndex):
    query = shared.vectors[0]
    far = np.argsort(-(shared.vectors @ query))[150:]
    allowed = np.zeros(N, np.bool_)
    allowed[far] = True
    assert shared.search(query, allowed, 10) == [int(r) for r in far[:10]]


@pytest.mark.parametrize("n", [0, -1])
def test_nothing_is_asked_for(shared: VectorIndex, n: int):
    assert shared.search(shared.vectors[0], np.ones(N, np.bool_), n) == []
    assert shared.search(shared.vectors[0], np.zeros(N, np.bool_), 5) == []


def test_more_than_there_is(shared: VectorIndex):
    assert sorted(shared.search(shared.vectors[0], np.ones(N, np.bool_), 10 * N)) == list(range(N))


def test_similarities_are_cosines(shared: VectorIndex):
    found = shared.similarities(shared.vectors[4])
    assert found.shape == (N,)
    assert found[4] == pytest.approx(1.0, abs=1e-6)


def test_a_chroma_that_fails_under_way_is_replaced_by_exact_search(opened: Opened, monkeypatch: pytest.MonkeyPatch):
    index = opened()

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("gone")

    monkeypatch.setattr(index_module.chromadb.Collection, "query", fail)
    assert index.search(index.vectors[5], np.ones(N, np.bool_), 3) == exact(
        index, index.vectors[5], np.ones(N, np.bool_), 3
    )


# ---- adding -------------------------------------------------------------------------------------------------------


def add(index: VectorIndex, n: int, content: str) -> None:
    index.put([f"id{n}"], [n], [content], SeededEmbedder().encode([content]))


def test_an_added_item_is_found_at_once_and_after_a_start(opened: Opened):
    index = opened()
    for n in range(N, N + 100):
        add(index, n, f"hash{n}")
    assert (len(index), index.vectors.shape) == (N + 100, (N + 100, DIMENSION))
    assert answers(index)
    assert index._nearest(index.vectors[N + 99], 1) == [N + 99]
    index.close()
    again = opened(contents(N + 100))
    assert (embedded(again), reason(again)) == (0, "")
    np.testing.assert_array_equal(again.vectors, index.vectors)


def test_a_changed_item_is_found_by_its_new_content(opened: Opened):
    index = opened()
    add(index, 7, "hash changed")
    assert index._nearest(SeededEmbedder().encode(["hash changed"])[0], 1) == [7]
    assert index._nearest(SeededEmbedder().encode(["hash7"])[0], 1) != [7]
    index.close()
    assert (embedded(again := opened(contents(changed=7))), reason(again)) == (0, "")


def test_an_addition_that_the_store_does_not_have_is_undone(opened: Opened):
    index = opened()
    add(index, N, "hash300")
    index.close()
    assert reason(again := opened()) == "the catalogue or the embedder changed"
    assert len(again) == N


def test_adding_one_writes_little(folder: Path, opened: Opened):
    index = opened()
    before = (folder / "embeddings.npy").stat().st_mtime_ns
    add(index, N, "hash300")
    assert (folder / "embeddings.npy").stat().st_mtime_ns == before
    index.close()
    opened(contents(N + 1)).close()
    assert not (folder / "embeddings.db").exists()  # merged by the next start


def test_a_chroma_that_cannot_take_an_item_is_rebuilt_by_the_next_start(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
):
    index = opened()

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(index_module.chromadb.Collection, "upsert", fail)
        add(index, N, "hash300")
    everything = np.ones(N + 1, np.bool_)
    assert index.search(index.vectors[N], everything, 1) == [N]
    index.close()
    again = opened(contents(N + 1))
    assert (embedded(again), reason(again)) == (0, "the catalogue or the embedder changed")
    assert answers(again)


def test_a_wrong_vector_is_refused_and_changes_nothing(opened: Opened):
    index = opened()
    with pytest.raises(ModelError):
        index.put(["new"], [N], ["new"], np.full((1, DIMENSION), np.nan, np.float32))
    assert len(index) == N


# ---- the files of vectors -----------------------------------------------------------------------------------------


def test_a_damaged_list_of_additions_costs_only_itself(tmp_path: Path):
    files = VectorFiles(tmp_path, "e", 2)
    unit = np.eye(2, dtype=np.float32)
    files.merge(["a"], unit[:1])
    files.append(["b"], unit[1:])
    assert files.load()[0] == ["a", "b"]
    (tmp_path / "embeddings.db").write_bytes(b"no database at all" * 99)
    assert files.load()[0] == ["a"]
    files.append(["c"], unit[1:])
    hashes, vectors = files.load()
    assert hashes == ["a", "c"]
    np.testing.assert_array_equal(vectors, unit)


def test_vectors_of_another_embedder_are_ignored(tmp_path: Path):
    unit = np.eye(2, dtype=np.float32)
    VectorFiles(tmp_path, "one", 2).merge(["a"], unit[:1])
    VectorFiles(tmp_path, "one", 2).append(["b"], unit[1:])
    assert VectorFiles(tmp_path, "two", 2).load()[0] == []
    assert VectorFiles(tmp_path, "one", 3).load()[0] == []
