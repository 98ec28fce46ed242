"""The dbt plugin: typed seeds, and Python models whose failures are explained and harmless."""

from __future__ import annotations

import re
import textwrap

import polars as pl
import pytest
from dbt.plugins.manager import PluginManager
from rich.console import Console

from dbt_marketing_spark.seeds import SeedError, load_seed, read_seed


def test_dbt_finds_the_plugin():
    """The hook is experimental in dbt-core: an upgrade that drops it must turn red here."""
    manager = PluginManager.from_modules("marketing_ai")
    assert "MarketingSparkPlugin" in {plugin.name for plugin in manager._plugins}


def test_seed_values_survive_exactly(spark, lake, tmp_path):
    rows = [
        "O'Brien,C:\\new\\table,9007199254740993,0.1000,2025-02-28",
        '"a ""quoted"", cell","two\nlines",-9223372036854775808,,',
        ',"",,123456789.9999,1999-12-31',
        "None,'; drop table x; --,0,-0.0001,2024-02-29",
    ]
    path = tmp_path / "seed.csv"
    path.write_text("name,note,big,money,day\n" + "\n".join(rows) + "\n")
    types = '{"name": "string", "note": "string", "big": "bigint", "money": "decimal(18,4)"}'
    spark.sql("create schema if not exists seeds")
    assert load_seed(spark, str(path), "seeds.exact", types, '{"big": "a \'big\' one"}') == 4

    table = pl.scan_delta(str(lake / "seeds.db" / "exact")).collect()
    assert table["name"].to_list() == ["O'Brien", 'a "quoted", cell', None, "None"]
    assert table["note"].to_list() == ["C:\\new\\table", "two\nlines", "", "'; drop table x; --"]
    assert table["big"].to_list() == [9007199254740993, -(2**63), None, 0]
    money = [None if m is None else str(m) for m in table["money"]]
    assert money == ["0.1000", None, "123456789.9999", "-0.0001"]
    assert [str(d) for d in table["day"]] == ["2025-02-28", "None", "1999-12-31", "2024-02-29"]
    comments = {r["col_name"]: r["comment"] for r in spark.sql("describe seeds.exact").collect()}
    assert comments["big"] == "a 'big' one"
    assert spark.sql("describe history seeds.exact").count() == 1  # one commit


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("n,m\n1,x\n", "In CSV column #1.*invalid value 'x'"),
        ("n,other\n1,2\n", "'m' in column_types|column m of the yml"),
        ("n,m\n1\n", "Expected 2 columns, got 1"),
    ],
)
def test_a_seed_that_breaks_its_yml_is_refused(tmp_path, text, said):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(SeedError, match=said) as refusal:
        read_seed(path, {"n": "bigint", "m": "bigint"})
    assert str(path) in str(refusal.value)


def test_an_unknown_seed_type_is_named(tmp_path):
    with pytest.raises(SeedError, match="'varchar2' is not one of string"):
        read_seed(tmp_path / "any.csv", {"n": "varchar2"})


@pytest.fixture
def scratch(spark, lake, tmp_path, monkeypatch):
    """A dbt project with one Python model whose body a test writes."""
    from marketing_ai.build import run_dbt

    (tmp_path / "models").mkdir()
    (tmp_path / "dbt_project.yml").write_text(
        "name: scratch\nversion: 1.0.0\nprofile: marketing_ai\nmodel-paths: [models]\n"
    )
    monkeypatch.setenv("MARKETING_SCHEMA", "scratch")
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path / "target"))

    def run(body: str, config: str = ""):
        setting = f'dbt.config(materialized="table", file_format="delta"{config})'
        code = f"def model(dbt, session):\n    {setting}\n"
        (tmp_path / "models" / "made.py").write_text(code + textwrap.indent(body, "    "))
        return run_dbt(["run", "--project-dir", str(tmp_path)], Console(quiet=True))

    def read() -> list:
        return spark.sql("select * from scratch.made").collect()

    run.read = read
    return run


def test_a_python_model_becomes_a_table(scratch):
    assert scratch("return session.range(3).selectExpr('id * 2 as twice')").success
    assert sorted(row["twice"] for row in scratch.read()) == [0, 2, 4]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "rows = [1]\nraise ValueError('no revenue')\nreturn rows",
            "models/made.py, line 4: ValueError: no rev",
        ),
        ("return session.table('nowhere.at_all')", "line 3: AnalysisException"),
        ("return None", "NoneType"),
        ("return session.sql('select 1/0 as x')", "DIVIDE_BY_ZERO"),
        ("def f(:", "SyntaxError|Parsing|invalid syntax"),
    ],
)
def test_a_failing_python_model_is_explained_and_the_old_table_stays(scratch, body, said):
    assert scratch("return session.range(1)").success
    before = scratch.read()
    result = scratch(body)
    assert not result.success
    message = "\n".join(text for _, text in result.failures)
    assert re.search(said, message), message
    assert scratch.read() == before


@pytest.mark.parametrize(
    "body",
    [
        "import time\nfor _ in range(600):\n    time.sleep(0.05)\nreturn session.range(1)",
        "return session.range(10**12).selectExpr('sum(sqrt(id)) as s')",
    ],
    ids=["python", "spark"],
)
def test_a_hanging_python_model_is_stopped_after_its_timeout(scratch, body):
    assert scratch("return session.range(1)").success
    before = scratch.read()
    result = scratch(body, ", timeout=1")
    assert not result.success
    assert "stopped after its timeout of 1 s; the old table stays" in result.failures[0][1]
    assert scratch.read() == before
