"""Scores an answer. This is the reference for every other implementation, so its rules are exact.

Parsing, as LongGenBench does it: the text is the prompt's prefix ("#*# Week 1:") followed by the answer, split at
"#*#". The number of a block is the first match of "Week (\\d+)" in it; a block without one is dropped; of two blocks
with the same number the later one counts.

Rules, where an entry that does not exist carries nothing, and entry N says a phrase if it holds "In week N <phrase>"
followed by "." or ",":
- completion: entries numbered 1 to `number`, out of `number`.
- once, range, periodic: each (week, phrase) of the task is a check; it passes if the entry of the week says the phrase.
- plan: every match of "make a plan, in week (\\d+) ([^.]*) again\\." in an entry v makes a plan (target, phrase). It is
  due if target is at most `number`; each different (target, phrase) is a check. It passes if v < target, where v is the
  latest entry that makes it, and the entry `target` says the phrase. A week of `plan_weeks` whose entry makes no plan
  is a failed check.

Unlike LongGenBench, which judges only entries that exist, a check whose entry is missing has failed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

MEASURES = ("completion", "once", "range", "periodic", "plan")
PLAN = re.compile(r"make a plan, in week (\d+) ([^.]*) again\.")


def parse(text: str, kind: str = "Week") -> dict[int, str]:
    """The entries of a text by their number."""
    entries: dict[int, str] = {}
    for block in text.split("#*#"):
        if match := re.search(rf"{kind} (\d+)", block):
            entries[int(match.group(1))] = block
    return entries


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
    """The score of one answer to one task (see `diary.task`)."""
    entries = parse(task["prefix"] + answer, task["type"])
    result = Score()

    def says(week: int, phrase: str) -> bool:
        text = f"In week {week} {phrase}"
        return any(text + end in entries.get(week, "") for end in ".,")

    for week in range(1, task["number"] + 1):
        result.add("completion", week in entries)
    for measure in ("once", "range", "periodic"):
        for week, phrase in task[f"checks_{measure}"].items():
            result.add(measure, says(int(week), phrase))
    plans: dict[tuple[int, str], int] = {}
    for week, entry in sorted(entries.items()):
        for target, phrase in PLAN.findall(entry):
            if int(target) <= task["number"]:
                plans[int(target), phrase] = week
    for (target, phrase), made in plans.items():
        result.add("plan", made < target and says(target, phrase))
    for week in task["plan_weeks"]:
        if not PLAN.search(entries.get(week, "")):
            result.add("plan", False)
    return result
