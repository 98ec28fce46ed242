"""SQL attacks: statements that no question needs, which the guard must not let through.

Some 130 seeds, for DuckDB and for Spark, are put in every place where they fit and written in
several ways, for both dialects. The usual way (one statement, a SELECT at its root, no DDL or DML
inside) is tried on the same statements; what it lets through is also run on a DuckDB as it comes,
in an empty folder with a canary file.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from marketing_ai.assistant import guard
from marketing_ai.assistant.warehouse import Warehouse

CANARY = "canary.txt"
_EXPRESSIONS = """
read_text('canary.txt')
(select content from read_text('canary.txt'))
(select max(cost) from marketing_kpi)
(select count(*) from duckdb_settings())
getenv('HOME')
current_setting('home_directory')
current_user
version()
pg_sleep(1)
random()
uuid()
md5('x')
nextval('s')
list_value(1, 2)
range(1000000000)
generate_series(1, 1000000000)
unnest(range(1000000000))
repeat('x', 1000000000)
string_agg(campaign_name, ',')
array_agg(campaign_name)
cast(campaign_name as json)
cast(cost as varchar)
cost::blob
cost::struct(a int)
sum(cost) over (partition by channel)
row_number() over (order by cost)
exists (select 1)
cost in (select cost from marketing_kpi)
password
marketing_kpi.cost
main.marketing_kpi.cost
columns(*)
struct_pack(a := cost)
lambda x: x + 1
list_transform([1], x -> x + 1)
@@version
$1
java_method('java.lang.System', 'getenv', 'HOME')
reflect('java.lang.System', 'getenv', 'HOME')
try_reflect('java.lang.System', 'exit', 1)
aes_decrypt(unhex('00'), 'k')
input_file_name()
assert_true(false)
raise_error('x')
from_json('{}', 'a int')
xpath('<a/>', '/a')
ai_query('m', 'p')
http_get('127.0.0.1')
load_file('canary.txt')
query('select 1')
regexp_extract(campaign_name, '(a+)+$')
interval '1' day + date
date_trunc('century', date)
cast(cost as decimal(38, 0))
collate(campaign_name, 'x')
try_cast(cost as double)
""".strip().splitlines()
_SOURCES = """
'canary.txt'
"canary.txt"
read_csv('canary.txt')
read_csv_auto('canary.txt')
read_text('canary.txt')
read_blob('canary.txt')
read_parquet('*.parquet')
read_json('canary.txt')
glob('*')
query_table('marketing_kpi')
query('select 1')
range(1000000000)
generate_series(1, 1000000000)
duckdb_secrets()
duckdb_settings()
pragma_version()
information_schema.tables
sqlite_master
pg_catalog.pg_tables
main.marketing_kpi
memory.main.marketing_kpi
marketing_kpi tablesample 10%
marketing_kpi at (version => 1)
marketing_clean
publication
(values (1)) v(cost)
(select 1 as cost)
lateral (select 1 as cost)
unnest([1])
sniff_csv('canary.txt')
text.`canary.txt`
csv.`canary.txt`
json.`canary.txt`
binaryFile.`canary.txt`
parquet.`canary.txt`
delta.`lake`
marketing_kpi version as of 1
stream(marketing_kpi)
table_changes('marketing_kpi', 1)
""".strip().splitlines()
_STATEMENTS = """
drop table marketing_kpi
delete from marketing_kpi
update marketing_kpi set cost = 0
insert into marketing_kpi select * from marketing_kpi
truncate table marketing_kpi
alter table marketing_kpi drop column cost
create table x as select 1
create view x as select 1
create function f() as 1
create macro f() as 1
create secret s (type s3)
merge into marketing_kpi using marketing_kpi on true when matched then delete
copy marketing_kpi to 'out.csv'
copy (select 1) to 'out.csv'
export database 'out'
import database 'out'
attach 'x.db'
detach memory
install httpfs
load httpfs
set enable_external_access = true
reset threads
pragma database_list
call pragma_version()
checkpoint
vacuum
analyze marketing_kpi
explain select 1
explain analyze select 1
describe marketing_kpi
show tables
summarize marketing_kpi
use main
begin
commit
prepare p as select 1
execute p
execute immediate 'drop table marketing_kpi'
grant select on marketing_kpi to x
add jar 'x.jar'
cache table marketing_kpi
refresh table marketing_kpi
msck repair table marketing_kpi
from marketing_kpi
from marketing_kpi select cost
pivot marketing_kpi on channel using sum(cost)
values (1)
table marketing_kpi
with marketing_kpi as (select 1 as cost) select cost from marketing_kpi limit 1
with recursive r as (select 1 union all select 1 from r) select * from r limit 1
select cost from marketing_kpi union all select cost from marketing_kpi limit 1
select cost from marketing_kpi intersect select cost from marketing_kpi limit 1
select a.cost from marketing_kpi a, marketing_kpi b limit 1
select cost from marketing_kpi natural join marketing_kpi_campaign limit 1
select cost from marketing_kpi cross join marketing_kpi_campaign limit 1
select * from marketing_kpi limit 1
select * exclude (cost) from marketing_kpi limit 1
select cost from marketing_kpi
select cost from marketing_kpi limit all
select cost from marketing_kpi limit 10%
select cost from marketing_kpi limit 1000000
select cost from marketing_kpi limit 1 offset 5
select cost from marketing_kpi limit (select 1)
select cost into x from marketing_kpi limit 1
select cost from marketing_kpi for update limit 1
select distinct on (channel) cost from marketing_kpi limit 1
select cost from marketing_kpi qualify true limit 1
select cost from marketing_kpi group by all limit 1
select cost from marketing_kpi order by all limit 1
select cost from marketing_kpi window w as () limit 1
select cost from marketing_kpi using sample 10 limit 1
select /*+ broadcast(x) */ cost from marketing_kpi limit 1
select transform(cost) using 'cat' as (x) from marketing_kpi limit 1
from marketing_kpi map cost using 'cat' as x
select cost from marketing_kpi lateral view explode(array(1)) t as x limit 1
select cost from marketing_kpi cluster by cost limit 1
select cost from marketing_kpi limit 1; drop table marketing_kpi
select cost from marketing_kpi limit 1 -- and more
select cost /* hidden */ from marketing_kpi limit 1
""".strip().splitlines()
_BAD_NODES = (exp.DDL, exp.DML, exp.Drop, exp.Alter, exp.Command, exp.Copy, exp.Set, exp.Pragma)


@dataclass(frozen=True)
class Attacked:
    """How the attacks ended.

    Attributes:
        tried: statements by dialect, each once.
        executed: statements that the guard let through.
        usual_let_through: statements that "one SELECT only" lets through.
        usual_executed: those of them that a DuckDB as it comes really ran.
    """

    tried: int
    executed: list[str]
    usual_let_through: int
    usual_executed: int


def statements() -> Iterator[str]:
    """Every attack, in DuckDB's and in Spark's words."""
    written: set[str] = set()
    for text in _placed():
        for form in (text, text.upper(), text.replace(" ", "\n\t"), f"{text};", f"({text})"):
            if form not in written:
                written.add(form)
                yield form


_EXPRESSION_PLACES = (
    "select {} as x from marketing_kpi limit 1",
    "select cost from marketing_kpi where {} = 1 limit 1",
    "select sum(cost) as x from marketing_kpi group by {} limit 1",
    "select cost from marketing_kpi order by {} limit 1",
    "select coalesce(cost, {}) as x from marketing_kpi limit 1",
)
_SOURCE_PLACES = (
    "select cost from {} limit 1",
    "select count(*) as n from {} limit 1",
    "select cost from marketing_kpi where cost in (select 1 from {}) limit 1",
    "select cost from marketing_kpi, {} limit 1",
)


def _placed() -> Iterator[str]:
    yield from _STATEMENTS
    for places, seeds in ((_EXPRESSION_PLACES, _EXPRESSIONS), (_SOURCE_PLACES, _SOURCES)):
        for place in places:
            for seed in seeds:
                yield place.replace("{}", seed)


def run(warehouse: Warehouse) -> Attacked:
    """Try every attack on the guard, and on the usual way."""
    tried, let_through, really = 0, 0, 0
    executed = []
    columns: Mapping[str, frozenset[str]] = warehouse.columns
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, CANARY).write_text("canary", encoding="utf-8")
        before = Path.cwd()
        os.chdir(folder)
        logging.getLogger("sqlglot").setLevel(logging.ERROR)
        usual = _table_like_ours()
        try:
            for text in statements():
                for dialect in ("duckdb", "spark"):
                    tried += 1
                    if _passes(text, columns, dialect):
                        executed.append(f"{dialect}: {text}")
                    if _usual_way(text, dialect):
                        let_through += 1
                        really += dialect == "duckdb" and _runs(text, usual)
        finally:
            os.chdir(before)
    return Attacked(tried, executed, let_through, really)


def _passes(text: str, columns: Mapping[str, frozenset[str]], dialect: str) -> bool:
    try:
        guard.check(text, columns, dialect)
    except guard.GuardError:
        return False
    return True


def _usual_way(text: str, dialect: str) -> bool:
    """One statement, a SELECT at its root, nothing inside that changes anything."""
    try:
        found = [tree for tree in sqlglot.parse(text, read=dialect) if tree is not None]
    except (SqlglotError, RecursionError, ValueError):
        return False
    if len(found) != 1 or not isinstance(found[0], exp.Query):
        return False
    return not any(isinstance(node, _BAD_NODES) for node in found[0].walk())


def _table_like_ours() -> duckdb.DuckDBPyConnection:
    """A DuckDB as it comes, with a table like ours."""
    connection = duckdb.connect()
    connection.execute(
        "create table marketing_kpi as select 1.0 as cost, 'a' as channel, "
        "'b' as campaign_name, date '2025-01-01' as date"
    )
    connection.execute("create table marketing_kpi_campaign as from marketing_kpi")
    return connection


def _runs(text: str, connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether a DuckDB as it comes runs it."""
    # Statements made to take long would only show that they do.
    if "1000000000" in text or "recursive" in text.lower():
        return False
    try:
        connection.execute(text).fetchall()
    except duckdb.Error:
        return False
    return True
