"""The notebook runs from top to bottom and leaves the tables and numbers it promises."""

import os
from pathlib import Path

import polars as pl
import pytest

nbclient = pytest.importorskip("nbclient", reason="the notebook needs nbclient to be executed")
nbformat = pytest.importorskip("nbformat", reason="the notebook needs nbformat to be read")

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "notebooks" / "01_marketing_kpi_revenue_prediction.ipynb"
LINE_2 = "SOURCE, LAKE = "
TABLES = {
    "marketing_clean": 11_045,
    "kpi_campaign": 30,
    "kpi_channel": 5,
    "forecast_features": None,
    "forecast_backtest": None,
    "forecast_accuracy": 5,
    "budget_scenarios": 6,
    "new_campaign_forecast": 4,
    "campaign_segments": 27,
    "segment_profiles": None,
    "notebook_summary": None,
}


@pytest.fixture(scope="module")
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def written(notebook, tmp_path_factory):
    """Folder of the tables that one execution of the notebook wrote."""
    folder = tmp_path_factory.mktemp("notebook_lake")
    copy = nbformat.from_dict(notebook)
    # What one would do on a cluster: line 2 names other paths.
    lines = [line for cell in copy.cells for line in cell.source.splitlines() if LINE_2 in line]
    assert len(lines) == 1
    for cell in copy.cells:
        seed = ROOT / "seeds" / "marketing_clean.csv"
        cell.source = cell.source.replace(lines[0], f'{LINE_2}"{seed}", "{folder}"')
    path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
    client = nbclient.NotebookClient(
        copy, timeout=600, resources={"metadata": {"path": str(NOTEBOOK.parent)}}
    )
    client.execute(env=os.environ | {"PYTHONPATH": path})
    return folder


def test_it_is_committed_without_outputs(notebook):
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert not [cell.id for cell in code if cell.outputs or cell.execution_count]


def test_exactly_two_lines_are_marked_for_databricks_and_fabric(notebook):
    source = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    marks = [line for line in source.splitlines() if line.startswith("# LINE ")]
    assert [mark[:8] for mark in marks] == ["# LINE 1", "# LINE 2"]
    # Nothing after those lines may reach for the local machine.
    after = source.split(LINE_2, 1)[1].split("\n", 1)[1]
    for local in ("find_paths", "spark_session", "../", '.csv"', "saveAsTable"):
        assert local not in after, local


def test_it_writes_its_delta_tables(written):
    assert {path.parent.name for path in written.glob("*/_delta_log")} == set(TABLES)
    for name, rows in TABLES.items():
        stored = pl.scan_delta(str(written / name)).collect()
        assert stored.height > 0, name
        assert rows is None or stored.height == rows, name


def test_its_numbers_are_finite_and_honest(written):
    summary = pl.read_delta(str(written / "notebook_summary"))
    assert summary["value"].is_finite().all()
    value = dict(summary.iter_rows())
    assert 0 < value["wape_random_forest"] < value["wape_best_baseline"] < 0.5
    assert abs(value["uplift_20_notebook"] - value["uplift_20_true"]) < 0.03
    assert value["r2_same_day_recipe"] > 0.8
    assert value["uplift_20_same_day_recipe"] < 0.5 * value["uplift_20_true"]
    assert value["segment_purity"] >= 0.9
    for name in ("forecast_backtest", "budget_scenarios", "new_campaign_forecast"):
        numbers = pl.read_delta(str(written / name)).select(pl.selectors.float())
        assert numbers.select(pl.all().is_finite().all()).row(0) == (True,) * numbers.width, name


def test_its_kpis_are_ratios_of_the_sums(written):
    clean = pl.read_delta(str(written / "marketing_clean"))
    kpi = pl.read_delta(str(written / "kpi_channel")).sort("channel")
    sums = clean.group_by("channel").agg(pl.col("cost", "revenue", "leads").sum()).sort("channel")
    cost, revenue = sums["cost"].cast(pl.Float64), sums["revenue"].cast(pl.Float64)
    assert kpi["roas"].to_list() == pytest.approx((revenue / cost).to_list())
    assert kpi["roi"].to_list() == pytest.approx(((revenue - cost) / cost).to_list())
    assert kpi["cpl"].to_list() == pytest.approx((cost / sums["leads"]).to_list())
