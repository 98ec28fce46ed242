"""A reader learns nothing of hidden channels, and names in the data change no answer."""

from __future__ import annotations

from evaluation.assistant import hostile_names, tenants
from evaluation.assistant.truth import load_questions
from marketing_ai.assistant import ask, link
from marketing_ai.assistant.ask import Assistant


def test_no_answer_depends_on_rows_that_its_reader_may_not_see(demo):
    tries, leaks = tenants.run(Assistant(demo.paths), first=3)
    assert tries >= 200
    assert leaks == []


def test_a_lost_row_policy_is_found(demo, monkeypatch):
    compiled = ask.compile_plan
    monkeypatch.setattr(ask, "compile_plan", lambda plan, catalog, _: compiled(plan, catalog, None))
    _, leaks = tenants.run(Assistant(demo.paths), first=1)
    assert {leak.part for leak in leaks} >= {"rows", "text"}


def test_hostile_names_change_no_answer(demo):
    names, changed = hostile_names.run(load_questions().data_injections, Assistant(demo.paths))
    assert names >= 40
    assert changed == []


def test_a_name_that_takes_our_words_is_found(demo, monkeypatch):
    monkeypatch.setattr(link, "_is_ours", lambda *_: False)
    lookalikes = [name for name in load_questions().data_injections if name.how == "lookalike"]
    _, changed = hostile_names.run(lookalikes, Assistant(demo.paths))
    assert {change.part for change in changed} >= {"rows", "text"}
