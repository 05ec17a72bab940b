"""agent/store/database/migrations.py with real files: older and newer ones, another program's, and damaged ones."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from agent.store.database.migrations import MIGRATIONS
from agent.store.store import Store
from prompts.errors import StoreError
from tests.agent.store.written import image, simple_step, start


def test_every_commit_is_synced(store: Store) -> None:
    pragmas = {name: store._db.execute(f"pragma {name}").fetchone()[0] for name in ("journal_mode", "synchronous")}
    assert pragmas == {"journal_mode": "wal", "synchronous": 2}
    assert store._db.execute("pragma foreign_keys").fetchone()[0] == 1


def test_a_version_1_database_is_migrated_with_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    old = sqlite3.connect(path)
    for statement in (*MIGRATIONS[0], "pragma user_version = 1"):
        old.execute(statement)
    old.execute("insert into runs values ('old', '2026', 'b', '{}', '{}', 1, 'done', null, null)")
    old.commit()
    old.close()
    with Store(path) as store:
        assert [run.id for run in store.runs()] == ["old"]
        assert store.query("select run_id, images from run_summary") == [{"run_id": "old", "images": 0}]
        assert store._db.execute("pragma user_version").fetchone()[0] == len(MIGRATIONS)


def test_a_migration_that_fails_leaves_the_old_version(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    old = sqlite3.connect(path)
    for statement in (*MIGRATIONS[0], "pragma user_version = 1", "create table lineage (a)"):
        old.execute(statement)
    old.close()
    with pytest.raises(StoreError, match="lineage already exists"):
        Store(path)
    again = sqlite3.connect(path)
    assert again.execute("pragma user_version").fetchone()[0] == 1
    assert again.execute("select count(*) from sqlite_master where type = 'view'").fetchone()[0] == 0
    again.close()


def test_a_newer_database_is_refused_with_both_versions(tmp_path: Path) -> None:
    path = tmp_path / "palate.db"
    with Store(path) as store:
        store._db.execute("pragma user_version = 99")
    with pytest.raises(StoreError, match=f"version 99 .* up to {len(MIGRATIONS)}: upgrade Palate"):
        Store(path)


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    other.execute("create table runs (id)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program"):
        Store(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "palate.db"
    path.write_bytes(b"not a database at all " * 500)
    with pytest.raises(StoreError, match="damaged or not a database"):
        Store(path)
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(tmp_path)
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(path / "below" / "a.db")


def test_damage_found_while_reading_is_a_store_error(tmp_path: Path) -> None:
    path = tmp_path / "palate.db"
    with Store(path) as store:
        run_id = start(store)
        for number in range(40):
            store.add_step(run_id, simple_step(number, image(number)))
    data = bytearray(path.read_bytes())
    data[4096 * 3 :] = b"\xa5" * (len(data) - 4096 * 3)
    path.write_bytes(data)
    with pytest.raises(StoreError, match="damaged"), Store(path) as store:
        _ = store.steps(run_id), store.images(run_id)
