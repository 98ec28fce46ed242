"""The questions of the evaluation are as many, as varied and as true as the evaluation says."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from evaluation.assistant.truth import (
    QUESTIONS,
    QuestionError,
    Questions,
    Truth,
    connect,
    load_questions,
    run_truth,
)
from marketing_ai.lake.publication import NotPublishedError, current_publication
from marketing_ai.paths import find_paths

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def questions() -> Questions:
    return load_questions()


@pytest.fixture(scope="module")
def published() -> duckdb.DuckDBPyConnection:
    """The demo of `make build`; the lake of a test run is empty without Spark."""
    paths = replace(find_paths(ROOT), lake=ROOT / "lake", schema="marketing")
    try:
        connection = connect(current_publication(paths))
    except NotPublishedError:
        pytest.skip("NOT RUN: nothing is published; `make build` publishes the demo")
    if not connection.sql("from marketing_kpi where campaign_name = 'Valentine''s Gifts'"):
        pytest.skip("NOT RUN: the published data are not the demo")
    return connection


def phrasings(questions: Questions):
    return [phrasing for intent in questions.golden for phrasing in intent.phrasings]


def spoken_once(questions: Questions) -> list[str]:
    """Every single question; dialogues may open with one of them."""
    others = (questions.unanswerable, questions.ambiguous, questions.whatif, questions.injections)
    golden = [phrasing.text for phrasing in phrasings(questions)]
    return golden + [entry.q for file in others for entry in file]


def test_there_are_enough(questions: Questions):
    assert len(questions.golden) >= 42
    assert len(phrasings(questions)) >= 310
    assert len(questions.dialogues) >= 62
    assert len(questions.unanswerable) >= 125
    assert len(questions.ambiguous) >= 62
    assert len(questions.whatif) >= 40
    assert len(questions.injections) >= 125
    assert len(questions.data_injections) >= 42


def test_every_kind_is_asked_for(questions: Questions):
    kinds = "value rank trend compare threshold underperform contribution segment forecast whatif"
    expected = {*kinds.split(), "reallocation", "define"}
    assert {intent.kind for intent in questions.golden} == expected


def test_no_question_stands_twice(questions: Questions):
    counts = Counter(" ".join(text.casefold().split()) for text in spoken_once(questions))
    assert [text for text, count in counts.items() if count > 1] == []


def test_no_dialogue_contradicts_another_file(questions: Questions):
    unclear = {entry.q for entry in (*questions.unanswerable, *questions.ambiguous)}
    openings = [dialogue.turns[0] for dialogue in questions.dialogues]
    assert [turn.q for turn in openings if turn.truth and turn.q in unclear] == []


def test_a_third_is_set_aside_and_every_intent_has_both(questions: Questions):
    aside = [phrasing for phrasing in phrasings(questions) if phrasing.split == "heldout"]
    assert len(aside) / len(phrasings(questions)) == pytest.approx(1 / 3, abs=0.01)
    assert all(intent.select("visible") for intent in questions.golden)
    assert all(intent.select("heldout") for intent in questions.golden)


@pytest.mark.parametrize("split", ["visible", "heldout"])
def test_a_third_is_not_plain_english(questions: Questions, split):
    asked = [phrasing for intent in questions.golden for phrasing in intent.select(split)]
    assert sum(not phrasing.is_plain_english for phrasing in asked) >= len(asked) / 3
    assert {phrasing.lang for phrasing in asked} == {"en", "fr", "de"}


def test_a_third_of_the_what_ifs_is_not_plain_english(questions: Questions):
    foreign = sum(not whatif.is_plain_english for whatif in questions.whatif)
    assert foreign >= len(questions.whatif) / 3


def test_every_sql_gives_what_it_says(questions: Questions, published):
    for name, truth in questions.truths():
        rows = run_truth(truth, published)
        assert bool(rows) != truth.empty, name
        assert all(value is not None for row in rows for value in row.values()), name


def test_every_name_of_a_what_if_exists(questions: Questions, published):
    columns = {"channel": "channel", "campaign": "campaign_name", "segment": "segment"}
    for whatif in questions.whatif:
        where = " and ".join(f"{columns[dim]} = ?" for dim in whatif.scope) or "true"
        sql = f"select sum(base_cost) from response_curves where {where}"
        (cost,) = published.execute(sql, list(whatif.scope.values())).fetchone()
        assert cost, whatif.id


def test_rows_are_keyed_by_role():
    truth = Truth(sql="select 'email', 2 union all select 'social', 1", columns=("channel", "roi"))
    rows = run_truth(truth, duckdb.connect())
    assert rows == [{"channel": "email", "roi": 2}, {"channel": "social", "roi": 1}]


@pytest.mark.parametrize("sql", ["select 1", "select no_such_column"])
def test_wrong_sql_is_named(sql):
    with pytest.raises(QuestionError, match=sql):
        run_truth(Truth(sql=sql, columns=("channel", "roi")), duckdb.connect())


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("golden.yml", "kind: value", "kind: valu", "golden.yml: total_revenue: kind"),
        ("golden.yml", "- id: total_cost", "- id: total_revenue", "total_revenue: the id is used"),
        ("golden.yml", "columns: [revenue]", "columns: [nps]", "total_revenue: .*nps is neither"),
        ("golden.yml", "- fr: Quel", "- it: Quel", "golden.yml: total_revenue: .*write fr, de"),
        ("heldout.yml", "total_cost:", "total_csot:", "heldout.yml: total_csot is no id"),
        ("whatif.yml", "change_pct: 15", "change: 15", "whatif.yml: w01: change"),
        ("injections.yml", "base: total_cost", "base: cost", "injections.yml: i005: base cost"),
        (
            "dialogues.yml",
            "      status: refuse",
            "      status: no",
            "dialogues.yml: d36: turns.1.status",
        ),
    ],
)
def test_a_wrong_file_is_named_with_the_entry(tmp_path: Path, file, old, new, message):
    folder = shutil.copytree(QUESTIONS, tmp_path / "questions")
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))
    with pytest.raises(QuestionError, match=message):
        load_questions(folder)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(QuestionError, match=r"golden\.yml is missing"):
        load_questions(tmp_path)
