"""The SQL store: one contract on SQLite and on a real PostgreSQL, and what a damaged or newer store gets."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from vouchrec.retrieval.catalogue import item_hash
from vouchrec.retrieval.errors import ConfigError, WorkspaceError
from vouchrec.retrieval.store import SCHEMA_VERSION, Event, Store, item_table
from vouchrec.retrieval.types import Interaction, Item

ALIEN = Item("alien", "Alien", "In space.", {"year": 1979, "genres": ("horror",), "length": 1.95}, ("Al 8",))
BIG = Item("big", "Big ✓ 映画", "", {"year": 1988})


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    if request.param == "sqlite":
        return tmp_path / "store.db"
    make: Callable[[], str] = request.getfixturevalue("new_database")
    return make()


@pytest.fixture
def store(url: str | Path) -> Iterator[Store]:
    opened = Store(url)
    yield opened
    opened.close()


def broken_after(items: list[Item]) -> Iterator[Item]:
    yield from items
    raise RuntimeError("the file ends here")


# ---- the contract -------------------------------------------------------------------------------------------------


def test_items_come_back_as_they_were_in_first_order(store: Store):
    assert store.put_items([ALIEN, BIG]) == 2
    newer = Item("alien", "Alien (1979)", attributes={"genres": ("horror", "science fiction")})
    store.put_items([newer, Item("c", "C")])
    assert store.items() == [newer, BIG, Item("c", "C")]
    assert store.hashed_items() == [(item, item_hash(item)) for item in store.items()]


def test_replace_items_removes_the_others_and_keeps_the_order(store: Store):
    store.put_items([ALIEN, BIG, Item("c", "C")])
    assert store.replace_items([Item("d", "D"), Item("c", "C2"), ALIEN]) == 3
    assert [item.id for item in store.items()] == ["alien", "c", "d"]
    assert store.items()[1].title == "C2"


@pytest.mark.parametrize("method", ["put_items", "replace_items"])
def test_nothing_is_half_written(store: Store, method: str):
    store.put_items([ALIEN])
    many = [Item(f"x{n}", "X") for n in range(1_200)]  # more than two batches
    with pytest.raises(RuntimeError, match="ends here"):
        getattr(store, method)(broken_after(many))
    assert store.items() == [ALIEN]


def test_content_is_replaced_in_one_piece(store: Store):
    store.replace_content([ALIEN], '{"noun": "film"}', [Interaction("u", "alien", 4.0, 1.5)])
    with pytest.raises(RuntimeError):
        store.replace_content([BIG], "{}", (Interaction("v", i.id) for i in broken_after([BIG])))
    assert (store.items(), store.get_meta("domain")) == ([ALIEN], '{"noun": "film"}')
    assert store.interactions() == [Interaction("u", "alien", 4.0, 1.5)]
    store.replace_content([BIG], "{}", None)
    assert (store.items(), store.get_meta("domain"), len(store.interactions())) == ([BIG], "{}", 1)


def test_events_are_kept_in_order_and_apart_by_user(store: Store):
    store.add_events(
        [Event("ann", "alien", "like", time=2.0), Event("bob", "big", "seen"), Event("ann", "big", "dislike")]
    )
    assert store.events("ann") == [Event("ann", "alien", "like", 1.0, 2.0), Event("ann", "big", "dislike")]
    assert store.events("bob") == [Event("bob", "big", "seen")]
    assert store.events("nobody' OR '1'='1") == []
    assert store.count_events() == 3


def test_an_import_replaces_ratings_and_leaves_the_rest(store: Store):
    store.add_events([Event("ann", "alien", "like")])
    store.replace_interactions(Interaction("ann", f"i{n}", float(n)) for n in range(5_000))
    assert store.replace_interactions([Interaction("ann", "big", 3.5, 1_700_000_000.25)]) == 1
    assert store.interactions() == [Interaction("ann", "big", 3.5, 1_700_000_000.25)]
    assert {event.kind for event in store.events("ann")} == {"like", "rating"}


def test_turns_are_kept_and_forgotten_with_all_else(store: Store):
    store.add_events([Event("ann", "alien", "like"), Event("bob", "alien", "like")])
    store.add_turn("ann", "c1", "hi \x00\ud800 there", {"text": "héllo", "odd": "\ud800\x00"})
    store.add_turn("bob", "c2", "hi", {"text": "x"})
    assert [turn["text"] for turn in store.turns("ann")] == ["héllo"]
    store.forget("ann")
    assert (store.turns("ann"), store.events("ann")) == ([], [])
    assert (len(store.turns("bob")), len(store.events("bob"))) == (1, 1)


def test_settings_are_stored_and_replaced(store: Store):
    assert store.get_meta("builtin") is None
    store.set_meta("builtin", "1")
    store.set_meta("builtin", "2")
    assert store.get_meta("builtin") == "2"


def test_a_second_opening_sees_what_the_first_wrote(store: Store, url: str | Path):
    store.put_items([ALIEN])
    again = Store(url)
    assert again.items() == [ALIEN]
    again.close()


def test_threads_write_and_read_at_once(store: Store):
    failures: list[BaseException] = []

    def work(user: str) -> None:
        try:
            for n in range(15):
                store.put_items([Item(f"{user}-{n}", user)])
                store.add_events([Event(user, f"{user}-{n}", "like")])
                assert len(store.events(user)) == n + 1
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(f"user{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(store.items()) == 60


def test_a_newer_schema_is_refused(store: Store, url: str | Path):
    store.set_meta("schema_version", str(SCHEMA_VERSION + 1))
    with pytest.raises(WorkspaceError, match=rf"schema {SCHEMA_VERSION + 1}; .* knows {SCHEMA_VERSION}.* newer Vouch"):
        Store(url)


def test_several_stores_start_at_once(url: str | Path):
    """The tables are made once, whoever comes first."""
    failures: list[BaseException] = []

    def start(n: int) -> None:
        try:
            opened = Store(url)
            opened.put_items([Item(f"i{n}", "I")])
            opened.close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=start, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    opened = Store(url)
    assert len(opened.items()) == 6
    opened.close()


# ---- SQLite only --------------------------------------------------------------------------------------------------


def test_two_processes_write_one_file(tmp_path: Path):
    code = (
        "import sys; from pathlib import Path; from vouchrec.retrieval.store import Store; "
        "from vouchrec.retrieval.types import Item\n"
        "s = Store(Path(sys.argv[1]))\n"
        "for n in range(20): s.replace_items([*s.items(), Item(sys.argv[2] + str(n), 'x')])"
    )
    path = tmp_path / "store.db"
    runs = [subprocess.Popen([sys.executable, "-c", code, str(path), name]) for name in "ab"]
    assert [run.wait(timeout=60) for run in runs] == [0, 0]
    opened = Store(path)
    assert any(item.id == "a19" for item in opened.items()) or any(item.id == "b19" for item in opened.items())
    opened.close()


def test_any_path_will_do(tmp_path: Path):
    path = tmp_path / "a folder?with#odd%41 signs" / "store.db"
    path.parent.mkdir()
    opened = Store(path)
    opened.put_items([ALIEN])
    opened.close()
    assert [p.name for p in path.parent.iterdir()] == ["store.db"]


def test_a_file_that_is_no_database(tmp_path: Path):
    path = tmp_path / "store.db"
    path.write_bytes(b"this is no database, " * 400)
    with pytest.raises(WorkspaceError, match=r"store\.db can't be used: file is not a database\. .*vouch init"):
        Store(path)


def test_a_folder_that_is_absent(tmp_path: Path):
    with pytest.raises(WorkspaceError, match="unable to open database file"):
        Store(tmp_path / "absent" / "store.db")


def test_damage_that_shows_only_on_reading(tmp_path: Path):
    path = tmp_path / "store.db"
    opened = Store(path)
    opened.put_items([Item(f"i{n}", "title " * 50) for n in range(400)])
    opened.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 3)
        file.write(os.urandom(size // 3))
    opened = Store(path)
    with pytest.raises(WorkspaceError, match=r"store\.db can't be used"):
        opened.items()
    opened.close()


@pytest.mark.parametrize(("column", "value"), [("attributes", "{"), ("aliases", "7"), ("attributes", "[]")])
def test_a_row_that_is_no_item(tmp_path: Path, column: str, value: str):
    path = tmp_path / "store.db"
    opened = Store(path)
    opened.put_items([ALIEN])
    with sa.create_engine(f"sqlite:///{path}").begin() as connection:
        connection.execute(sa.update(item_table).values({column: value}))
    with pytest.raises(WorkspaceError, match="an item can't be read"):
        opened.items()
    opened.close()


def test_an_unreadable_schema_version(tmp_path: Path):
    opened = Store(tmp_path / "store.db")
    opened.set_meta("schema_version", "one")
    opened.close()
    with pytest.raises(WorkspaceError, match="schema version 'one'"):
        Store(tmp_path / "store.db")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("not a url", "not a URL like postgresql://"),
        ("mysql://u:secret@h/d", "'mysql' is not supported"),
        ("sqlite+x://", "driver"),
    ],
)
def test_a_wrong_url_is_a_settings_error_without_the_password(url: str, said: str):
    with pytest.raises(ConfigError, match=said) as caught:
        Store(url)
    assert "secret" not in str(caught.value)


def test_a_server_that_is_away_and_its_password_unsaid():
    with pytest.raises(WorkspaceError) as caught:
        Store("postgresql://ann:secret@127.0.0.1:1/none?connect_timeout=2")
    assert "127.0.0.1" in str(caught.value)
    assert "secret" not in str(caught.value)
