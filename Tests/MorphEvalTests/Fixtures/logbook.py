"""Writes logbook.json: prompts of Training/logbook.py with their checks, and what Training/logbook_checker.py makes of answers.

    python logbook.py ../../../Training > logbook.json

Answers are correct ones and damaged ones: entries dropped, moved, written twice or cut, words and numbers changed.
"""
import json
import re
import sys

# This file has the name of the module that it imports.
sys.path = [sys.argv[1], *sys.path[1:]]
from logbook import Rules, Style, evaluation, write  # noqa: E402
from logbook_checker import MEASURES, score  # noqa: E402
from prng import Random  # noqa: E402

SEEDS = [(7, 0), (7, 1), (2**32 - 1, 199)]


def correct(seed, index):
    """A correct answer to the prompt with these numbers."""
    rng = Random(seed, index)
    pieces = write(rng, Rules.draw(rng, Style()), Style())
    return "".join(text for text, _ in pieces[1:])


def damaged(answer, seed):
    """The answer with damage of every kind."""
    rng = Random(seed, 2**31)
    head, *entries = answer.split("#*#")
    result = [head]
    for entry in entries:
        kind = rng.below(12)
        if kind == 0:
            continue
        if kind == 1:
            result.append(entry.replace("Step", "Stage"))
        elif kind == 2:
            result += [entry[: rng.between(10, max(10, len(entry)))], entry]
        elif kind == 3:
            result.append(re.sub(r"(At \d+ [A-Z][a-z]+ )[A-Z]", r"\1Q", entry))
        elif kind == 4:
            result.insert(rng.between(1, len(result)), entry)
        elif kind == 5:
            result.append(entry.replace(".", ";", 1))
        elif kind == 6:
            result.append(re.sub(r"learn (\w+) ", r"learn \1  ", entry) + entry.replace(" ", "  "))
        elif kind == 7:
            result.append(re.sub(r"(At \d+ \w+ )(\w+)\.", r"\1\2s, \1\2.", entry))
        elif kind == 8:
            result.append(re.sub(r"(\d+)\.", lambda match: f"{int(match.group(1)) + 1}.", entry))
        else:
            result.append(entry)
    return "#*#".join(result)


def main():
    tasks = []
    for seed, index in SEEDS:
        task = evaluation(seed, index)
        answers = [correct(seed, index)]
        answers += [damaged(answers[0], seed + more & 2**32 - 1) for more in range(2)]
        answers.append("")
        scored = []
        for answer in answers:
            result = score(task, answer)
            scored.append({"answer": answer, "passed": [result.passed[m] for m in MEASURES],
                           "checks": [result.checks[m] for m in MEASURES]})
        tasks.append({"seed": seed, "index": index, **task, "answers": scored})
    # Many prompts in few bytes: the first and the last line of each, and its length.
    many = [evaluation(11, index)["prompt"].split("\n") for index in range(60)]
    prompts = [[len("\n".join(lines)), lines[0], lines[-3]] for lines in many]
    json.dump({"measures": MEASURES, "tasks": tasks, "prompts": prompts}, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
