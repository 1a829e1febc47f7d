"""Scores an answer. This is the reference for every other implementation, so its rules are exact.

Parsing, as LongGenBench does it: the text is the prompt's prefix ("#*# Week 1:") followed by the answer, split at "#*#".
The number of a block is the first match of "Week (\\d+)" in it; a block without one is dropped; of two blocks with the
same number the later one counts.

Rules, where an entry that does not exist carries nothing:
- completion: entries numbered 1 to `number`, out of `number`.
- once, range, periodic: each (week, phrase) of the task is a check; it passes if the entry holds the phrase followed by
  "." or ",".
- plan: every match of "make a plan, I ([^.]*) in week (\\d+)\\." in an entry v makes a plan (what, t). It is due if t is at most
  `number`; each different (what, t) is a check. It passes if v < t and entry t holds "Week <t>: I <what>.". A week whose
  instructions ask for a plan, but whose entry makes none, is a failed check.

Unlike LongGenBench, which judges only entries that exist, a check whose entry is missing has failed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

MEASURES = ("completion", "once", "range", "periodic", "plan")
PLAN = re.compile(r"make a plan, I ([^.]*) in week (\d+)\.")


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
    for week in range(1, task["number"] + 1):
        result.add("completion", week in entries)
    for measure in ("once", "range", "periodic"):
        for week, phrase in task[f"checks_{measure}"].items():
            result.add(measure, bool(re.search(re.escape(phrase) + "[.,]", entries.get(int(week), ""))))
    plans: dict[tuple[str, int], bool] = {}
    for week, entry in sorted(entries.items()):
        for what, target in PLAN.findall(entry):
            if int(target) <= task["number"]:
                plans[what, int(target)] = week < int(target)
    for (what, target), ahead in plans.items():
        result.add("plan", ahead and f"Week {target}: I {what}." in entries.get(target, ""))
    for week in task["plan_weeks"]:
        if not PLAN.search(entries.get(week, "")):
            result.add("plan", False)
    return result
