"""`make evaluate-assistant`: the visible questions on the published demo, in one table.

The bars on silently wrong answers and on refusals decide the exit code; what is not yet right is
listed. The set-aside third is run with --heldout, once a parser is finished.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from evaluation.assistant.run import (
    clarifications,
    dialogues,
    golden,
    injections,
    refusals,
    simulator_truth,
    what_ifs,
)
from evaluation.assistant.truth import connect, load_questions
from marketing_ai.assistant.ask import Assistant
from marketing_ai.lake.publication import current_publication
from marketing_ai.simulate import demo_config, simulate

SILENTLY_WRONG = 0.01


def main(
    heldout: Annotated[bool, typer.Option(help="The set-aside third instead.")] = False,
    failures: Annotated[bool, typer.Option(help="List what is not right.")] = False,
) -> None:
    """Evaluate the assistant on the published demo."""
    console = Console(width=140)
    questions, assistant = load_questions(), Assistant()
    truth = connect(current_publication())
    split = "heldout" if heldout else "visible"
    scores = {
        f"golden ({split})": golden(questions, assistant, truth, split),
        "unanswerable": refusals(questions, assistant),
        "ambiguous": clarifications(questions, assistant),
        "dialogues, turns": dialogues(questions, assistant, truth),
        "what-ifs": what_ifs(questions, assistant, truth),
        "injections": injections(questions, assistant, truth),
    }
    table = Table("suite", "questions", "right", "silently wrong", "other than wanted, not wrong")
    wrong = asked = 0
    for name, score in scores.items():
        total = score.counts.total()
        silent = score.counts["wrong"] + score.counts["answered"]
        right = score.counts["right"]
        table.add_row(name, f"{total}", f"{right} ({right / total:.1%})", f"{silent}",
                      f"{total - right - silent}")  # fmt: skip
        wrong, asked = wrong + silent, asked + total
    console.print(table)
    real = simulator_truth(questions, assistant, simulate(demo_config()))
    console.print(
        f"what-ifs against the simulator: {real.right_way} of {real.asked} move the right way, "
        f"80 % intervals hold the true change in {real.held}, mean error {real.error:.1%}"
    )
    console.print(f"silently wrong: {wrong} of {asked}, {wrong / asked:.1%}; bar 1 %")
    if failures:
        for score in scores.values():
            for outcome, question, detail in score.failures:
                console.print(f"{outcome}: {question} | {detail[:150]}", markup=False)
    sys.exit(wrong / asked > SILENTLY_WRONG)


if __name__ == "__main__":
    typer.run(main)
