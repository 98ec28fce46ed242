"""What `marketing inspect` proposes, what it asks, and that its YAML loads as it says."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import polars as pl
import pytest
import xlsxwriter
import yaml
from rich.console import Console
from typer.testing import CliRunner

from marketing_ai.cli import app
from marketing_ai.load import gate, ledger, presets
from marketing_ai.load.inspect import Proposal, propose, source_name
from marketing_ai.load.landing import load_file
from marketing_ai.load.mapping import RULES, Mapping, MappingError, Reading, read_mapping
from marketing_ai.load.proposal import print_proposal, to_yaml
from marketing_ai.load.reading import FileRefusedError
from marketing_ai.paths import find_paths


@pytest.fixture
def look(tmp_path):
    """Propose a mapping for some text."""

    def look(content: str | bytes, name: str = "shop.csv", **known) -> Proposal:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return propose(path, "shop", known)

    return look


def mapping_of(proposal: Proposal) -> Mapping:
    """The mapping as a user gets it: through the YAML file."""
    path = proposal.path.with_name("shop.yml")
    path.write_text(to_yaml(proposal), encoding="utf-8")
    return read_mapping(path)


def columns(proposal: Proposal) -> dict[str, object]:
    return {
        ours: cell.get("from", cell.get("constant"))
        for ours, cell in proposal.settings["columns"].items()
    }


def asked(proposal: Proposal) -> dict[str, list[str]]:
    return {q.setting: [line for line, _ in q.options] for q in proposal.questions}


NAMES = {
    "cost": "mark_spent spend ad_spend campaign_cost Amount_Spent cost Kosten Cost_(EUR)",
    "revenue": "revenue revenue_generated conversions_value Sales Umsatz total_revenue",
    "conversions": "orders purchases conversions Total_Conversions",
    "date": "c_date day Day stat_time_day date_start campaign_date",
    "channel": "category platform network Channel utm_source",
    "segment": "region country audience ad_group segment",
    "impressions": "Impressions impr. imps",
    "clicks": "clicks link_clicks Total_Clicks",
    "leads": "leads sign_ups",
}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(ours, name.replace("_(", " (")) for ours, names in NAMES.items() for name in names.split()],
)
def test_usual_names_are_known(look, ours, theirs):
    cells = {"date": "2024-01-02", "channel": "search", "segment": "north"}
    other = "clicks" if ours != "clicks" else "cost"
    proposal = look(f'campaign_id,{other},"{theirs}"\n1,2,{cells.get(ours, 3)}\n')
    assert columns(proposal)[ours] == theirs
    assert proposal.questions == ()
    assert mapping_of(proposal).columns[ours].sources == (theirs,)


@pytest.mark.parametrize(
    "ratio", ["CTR", "cpc", "CPA", "ROAS", "roi", "eCPM", "Conv. rate", "Cost per order", "avg_cpc"]
)
def test_ready_made_ratios_are_never_taken(look, ratio):
    proposal = look(f"campaign,day,spend,{ratio}\nx,2024-01-02,3,0.5\n")
    assert ratio not in columns(proposal).values()
    assert "ready-made ratio" in proposal.ignored[ratio]


def test_two_columns_for_one_number_are_a_question_and_nothing_loads(look):
    proposal = look(
        "campaign,day,spend,net_revenue,gross_revenue,orders,conversions\n"
        "x,2024-01-02,3,10,12,1,2\n"
    )
    assert asked(proposal) == {
        "conversions": ["conversions: {from: conversions}", "conversions: {from: orders}"],
        "revenue": ["revenue: {from: net_revenue}", "revenue: {from: gross_revenue}"],
    }
    assert not {"revenue", "conversions"} & set(columns(proposal))
    with pytest.raises(MappingError, match="revenue: is it 'net_revenue' or 'gross_revenue'"):
        mapping_of(proposal)
    # The user takes one # away and deletes the questions.
    text = to_yaml(proposal).replace("# revenue: {from: net", "revenue: {from: net")
    content = yaml.safe_load(text)
    del content["questions"]
    assert Mapping.model_validate(content).columns["revenue"].sources == ("net_revenue",)


@pytest.mark.parametrize(
    ("cells", "forms"),
    [
        (["2024-01-02", "2024-12-31"], ["%Y-%m-%d"]),
        (["2024-01-02 13:00:00"], ["%Y-%m-%d"]),
        (["13/2/2024", "1/2/2024"], ["%d/%m/%Y"]),
        (["2/13/24"], ["%m/%d/%y"]),
        (["1.2.2024"], ["%d.%m.%Y"]),
        (["20240102"], ["%Y%m%d"]),
        (["Jan 2, 2024"], ["%b %d, %Y"]),
        (["13/02/2024 14:30"], ["%d/%m/%Y %H:%M"]),
    ],
)
def test_the_format_that_reads_all_days_is_taken(look, cells, forms):
    proposal = look("campaign;day;spend\n" + "".join(f"x;{cell};3\n" for cell in cells))
    assert proposal.settings["read"].get("dates", ["%Y-%m-%d"]) == forms
    assert proposal.questions == ()
    assert all(row["date"] for row in proposal.rows)


def test_day_and_month_that_could_change_places_are_a_question(look):
    proposal = look("campaign,day,spend\nx,01/02/2024,3\nx,03/04/2024,3\n")
    assert asked(proposal) == {"dates": ['dates: ["%d/%m/%Y"]', 'dates: ["%m/%d/%Y"]']}
    assert "'01/02/2024' is the month" in proposal.questions[0].text


def test_days_that_no_format_reads_are_a_question(look):
    proposal = look("campaign,day,spend\nx,13.02.2024,3\ny,14.02.2024,3\nz,soon,4\n")
    assert "does not read 1 cell, such as 'soon'" in proposal.questions[0].text
    assert proposal.settings["read"]["dates"] == ["%d.%m.%Y"]
    # One slip among many rows is no question: the row is refused and shown.
    many = look("campaign,day,spend\n" + "x,13.02.2024,3\n" * 200 + "z,soon,4\n")
    assert many.questions == ()
    assert "such as 'soon'; such rows are refused" in many.notes[0]


@pytest.mark.parametrize(
    ("cells", "signs"),
    [
        (["1234.50", "7"], {}),
        (["1,234.50", "7"], {"thousands": ","}),
        (["1234,5", "7"], {"decimal": ","}),
        (["1.234,50", "7,25"], {"decimal": ",", "thousands": "."}),
        (["1 234,50", "7"], {"decimal": ",", "thousands": " "}),
        (["1'234.50", "7"], {"thousands": "'"}),
        (["$1,234.50", "€ 7.1"], {"thousands": ","}),
    ],
)
def test_signs_of_numbers_are_those_that_read_all_cells(look, cells, signs):
    proposal = look("campaign\tday\tspend\n" + "".join(f"x\t2024-01-02\t{c}\n" for c in cells))
    read = proposal.settings["read"]
    assert {name: read[name] for name in ("decimal", "thousands") if name in read} == signs
    assert proposal.questions == ()


@pytest.mark.parametrize(
    ("cell", "options"),
    [
        ("1,234", ['decimal: "."; thousands: ","', 'decimal: ","; thousands: ""']),
        ("1.234", ['decimal: "."; thousands: ""', 'decimal: ","; thousands: "."']),
    ],
)
def test_a_number_that_could_be_a_thousand_times_another_is_a_question(look, cell, options):
    proposal = look(f"campaign;day;spend\nx;2024-01-02;{cell}\n")
    assert asked(proposal) == {"signs": options}


def test_micros_fractions_versions_and_currencies(look):
    proposal = look(
        "campaign_id,day,cost_micros,conversions,_fivetran_synced,currency_code\n"
        "1,2024-01-02,1500000,0.5,2024-01-03 10:00:00,USD\n"
    )
    cells = proposal.settings["columns"]
    assert cells["cost"] == {"from": "cost_micros", "divide_by": 1_000_000}
    assert cells["conversions"] == {"from": "conversions", "round": True}
    assert proposal.settings["version"] == {"from": "_fivetran_synced"}
    assert proposal.settings["currency"] == {"from": "currency_code"}
    assert proposal.rows[0]["cost"] == "1.5000"
    euro = look("campaign,day,Spend (EUR)\nx,2024-01-02,3\n")
    assert euro.settings["currency"] == {"constant": "EUR"}
    dollar = look("campaign,day,spend\nx,2024-01-02,$3\n")
    assert "currency" not in dollar.settings
    assert any("'$'" in note for note in dollar.notes)


def test_an_identifier_is_composed_where_there_is_none(look):
    proposal = look(
        "platform,type,country,day,spend\na,b,c,2024-01-02,1\na,b,d,2024-01-02,2\n"
        "a,b,d,2024-01-02,3\n"
    )
    assert columns(proposal)["campaign_id"] == ["platform", "type", "country"]
    assert proposal.settings["repeated_keys"] == "sum"
    assert [row["campaign_id"] for row in proposal.rows] == ["a_b_c", "a_b_d", "a_b_d"]


def test_rows_that_a_device_sets_apart_are_added_up_and_others_are_named(look):
    text = "campaign_id,day,device,spend\n1,2024-01-02,phone,3\n1,2024-01-02,desktop,4\n"
    proposal = look(text)
    assert proposal.settings["repeated_keys"] == "sum"
    assert "'device'" in proposal.reasons["repeated_keys"]
    proposal = look(text.replace("device,", "").replace("phone,", "").replace("desktop,", ""))
    assert "repeated_keys" not in proposal.settings
    assert any("2 rows share" in note for note in proposal.notes)
    copies = look("campaign_id,day,spend\n1,2024-01-02,3\n1,2024-01-02,3\n")
    assert not any("share" in note for note in copies.notes)
    hours = look("campaign_id,day,spend\n1,2024-01-02 10:00,3\n1,2024-01-02 11:00,4\n")
    assert hours.settings["repeated_keys"] == "sum"


def test_a_wide_layout_becomes_rows(look):
    proposal = look(
        "date,google_cost,google_clicks,meta_cost,meta_clicks\n2024-01-02,1.5,2,3.5,4\n"
    )
    assert [
        (row["campaign_id"], row["channel"], row["cost"], row["clicks"]) for row in proposal.rows
    ] == [("google", "Google", "1.5", "2"), ("meta", "Meta", "3.5", "4")]
    assert len(mapping_of(proposal).unpivot) == 2
    behind = look("date,Cost Google Ads,Cost Meta Ads\n2024-01-02,1.5,3.5\n")
    assert [row["channel"] for row in behind.rows] == ["Google Ads", "Meta Ads"]


def test_spellings_of_a_channel_become_one(look):
    proposal = look(
        "campaign_id,channel,day,spend\n"
        "1,Google Ads,2024-01-02,1\n2,google ads ,2024-01-02,1\n3,Google Ads,2024-01-02,1\n"
        "4,Email,2024-01-02,1\n"
    )
    assert proposal.settings["channels"] == ["Google Ads", "Email"]
    assert {row["channel"] for row in proposal.rows} == {"Google Ads", "Email"}


def test_personal_data_is_named_and_left_to_the_user(look):
    proposal = look("campaign,day,spend,E-Mail,contact\nx,2024-01-02,3,,a@b.example\n")
    assert proposal.personal == ("E-Mail", "contact")
    mapping = mapping_of(proposal)
    assert mapping.personal_data == ()
    paths = replace(find_paths(), lake=proposal.path.parent / "lake")
    with pytest.raises(FileRefusedError, match="'E-Mail', 'contact' looks like personal data"):
        load_file(proposal.path, paths, mapping)
    text = to_yaml(proposal).replace("# personal_data:", "personal_data:")
    declared = Mapping.model_validate(yaml.safe_load(text))
    load_file(proposal.path, paths, declared)
    raw = pl.read_delta(str(ledger.table_path(paths, ledger.RAW_TABLE)))
    assert "a@b.example" not in json.dumps(raw.to_dicts(), default=str)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("Report\nof, January\n\nday;campaign;spend\n2024-01-02;x;3\n", {"header_row": 4}),
        ("sep=;\nday;campaign;spend\n2024-01-02;x;3\n", {"header_row": 2}),
        ("day;campaign;spend\n2024-01-02;Frühling;3\n".encode("cp1252"), {"encoding": "cp1252"}),
        ("day;campaign;spend\n2024-01-02;é;3\n".encode("utf-16"), {"encoding": "utf-16"}),
    ],
)
def test_how_the_file_can_be_read_is_found(look, content, found):
    proposal = look(content)
    assert proposal.settings["read"] == {"delimiter": ";", **found}
    assert columns(proposal)["cost"] == "spend"
    assert columns(look(content, **found))["cost"] == "spend"


def test_the_sheet_and_its_header_are_found(tmp_path):
    path = tmp_path / "book.xlsx"
    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet("Notes").write(0, 0, "hello")
        data = book.add_worksheet("Data")
        data.write(0, 0, "Report of January")
        data.write_row(2, 0, ["day", "campaign", "spend"])
        for row in range(3, 9):
            data.write_row(row, 0, ["2024-01-02", f"x{row}", 3.5])
    proposal = propose(path, "shop")
    assert proposal.settings["read"] == {"sheet": "Data", "header_row": 3}
    assert proposal.rows[0]["cost"] == "3.5"
    assert any("Notes" in note for note in proposal.notes)


def test_names_from_outside_are_data(look):
    name = "[red]spend\u202e\n: {x}# \"'"
    quoted = name.replace('"', '""')
    proposal = look(f'campaign,day,"{quoted}",clicks\nx,2024-01-02,3,1\n')
    assert columns(proposal)["cost"] == name
    assert mapping_of(proposal).columns["cost"].sources == (name,)
    out = StringIO()
    print_proposal(Console(file=out, width=200), proposal)
    assert "[red]spend :" in out.getvalue()
    assert "\u202e" not in out.getvalue() + to_yaml(proposal)


def test_what_cannot_be_inspected_is_said(look, monkeypatch, tmp_path):
    with pytest.raises(MappingError, match="'My Shop' is no name for a source"):
        propose(tmp_path / "shop.csv", "My Shop")
    with pytest.raises(FileRefusedError, match="there is no such file"):
        propose(tmp_path / "none.csv", "shop")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(gate, "first_bytes", refuse)
    with pytest.raises(FileRefusedError, match=r"cannot be read \(Permission denied\)"):
        look("campaign,day,spend\nx,2024-01-02,3\n")


def test_the_name_of_a_source_comes_from_the_file():
    assert source_name(Path("/x/My Ads-2024.csv.gz")) == "my_ads_2024"
    assert source_name(Path("2024.csv")) == "file_2024"


def test_the_command_writes_once(tmp_path, monkeypatch):
    (tmp_path / "dbt_project.yml").write_text("name: x\n")
    monkeypatch.setenv("MARKETING_HOME", str(tmp_path))
    path = tmp_path / "shop.csv"
    path.write_text("campaign,day,spend,orders\nx,2024-01-02,3,1\n")
    run = CliRunner().invoke(app, ["inspect", str(path)])
    assert run.exit_code == 0
    assert "conversions: {from: orders}" in run.stdout
    assert not (tmp_path / "sources").exists()
    assert CliRunner().invoke(app, ["inspect", str(path), "--write"]).exit_code == 0
    written = tmp_path / "sources" / "shop.yml"
    assert read_mapping(written).columns["conversions"].sources == ("orders",)
    written.write_text("mine")
    assert CliRunner().invoke(app, ["inspect", str(path), "--write"]).exit_code == 1
    assert written.read_text() == "mine"
    assert CliRunner().invoke(app, ["inspect", str(path), "--write", "--force"]).exit_code == 0
    assert read_mapping(written).source == "shop"
    path.write_text("")
    run = CliRunner().invoke(app, ["inspect", str(path)])
    assert run.exit_code == 2
    assert "the file is empty" in run.stderr


@pytest.mark.parametrize(
    ("file", "rows", "totals"),
    [
        ("marketing_2021feb/Marketing.csv", 308, "marketing_2021feb"),
        ("marketing_2021feb/copies/semicolon_decimal_comma.csv", 308, "marketing_2021feb"),
        ("marketing_2021feb/copies/title_case_headers.csv", 308, "marketing_2021feb"),
        ("marketing_2021feb/copies/us_dates.csv", 308, "marketing_2021feb"),
        ("global_ads/global_ads_performance_dataset.csv", 1800, "global_ads"),
    ],
)
def test_real_files_load_as_proposed(shared, tmp_path, file, rows, totals):
    proposal = propose(shared / file, "shop")
    assert proposal.questions == ()
    mapping = Mapping.model_validate(proposal.settings)
    paths = replace(find_paths(), lake=tmp_path / "lake")
    result = load_file(shared / file, paths, mapping)
    assert (result.delivered, result.accepted) == (rows, rows)
    raw = pl.read_delta(str(ledger.table_path(paths, ledger.RAW_TABLE)))
    expected = json.loads((shared / "expected_kpis.json").read_text())[totals]
    for measure, total in expected["totals"].items():
        assert raw[measure].cast(pl.Float64).sum() == pytest.approx(total)
    assert raw["campaign_id"].n_unique() == expected["campaigns"]
    assert str(result.dates[1]) == expected["date_max"]


def test_the_documented_settings_are_the_ones_there_are():
    text = (find_paths().root / "docs" / "load.md").read_text(encoding="utf-8")
    blocks = [block.split("```")[0] for block in text.split("```yaml\n")[1:]]
    mappings = [Mapping.model_validate(yaml.safe_load(block)) for block in blocks]
    assert {mapping.source for mapping in mappings} == {"agency", "weekly"}
    settings = {*Mapping.model_fields, *Reading.model_fields, "constant", "divide_by", "round"}
    assert [name for name in settings if f"{name}:" not in text] == []
    for rule, action in RULES.items():
        assert f"| `{rule}` | {action} |" in text
    assert [name for name in presets.NAMES if f"| `{name}` |" not in text] == []
