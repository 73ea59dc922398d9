"""Making workspaces: from files, again, after an interruption, from wrong files; opening them whole and damaged."""

from __future__ import annotations

import inspect
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from vouchrec.retrieval import build, index
from vouchrec.retrieval.build import BUILTIN_DATA, InitReport, builtin_items, init_workspace, open_builtin
from vouchrec.retrieval.collaborative import Ease
from vouchrec.retrieval.embed import BUILTIN
from vouchrec.retrieval.errors import ConfigError, DataFileError, ModelError, VouchError, WorkspaceError
from vouchrec.retrieval.pipeline import recommend
from vouchrec.retrieval.scorers.registry import default_l2
from vouchrec.retrieval.store import Event, Store
from vouchrec.retrieval.types import Constraint, Profile, Query
from vouchrec.retrieval.workspace import Workspace, WorkspaceSettings, read_settings, write_settings

DATA = Path(__file__).parents[1] / "data"
FILMS, RATINGS, DOMAIN = DATA / "films.jsonl", DATA / "ratings.csv", DATA / "films.toml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "workspace"


@pytest.fixture
def init(folder: Path, embedder):
    def make(items: Path = FILMS, **options: object) -> InitReport:
        given = {"interactions": RATINGS, "domain": DOMAIN, "embedder": embedder, **options}
        return init_workspace(folder, items, **given)  # type: ignore[arg-type]

    return make


@pytest.fixture
def opened(folder: Path, embedder) -> Iterator[list[Workspace]]:
    """A list for workspaces to close at the end."""
    workspaces: list[Workspace] = []
    yield workspaces
    for workspace in workspaces:
        workspace.close()


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a folder; those that SQLite keeps while a database is open count by their database."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def lines(path: Path, tmp_path: Path, n: int, extra: str = "") -> Path:
    copy = tmp_path / f"part{path.suffix}"
    copy.write_text("".join(path.read_text().splitlines(keepends=True)[:n]) + extra)
    return copy


# ---- from files ---------------------------------------------------------------------------------------------------


def test_a_first_run(init, folder: Path, embedder, opened: list[Workspace]):
    report = init()
    assert (report.items, report.interactions, report.unknown_items, report.fitted) == (40, 400, 0, True)
    assert (report.index.embedded, report.index.reason) == (40, "made for the first time")
    workspace = Workspace.open(folder, embedder=embedder)
    opened.append(workspace)
    assert (workspace.index_state.embedded, workspace.index_state.rebuilt) == (0, False)
    assert workspace.domain.noun == "film"
    assert isinstance(workspace.scorer, Ease)
    assert read_settings(folder) == WorkspaceSettings()


def test_a_second_run_changes_nothing(init, folder: Path, embedder):
    init()
    before = contents(folder / "models") | {"toml": (folder / "vouch.toml").read_bytes()}
    report = init()
    assert (report.items, report.interactions, report.fitted) == (40, 400, True)
    assert (report.index.embedded, report.index.rebuilt) == (0, False)
    assert contents(folder / "models") | {"toml": (folder / "vouch.toml").read_bytes()} == before
    store = Store(folder / "store.db")
    assert len(store.items()) == 40
    assert len(store.interactions()) == 400
    store.close()


def test_scores_are_the_same_in_every_run(init, folder: Path, embedder, opened: list[Workspace]):
    init()
    workspace = Workspace.open(folder, embedder=embedder)
    opened.append(workspace)
    history = {"alien-1979": 1.0}
    before = workspace.collaborative_scores(history)
    assert workspace.fit()
    assert workspace.collaborative_scores(history).tolist() == before.tolist()


@pytest.mark.parametrize(("n", "items", "l2"), [(0, 0, 20), (4, 4, 20), (150, 10, 150), (10_000, 10, 500)])
def test_the_ridge_grows_with_interactions_per_item(n: int, items: int, l2: float):
    assert default_l2(n, items) == l2


def test_the_fit_uses_the_items_that_people_touched(init, folder: Path):
    init()
    # 320 likes of 27 films: 10 x 320 / 27.
    assert Ease.load(folder / "models" / "collaborative").l2 == pytest.approx(10 * 320 / 27)


def test_changed_items_are_taken_over_and_what_people_did_stays(init, folder: Path, tmp_path: Path, embedder, opened):
    init()
    store = Store(folder / "store.db")
    store.add_events([Event("ann", "big-1988", "like")])
    store.close()
    extra = '{"id": "new", "title": "New", "year": 2020}\n'
    report = init(lines(FILMS, tmp_path, 39, extra), interactions=None)
    assert (report.items, report.index.embedded, report.fitted) == (40, 1, True)
    workspace = Workspace.open(folder, embedder=embedder)
    opened.append(workspace)
    assert workspace.catalogue.get("parasite-2019") is None
    assert workspace.store.events("ann") == [Event("ann", "big-1988", "like")]
    assert len(workspace.store.interactions()) == 400
    assert len(recommend(workspace, Query(n=40), Profile({"alien-1979": 1.0, "parasite-2019": 1.0}))) == 39


def test_no_interactions(init):
    report = init(interactions=None)
    assert (report.interactions, report.fitted) == (0, False)


def test_too_few_interactions_fit_nothing_and_remove_the_old_scorer(init, folder: Path, tmp_path: Path):
    assert init().fitted
    report = init(interactions=lines(RATINGS, tmp_path, 60))
    assert (report.interactions, report.fitted) == (59, False)
    assert not (folder / "models" / "collaborative").exists()


def test_unknown_items_in_ratings_are_left_out_and_counted(init, tmp_path: Path):
    report = init(interactions=lines(RATINGS, tmp_path, 401, "u90,nope,4,1\nu91,never,4,1\n"))
    assert (report.interactions, report.unknown_items) == (400, 2)


def test_a_csv_file_without_a_domain_is_understood(
    init, folder: Path, tmp_path: Path, embedder, opened: list[Workspace]
):
    path = tmp_path / "books.csv"
    path.write_text(
        "ID,Title,Release Year,Topics,Shelf\n"
        "1,Emma,1815,love|class,A\n2,Ulysses,1922,,A\n3,Dune,1965,sand,B\n4,Beloved,1987,memory|love,B\n"
    )
    init(path, interactions=None, domain=None)
    workspace = Workspace.open(folder, embedder=embedder)
    opened.append(workspace)
    found = {a.name: a.kind for a in workspace.domain.attributes}
    assert found == {"release_year": "number", "topics": "list", "shelf": "text"}
    assert workspace.domain.recency == "release_year"
    query = Query(constraints=(Constraint("release_year", "max", 1990), Constraint("topics", "is", "love")), n=9)
    assert {r.item.title for r in recommend(workspace, query, Profile())} == {"Emma", "Beloved"}


def test_a_domain_file_may_name_the_noun_alone(init, folder: Path, tmp_path: Path, embedder, opened: list[Workspace]):
    domain = tmp_path / "noun.toml"
    domain.write_text('[item]\nnoun = "motion picture"\n')
    init(domain=domain)
    workspace = Workspace.open(folder, embedder=embedder)
    opened.append(workspace)
    assert workspace.domain.plural == "motion pictures"
    assert workspace.domain.attribute("year").quantity == "year"  # type: ignore[union-attr]


def test_settings_given_later_keep_the_store(init, folder: Path, tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    init(settings=WorkspaceSettings(store=url))
    assert not (folder / "store.db").exists()
    init(settings=WorkspaceSettings(embedder="other"))
    assert read_settings(folder) == WorkspaceSettings(embedder="other", store=url)


# ---- wrong files --------------------------------------------------------------------------------------------------

BAD_ROW = '{"id": "x", "title": "X", "year": "soon"}\n'


@pytest.mark.parametrize(
    ("items", "ratings", "error", "said"),
    [
        (BAD_ROW, "", DataFileError, r"row 41, field 'year': expected a number"),
        ("not json\n", "", DataFileError, r"row 41: not JSON"),
        ("", "u1,alien-1979,bad,1\n", DataFileError, r"row 402, field 'value'"),
        ("", "u1,,4,1\n", DataFileError, r"row 402, field 'item': is empty"),
    ],
)
@pytest.mark.parametrize("there_before", [False, True])
def test_nothing_is_half_written(init, folder: Path, tmp_path: Path, items, ratings, error, said, there_before: bool):
    if there_before:
        init()
    before = contents(folder) if there_before else {}
    bad_items, bad_ratings = lines(FILMS, tmp_path, 40, items), lines(RATINGS, tmp_path, 401, ratings)
    with pytest.raises(error, match=said):
        init(bad_items, interactions=bad_ratings)
    assert contents(folder) == before if there_before else not folder.exists()


def test_ratings_about_other_items_only(init, folder: Path, tmp_path: Path):
    path = tmp_path / "ratings.csv"
    path.write_text("user,item\nann,1\nann,2\n")
    with pytest.raises(
        DataFileError, match=r"row 2, field 'item': none of the 2 interactions .* \(first: '1'\).*same ids"
    ):
        init(interactions=path)
    assert not folder.exists()


def test_a_wrong_domain_file(init, folder: Path, tmp_path: Path):
    with pytest.raises(ConfigError, match="no such domain file"):
        init(domain=tmp_path / "absent.toml")
    assert not folder.exists()


def test_an_embedder_that_cannot_be_loaded(init, folder: Path, tmp_path: Path):
    (tmp_path / "model").mkdir()
    with pytest.raises(ModelError, match="is not a sentence-transformers model"):
        init(settings=WorkspaceSettings(embedder=str(tmp_path / "model")), embedder=None)
    assert not folder.exists()


@pytest.mark.parametrize(
    "failure", [OSError("no weights"), RuntimeError("sizes differ"), ImportError("needs another package")]
)
def test_an_embedder_whose_library_fails(init, folder: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception):
    def load(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setitem(sys.modules, "sentence_transformers", SimpleNamespace(SentenceTransformer=load))
    with pytest.raises(ModelError, match=rf"'mine' can't be loaded: {failure}\. Use 'all-MiniLM-L6-v2'"):
        init(settings=WorkspaceSettings(embedder="mine"), embedder=None)
    assert not folder.exists()


def test_a_folder_that_is_a_file(init, folder: Path):
    folder.write_text("I was here first")
    with pytest.raises(VouchError, match="workspace can't be made"):
        init()


# ---- interruptions ------------------------------------------------------------------------------------------------


class Interrupting:
    """An embedder that is stopped after some texts, as by Ctrl-C."""

    name, dimension = "hash-64", 64

    def __init__(self, real, after: int) -> None:
        self.real, self.left, self.seen = real, after, 0

    def encode(self, texts: Sequence[str], *, bar: object = None):
        self.left -= len(texts)
        if self.left < 0:
            raise KeyboardInterrupt
        self.seen += len(texts)
        return self.real.encode(texts)


def test_an_interrupted_run_goes_on_where_it_stopped(init, folder: Path, embedder, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(index, "_SAVE_EVERY", 8)
    with pytest.raises(KeyboardInterrupt):
        init(embedder=Interrupting(embedder, after=25))
    assert not (folder / "vouch.toml").exists()  # a folder with it is a whole workspace
    with pytest.raises(WorkspaceError, match="is not a workspace"):
        Workspace.open(folder, embedder=embedder)
    second = Interrupting(embedder, after=1_000)
    report = init(embedder=second)
    assert (report.index.embedded, second.seen, report.fitted) == (16, 16, True)


def test_an_interrupted_update_leaves_a_workspace_that_opens(init, folder: Path, tmp_path: Path, embedder, opened):
    init()
    extra = '{"id": "new", "title": "Brand new", "year": 2020}\n'
    with pytest.raises(KeyboardInterrupt):
        init(lines(FILMS, tmp_path, 40, extra), embedder=Interrupting(embedder, after=0))
    workspace = Workspace.open(folder, embedder=embedder)
    opened.append(workspace)
    assert (len(workspace.catalogue), workspace.index_state.embedded) == (41, 1)
    assert len(recommend(workspace, Query("brand new", n=5), Profile({"alien-1979": 1.0}))) == 5


# ---- opening ------------------------------------------------------------------------------------------------------


def test_a_folder_that_is_no_workspace(tmp_path: Path, embedder):
    with pytest.raises(WorkspaceError, match=r"is not a workspace: it has no vouch\.toml\. Make one with `vouch init"):
        Workspace.open(tmp_path, embedder=embedder)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version = ", "not valid TOML"),
        ("embeder = 'x'\n", "unknown key 'embeder'. Known: embedder, scorer, store, version."),
        ("version = '1'\n", "'version' must be of type int, found '1'"),
        ("version = true\n", "'version' must be of type int"),
        ("embedder = 3\n", "'embedder' must be of type str"),
        ("version = 2\n", "newer version of Vouch. Install a newer Vouch."),
    ],
)
def test_wrong_settings(tmp_path: Path, text: str, said: str):
    (tmp_path / "vouch.toml").write_text(text)
    with pytest.raises(VouchError) as caught:
        read_settings(tmp_path)
    assert said in str(caught.value)


def test_settings_survive_writing(tmp_path: Path):
    settings = WorkspaceSettings(embedder='a "quoted" \\ näme', store="postgresql://u@h/d")
    write_settings(tmp_path, settings)
    assert read_settings(tmp_path) == settings


def test_a_lost_store(workspace_folder: Path, embedder):
    (workspace_folder / "store.db").unlink()
    with pytest.raises(WorkspaceError, match=r"has lost its store\.db"):
        Workspace.open(workspace_folder, embedder=embedder)
    assert not (workspace_folder / "store.db").exists()


def test_a_damaged_store(workspace_folder: Path, embedder):
    (workspace_folder / "store.db").write_bytes(b"nothing of use" * 1_000)
    with pytest.raises(WorkspaceError, match="file is not a database"):
        Workspace.open(workspace_folder, embedder=embedder)


@pytest.mark.parametrize("domain", [None, "{", "[]", '{"attributes": 3}'])
def test_a_store_without_a_readable_domain(workspace_folder: Path, embedder, domain: str | None):
    store = Store(workspace_folder / "store.db")
    if domain is None:
        with store._writing() as connection:
            connection.exec_driver_sql("DELETE FROM meta WHERE key = 'domain'")
    else:
        store.set_meta("domain", domain)
    store.close()
    with pytest.raises(WorkspaceError, match=r"vouch init"):
        Workspace.open(workspace_folder, embedder=embedder)


def test_a_damaged_scorer(workspace_folder: Path, embedder):
    path = workspace_folder / "models" / "collaborative" / "scorer.safetensors"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ModelError, match=r"scorer .* can't be read.*vouch init"):
        Workspace.open(workspace_folder, embedder=embedder)


def test_a_scorer_of_two_fits_is_refused(workspace_folder: Path, embedder, tmp_path: Path):
    """As a crash between the two files leaves it: same shape, other items."""
    folder = workspace_folder / "models" / "collaborative"
    other = Ease.load(folder)
    other._weights = other._require() * 2
    other.save(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "scorer.safetensors", folder)
    with pytest.raises(ModelError, match="not of one scorer"):
        Workspace.open(workspace_folder, embedder=embedder)


def test_a_damaged_index_is_repaired_on_opening(workspace_folder: Path, embedder, opened: list[Workspace]):
    for path in (workspace_folder / "index").rglob("*"):
        if path.is_file() and not path.name.startswith("embeddings"):
            path.write_bytes(b"damaged" * 50 if path.name != "lock" else b"")
    workspace = Workspace.open(workspace_folder, embedder=embedder)
    opened.append(workspace)
    assert workspace.index_state.rebuilt
    assert workspace.index_state.embedded == 0
    assert len(recommend(workspace, Query("space", n=5), Profile())) == 5


@pytest.mark.postgres
def test_a_workspace_on_postgresql(init, folder: Path, embedder, new_database, opened: list[Workspace]):
    url = new_database()
    report = init(settings=WorkspaceSettings(store=url))
    assert (report.items, report.fitted) == (40, True)
    assert not (folder / "store.db").exists()
    workspace = Workspace.open(folder, embedder=embedder)
    opened.append(workspace)
    assert recommend(workspace, Query("space", n=1), Profile({"alien-1979": 1.0}))
    assert init().index.embedded == 0


# ---- the built-in demo --------------------------------------------------------------------------------------------


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workspace_folder: Path) -> Path:
    """The test films in the place of the packaged ones, with their vectors and scorer."""
    data = tmp_path / "packaged"
    shutil.copytree(workspace_folder / "models" / "collaborative", data / "collaborative")
    (data / "index").mkdir()
    for name in ("embeddings.npy", "embeddings.json"):
        shutil.copy(workspace_folder / "index" / name, data / "index")
    shutil.copy(FILMS, data / "films.jsonl")
    shutil.copy(DOMAIN, data / "films.toml")
    monkeypatch.setattr(build, "BUILTIN_DATA", data)
    return data


def test_the_demo_is_made_once_and_embeds_nothing(packaged: Path, tmp_path: Path, embedder, opened: list[Workspace]):
    for rebuilt in (True, False):
        workspace = open_builtin(tmp_path / "demo", embedder=embedder)
        opened.append(workspace)
        assert (workspace.index_state.embedded, workspace.index_state.rebuilt) == (0, rebuilt)
        assert workspace.scorer is not None
    assert not list((tmp_path / "demo").rglob("*.tmp"))


def test_an_update_of_the_package_keeps_what_people_did(
    packaged: Path, tmp_path: Path, embedder, opened: list[Workspace]
):
    first = open_builtin(tmp_path / "demo", embedder=embedder)
    first.store.add_events([Event("ann", "big-1988", "like")])
    first.close()
    with (packaged / "films.jsonl").open("a") as file:
        file.write('{"id": "new", "title": "New"}\n')
    second = open_builtin(tmp_path / "demo", embedder=embedder)
    opened.append(second)
    assert "new" in second.catalogue
    assert second.store.events("ann") == [Event("ann", "big-1988", "like")]


def test_an_interrupted_making_is_done_again(
    packaged: Path, tmp_path: Path, embedder, opened, monkeypatch: pytest.MonkeyPatch
):
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(build, "_copy", stop)
        with pytest.raises(KeyboardInterrupt):
            open_builtin(tmp_path / "demo", embedder=embedder)
    assert not (tmp_path / "demo" / "vouch.toml").exists()
    workspace = open_builtin(tmp_path / "demo", embedder=embedder)
    opened.append(workspace)
    assert workspace.scorer is not None


def test_a_damaged_demo_says_how_to_get_another(packaged: Path, tmp_path: Path, embedder):
    open_builtin(tmp_path / "demo", embedder=embedder).close()
    (tmp_path / "demo" / "store.db").write_bytes(b"nothing of use" * 1_000)
    with pytest.raises(WorkspaceError, match=r"file is not a database.*delete .*demo: the demo is made again"):
        open_builtin(tmp_path / "demo", embedder=embedder)


class NeverEmbeds:
    def __init__(self, name: str, dimension: int) -> None:
        self.name, self.dimension = name, dimension

    def encode(self, texts, *, bar=None):
        raise AssertionError(f"asked to embed {len(texts)} texts")


def test_processes_that_start_at_once_make_one_demo(packaged: Path, tmp_path: Path):
    code = (
        f"{inspect.getsource(NeverEmbeds)}\n"
        "import sys; from pathlib import Path; from vouchrec.retrieval import build\n"
        "build.BUILTIN_DATA = Path(sys.argv[1])\n"
        "w = build.open_builtin(Path(sys.argv[2]), embedder=NeverEmbeds('hash-64', 64))\n"
        "print(w.index_state.embedded, w.index_state.rebuilt, len(w.catalogue), len(w.scorer.items)); w.close()"
    )
    command = [sys.executable, "-c", code, str(packaged), str(tmp_path / "demo")]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = sorted(run.communicate(timeout=120)[0].strip() for run in runs)
    columns = len(Ease.load(packaged / "collaborative").items)
    assert said == [f"0 False 40 {columns}", f"0 True 40 {columns}"]


def test_the_packaged_demo_opens_and_embeds_nothing(tmp_path: Path, opened: list[Workspace]):
    if not (BUILTIN_DATA / "index" / "embeddings.npy").exists():
        pytest.skip("the packaged embeddings are not made yet")
    workspace = open_builtin(tmp_path / "demo", embedder=NeverEmbeds(BUILTIN, 384))
    opened.append(workspace)
    assert workspace.index_state.embedded == 0
    assert [item.id for item in workspace.catalogue.items] == [item.id for item in builtin_items()]
    assert len(workspace.scorer.items) > 500  # type: ignore[union-attr]
