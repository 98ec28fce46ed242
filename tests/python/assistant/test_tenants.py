"""A reader of some channels learns nothing of the others."""

from __future__ import annotations

from evaluation.assistant import tenants
from marketing_ai.assistant import ask
from marketing_ai.assistant.ask import Assistant


def test_no_answer_depends_on_rows_that_its_reader_may_not_see(demo):
    tries, leaks = tenants.run(Assistant(demo.paths))
    assert tries >= 200
    assert leaks == []


def test_a_lost_row_policy_is_found(demo, monkeypatch):
    compiled = ask.compile_plan
    monkeypatch.setattr(ask, "compile_plan", lambda plan, catalog, _: compiled(plan, catalog, None))
    _, leaks = tenants.run(Assistant(demo.paths))
    assert {leak.part for leak in leaks} >= {"rows", "text"}
