"""Scores an answer to a logbook's prompt. This is the reference for every other implementation, so its rules are exact.

Parsing is the diary's (`checker.parse`): blocks between "#*#", numbered by the first match of "Step (\\d+)", of two with
the same number the first one counts.

Rules, where an entry that does not exist carries nothing, and entry N says a phrase if it holds "At N <phrase>.":
- completion: entries numbered 1 to `number`, out of `number`.
- fact, sum: each (step, phrase) of the task is a check; it passes if the entry of the step says the phrase.
- back: for each guest, the introduction is the match of "At N <name> ([A-Za-z]+)\\." in the entry of the guest's first step.
  Each later step of the guest is a check; it passes if there is an introduction and the entry of the step says
  "<name> <word>" with its word.
- rule: for each animal, the word is the match of "At N learn <name> ([A-Za-z]+)\\." in the entry of the step `learns`.
  Each later step in which the animal comes is a check. Before the step `drops`, if there is one, it passes if there is a
  word and the entry says "<name> <word>"; after it, if the entry says "<name> quiet".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from checker import parse

MEASURES = ("completion", "fact", "back", "rule", "sum")


@dataclass
class Score:
    """Passed and all checks of each measure."""

    passed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(MEASURES, 0))
    checks: dict[str, int] = field(default_factory=lambda: dict.fromkeys(MEASURES, 0))

    def add(self, measure: str, passed: bool) -> None:
        self.passed[measure] += passed
        self.checks[measure] += 1

    def __iadd__(self, other: Score) -> Score:
        for measure in MEASURES:
            self.passed[measure] += other.passed[measure]
            self.checks[measure] += other.checks[measure]
        return self

    def percent(self) -> dict[str, float]:
        """Percent passed, over all checks of all answers added."""
        return {m: round(100 * self.passed[m] / max(1, self.checks[m]), 2) for m in MEASURES}


def score(task: dict, answer: str) -> Score:
    """The score of one answer to one task (see `logbook.task`)."""
    entries = parse(task["prefix"] + answer, task["type"])
    result = Score()

    def says(step: int, phrase: str) -> bool:
        return f"At {step} {phrase}." in entries.get(step, "")

    def word(step: int, phrase: str) -> str | None:
        found = re.search(rf"At {step} {phrase} ([A-Za-z]+)\.", entries.get(step, ""))
        return found and found.group(1)

    for step in range(1, task["number"] + 1):
        result.add("completion", step in entries)
    for measure in ("fact", "sum"):
        for step, phrase in task[f"checks_{measure}"].items():
            result.add(measure, says(int(step), phrase))
    for name, (first, *later) in task["guests"].items():
        introduced = word(first, name)
        for step in later:
            result.add("back", introduced is not None and says(step, f"{name} {introduced}"))
    for animal in task["animals"]:
        learned = word(animal["learns"], f"learn {animal['name']}")
        for step in animal["comes"]:
            if step > animal["learns"]:
                revoked = animal["drops"] is not None and step > animal["drops"]
                answer_word = "quiet" if revoked else learned
                result.add("rule", answer_word is not None and says(step, f"{animal['name']} {answer_word}"))
    return result
