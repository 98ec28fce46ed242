"""Tables of a real PostgreSQL: what is new is loaded once, and secrets stay secret."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import pytest

from marketing_ai.load import database, ledger
from marketing_ai.load.database import DatabaseError, find_url, load_table
from marketing_ai.load.mapping import Cell, Mapping
from marketing_ai.load.reading import FileRefusedError
from marketing_ai.paths import find_paths

ROOT = Path(__file__).resolve().parents[3]
PASSWORD = "canary7Rw2xQ"


@dataclass
class Server:
    """A PostgreSQL of this test run."""

    port: int

    @property
    def url(self) -> str:
        return f"postgresql://reader:{PASSWORD}@127.0.0.1:{self.port}/ads"

    def sql(self, statement: str) -> list[tuple]:
        import psycopg

        address = f"host=127.0.0.1 port={self.port} user=postgres password={PASSWORD} dbname=ads"
        with psycopg.connect(address, autocommit=True) as connection:
            found = connection.execute(statement)
            return found.fetchall() if found.description else []


def _programs() -> Path | None:
    found = [Path(path).parent for path in [shutil.which("initdb")] if path]
    return next(iter([*found, *sorted(Path("/usr/lib/postgresql").glob("*/bin"))]), None)


@pytest.fixture(scope="module")
def server():
    programs = _programs()
    if programs is None:
        pytest.skip("NOT RUN: no PostgreSQL here (Debian: postgresql), so no table was loaded")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        server = Server(probe.getsockname()[1])
    # PostgreSQL refuses to run as root.
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="pg_") as folder:
        (Path(folder) / "password").write_text(PASSWORD)
        if user:
            shutil.chown(folder, "postgres", "postgres")
            shutil.chown(Path(folder) / "password", "postgres", "postgres")
        data = f"{folder}/data"

        def run(*command: str) -> None:
            done = subprocess.run(
                [*user, *command], capture_output=True, text=True, cwd=folder, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr

        run(
            *(str(programs / "initdb"), "-D", data, "-U", "postgres", "--no-sync", "-E", "UTF8"),
            *("--locale=C", "--auth=scram-sha-256", f"--pwfile={folder}/password"),
        )
        options = f"-p {server.port} -c listen_addresses=127.0.0.1 -k {folder} -c fsync=off"
        control = (str(programs / "pg_ctl"), "-D", data, "-w")
        run(*control, "-l", f"{folder}/log", "-o", options, "start")
        try:
            import psycopg

            with psycopg.connect(
                f"host=127.0.0.1 port={server.port} user=postgres password={PASSWORD}",
                autocommit=True,
            ) as connection:
                connection.execute("create database ads")
                connection.execute(f"create role reader login password '{PASSWORD}'")
            server.sql("alter default privileges grant select on tables to reader")
            yield server
        finally:
            run(*control, "-m", "immediate", "stop")


@pytest.fixture
def table(server):
    """Thirty days of two campaigns, with our column names and a time of the last change."""
    server.sql(
        """
        drop schema public cascade; create schema public; grant usage on schema public to reader;
        alter default privileges in schema public grant select on tables to reader;
        create table daily (
            id bigint primary key, campaign_id text, channel text, segment text, date date,
            impressions bigint, clicks int, leads int, conversions int,
            cost numeric(12, 2), revenue numeric, updated_at timestamptz, changed timestamp
        );
        insert into daily
        select n, 'c' || n % 2, 'Search', 'New', date '2025-01-01' + n / 2, 1000 + n, 50, 5, 2,
            10.50, 20.25, timestamptz '2025-01-01 00:00+00' + n * interval '12 hours',
            timestamp '2025-01-01 08:00' + n * interval '12 hours'
        from generate_series(0, 59) as n;
        """
    )
    return "daily"


@pytest.fixture
def paths(tmp_path):
    return replace(find_paths(ROOT), lake=tmp_path / "lake", schema="s")


@pytest.fixture
def load(server, paths, table):
    """Load the table as a source with our names; `rows()` of the last load."""

    def run(**options):
        options = {"source": "crm", "mapping": None, "url": server.url, "table": table} | options
        url = find_url(options.pop("url"))
        return load_table(url, options.pop("table"), paths, options.pop("mapping"), **options)

    return run


def raw(paths) -> pl.DataFrame:
    return pl.read_delta(str(ledger.table_path(paths, ledger.RAW_TABLE)))


def state(paths) -> tuple[int, ...]:
    """What must not change: number of raw rows, newest loads, files of the lake."""
    if not paths.lake.exists():
        return (0, 0)
    return (raw(paths).height, ledger.read_ledger(paths).height, len(list(paths.lake.rglob("*"))))


def test_a_whole_table_is_loaded_once(load, paths, server):
    result = load()
    assert (result.delivered, result.accepted, result.refused) == (60, 60, 0)
    assert result.file == f"postgresql://127.0.0.1:{server.port}/ads/public.daily"
    row = raw(paths).sort("source_line")[3]
    assert row["campaign_id"].item() == "c1"
    assert row["date"].item() == "2025-01-02"
    assert row["impressions"].item() == "1003"
    assert [row[name].item() for name in ("cost", "revenue")] == ["10.50", "20.25"]
    before = state(paths)
    assert load() is None
    assert state(paths) == before


def test_values_of_any_type_and_length_arrive_as_they_are(load, paths, server):
    server.sql(
        "alter table daily add column shape point default '(1,2)', add column tags json "
        "default '[1]', add column took interval default '1 day'"
    )
    server.sql("update daily set revenue = 1.12345678901234567890123 where id = 0")
    load()
    assert raw(paths).sort("source_line")["revenue"][0] == "1.12345678901234567890123"


def test_restated_and_back_again_are_two_deliveries(load, paths, server):
    load()
    server.sql("update daily set cost = 99 where id = 7")
    assert load().delivered == 60
    server.sql("update daily set cost = 10.50 where id = 7")
    # The very rows of the first load: skipping them would keep the 99.
    assert load().load_no == 3
    assert load() is None


@pytest.mark.parametrize(
    ("cursor", "lookback", "again"),
    [("date", 3, 8), ("updated_at", 3, 8), ("changed", 3, 8), ("id", 4, 5), ("id", None, 1)],
)
def test_only_what_is_new_and_the_look_back_are_read(load, paths, server, cursor, lookback, again):
    assert load(cursor=cursor, lookback=lookback).delivered == 60
    before = state(paths)
    assert load(cursor=cursor, lookback=lookback) is None
    assert state(paths) == before
    server.sql(
        "insert into daily select 60 + n, campaign_id, channel, segment, date + 30, impressions, "
        "clicks, leads, conversions, cost, revenue, updated_at + interval '30 days', "
        "changed + interval '30 days' from daily cross join lateral (select id as n) as x"
    )
    result = load(cursor=cursor, lookback=lookback)
    assert result.delivered == 60 + again
    assert load(cursor=cursor, lookback=lookback) is None


def test_a_restated_row_inside_the_look_back_comes_again_and_one_outside_does_not(
    load, paths, server
):
    load(cursor="date", lookback=3)
    server.sql("update daily set cost = 1 where id = 10")
    assert load(cursor="date", lookback=3) is None
    server.sql("update daily set cost = 77 where id = 55")
    result = load(cursor="date", lookback=3)
    assert result.load_no == 2
    restated = raw(paths).filter(pl.col("load_no") == 2)
    assert restated.filter(pl.col("cost") == "77.00").height == 1
    assert restated["date"].min() == "2025-01-27"


def test_a_late_row_without_a_cursor_value_is_not_lost(load, paths, server):
    load(cursor="updated_at")
    server.sql("update daily set updated_at = null, cost = 5 where id = 1")
    assert load(cursor="updated_at") is not None
    assert raw(paths).filter((pl.col("load_no") == 2) & (pl.col("cost") == "5.00")).height == 1
    assert load(cursor="updated_at") is None


def test_a_slip_into_the_future_does_not_stop_the_cursor(load, paths, server):
    server.sql("update daily set updated_at = '2999-01-01' where id = 59")
    load(cursor="updated_at")
    assert json.loads(ledger.read_ledger(paths)["cursor_value"][0])["value"].startswith(
        "2025-01-30"
    )
    server.sql("insert into daily select 60, 'c9', channel, segment, date, 1, 1, 1, 1, 1, 1, "
               "updated_at, changed from daily where id = 58")  # fmt: skip
    load(cursor="updated_at")
    assert "c9" in set(raw(paths)["campaign_id"])


def test_another_cursor_begins_from_the_start(load):
    load(cursor="id")
    assert load(cursor="date").delivered == 60


def test_with_a_mapping_only_its_columns_leave_the_database(load, paths, server):
    server.sql('alter table daily rename campaign_id to "Campaign ID"')
    server.sql("alter table daily add column email text default 'someone@example.com'")
    mapping = Mapping(
        source="crm",
        columns={
            "campaign_id": Cell(**{"from": "campaign id"}),
            "date": Cell(**{"from": "updated_at"}),
            "cost": Cell(**{"from": "cost"}),
        },
    )
    result = load(mapping=mapping, cursor="id")
    assert result.accepted == 60
    assert set(result.ignored) == {"id"}
    assert raw(paths)["date"].max() == "2025-01-30"
    assert b"example.com" not in b"".join(
        f.read_bytes() for f in paths.lake.rglob("*") if f.is_file()
    )


def test_sums_take_whole_days_only(load):
    columns = {name: Cell(**{"from": name}) for name in ("campaign_id", "date", "cost")}
    mapping = Mapping(source="crm", columns=columns, repeated_keys="sum")
    with pytest.raises(DatabaseError, match=r"adds up all rows of a day.*--cursor updated_at"):
        load(mapping=mapping, cursor="updated_at")
    assert load(mapping=mapping, cursor="date").accepted == 60
    last = mapping.model_copy(update={"repeated_keys": "last"})
    with pytest.raises(DatabaseError, match="a table has no order"):
        load(mapping=last)


def test_a_refused_delivery_leaves_the_cursor_where_it_was(load, paths, server):
    load(cursor="id")
    server.sql("insert into daily (id, campaign_id, date) values (60, '', '2025-02-01')")
    with pytest.raises(
        FileRefusedError, match=r"postgresql://127.0.0.1:\d+/ads/public.daily: 1 of 2"
    ):
        load(cursor="id")
    assert ledger.read_ledger(paths).height == 1
    server.sql(
        "update daily set campaign_id = 'c0', channel = 'Search', segment = 'New' where id = 60"
    )
    assert load(cursor="id").delivered == 2


def test_an_empty_table_is_nothing_new(load, paths, server):
    server.sql("delete from daily")
    assert load() is None
    assert load(cursor="id") is None
    assert not paths.lake.exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"table": "dayly"}, r"there is no such table; is it daily\?"),
        ({"table": "other.daily"}, "there is no such table; there are none"),
        ({"cursor": "modified"}, "there is no column modified; there are id, campaign_id"),
        ({"cursor": "channel"}, "column channel is of type TEXT; a cursor is a date"),
        ({"lookback": 3}, "name that column"),
    ],
)
def test_what_is_not_there_is_named(load, paths, options, said):
    with pytest.raises(DatabaseError, match=said):
        load(**options)
    assert state(paths) == (0, 0)


def test_a_table_that_may_not_be_read_is_named(load, server):
    server.sql("revoke select on daily from reader")
    with pytest.raises(DatabaseError, match="permission denied for table daily"):
        load()


def test_nothing_can_be_written_through_our_connection(load, server, monkeypatch):
    server.sql("grant all on daily to reader")
    server.sql("create function spoil() returns bigint language sql as "
               "'delete from daily returning 1'")  # fmt: skip
    server.sql("create view trap as select *, spoil() from daily")
    with pytest.raises(DatabaseError, match="read-only transaction"):
        load(table="trap")


def test_a_wrong_password_is_said_at_once_and_not_shown(load, server):
    said = []
    wrong = server.url.replace(PASSWORD, "wrong-canary")
    with pytest.raises(
        DatabaseError, match='password authentication failed for user "reader"'
    ) as e:
        load(url=wrong, say=said.append)
    assert said == []
    assert "canary" not in str(e.value)


def test_a_server_that_is_not_there_is_tried_three_times(load, monkeypatch):
    monkeypatch.setattr(database, "WAITS", (0.0, 0.0))
    said = []
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"postgresql://reader:{PASSWORD}@127.0.0.1:{closed.getsockname()[1]}/ads"
        with pytest.raises(DatabaseError, match=r"Connection refused.*Tried 3 times"):
            load(url=url, say=said.append)
    assert len(said) == 2


@pytest.fixture
def cut(monkeypatch, server):
    """The server ends our session after the first chunk, `times` times."""
    monkeypatch.setattr(database, "WAITS", (0.0, 0.0))
    monkeypatch.setattr(database, "CHUNK", 10)
    cuts = []
    original = database._chunks

    def install(times: int) -> list[int]:
        def chunks(*arguments):
            for number, chunk in enumerate(original(*arguments)):
                yield chunk
                if number == 0 and len(cuts) < times:
                    ended = server.sql(
                        "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
                        "where application_name = 'marketing-ai'"
                    )
                    assert ended == [(True,)]
                    cuts.append(number)

        monkeypatch.setattr(database, "_chunks", chunks)
        return cuts

    return install


def test_a_connection_that_drops_is_taken_up_again(load, paths, cut):
    cuts, said = cut(times=2), []
    result = load(cursor="id", say=said.append)
    assert len(cuts) == 2
    assert len(said) == 2
    assert "terminat" in said[0] or "closed" in said[0]
    assert result.delivered == raw(paths).height == 60
    assert raw(paths)["source_line"].n_unique() == 60


def test_a_connection_that_keeps_dropping_loads_nothing(load, paths, cut, server):
    load(cursor="id")
    server.sql("insert into daily select 60 + id, campaign_id, channel, segment, date + 60, 1, 1, "
               "1, 1, 1, 1, updated_at, changed from daily")  # fmt: skip
    before = state(paths)
    cuts = cut(times=3)
    with pytest.raises(DatabaseError, match="Tried 3 times, nothing was loaded"):
        load(cursor="id")
    assert len(cuts) == 3
    assert state(paths) == before
    assert load(cursor="id").delivered == 61


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:canary@h/db",
        "postgresql://u:can@ry@h/db",
        "postgresql://u:can/ary@h/db",
        "postgresql://u:canary@h:port/db",
        "postgresql://h/db?password=canary",
        "canary",
        "",
    ],
)
def test_an_address_that_is_none_is_refused_unseen(url, monkeypatch):
    monkeypatch.delenv("MARKETING_DATABASE_URL", raising=False)
    with pytest.raises(DatabaseError) as refusal:
        find_url(url)
    assert "postgresql://user:password@host:5432/database" in str(refusal.value)
    assert "can" not in str(refusal.value)


def test_the_address_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("MARKETING_DATABASE_URL", "postgres://u:p%40ss@h:1/db?sslmode=require")
    monkeypatch.setenv("OTHER", "postgresql:///db?host=/tmp")
    assert (find_url(None).password, find_url(None).port) == ("p@ss", 1)
    assert find_url("env:OTHER").database == "db"
    monkeypatch.delenv("OTHER")
    with pytest.raises(DatabaseError, match="set OTHER to"):
        find_url("env:OTHER")


def test_the_password_is_nowhere(server, table, tmp_path):
    """Whatever happens, neither output nor lake nor log nor home folder has it."""
    home, lake = tmp_path / "home", tmp_path / "lake"
    home.mkdir()
    project = tmp_path / "project"
    project.mkdir()
    for name in ("dbt_project.yml", "macros", "seeds"):
        (project / name).symlink_to(ROOT / name)
    wrong = server.url.replace("reader", "nobody")
    runs = [
        (["--cursor", "id"], 0, "60 rows delivered"),
        (["--cursor", "id", "--database", server.url], 0, "nothing new in daily"),
        (["--cursor", "nope", "--database", "env:SECRET_URL"], 1, "no column nope"),
        (["--database", wrong], 1, "authentication failed"),
        (["--database", server.url.replace("@", "@@")], 1, "not of the form"),
    ]
    for options, code, said in runs:
        done = subprocess.run(
            [sys.executable, "-m", "marketing_ai.cli", "load", "--table", table,
             "--source", "crm", *options],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(home),
                "MARKETING_HOME": str(project),
                "MARKETING_LAKE": str(lake),
                "MARKETING_DATABASE_URL": server.url,
                "SECRET_URL": server.url,
            },
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        assert said in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert PASSWORD not in done.stdout + done.stderr
    written = [f for folder in (home, lake, project) for f in folder.rglob("*") if f.is_file()]
    assert any(lake in f.parents for f in written)
    for file in written:
        assert PASSWORD.encode() not in file.read_bytes(), file
    # dlt keeps no pipeline, no identity and no log of its own.
    assert list(home.rglob("*")) == []
