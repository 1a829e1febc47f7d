#!/usr/bin/env python3
"""Samples and a prediction of our own in the format of LongGenBench.

    make.py                 writes dataset.json and prediction.jsonl
    make.py --code MORPHKV  also writes expected.json: what LongGenBench/Evalution of a clone of
                            github ghadiaravi13/MorphKV (commit 8903d2a) makes of the prediction
"""
import argparse
import ast
import hashlib
import json
import random
import re
from pathlib import Path

HERE = Path(__file__).parent
KINDS = {  # type: (number of blocks, what is asked for, things that blocks mention)
    "Week": (52, "the log of a lighthouse, one entry a week", ["a lamp is cleaned", "the supply boat lands", "fog is measured"]),
    "Floor": (100, "the plan of a tower, one entry a floor", ["a library", "water tanks", "a roof garden"]),
    "Menu Week": (52, "the menus of a canteen, one entry a week", ["lentil soup", "apple cake", "pickled beets"]),
    "Block": (100, "the plan of a town, one entry a block", ["a bakery", "a tram stop", "a public well"]),
}
WORDS = ("keeper stone north lamp harbour quiet répare oil stairs gull tide paint wheel brass 5°C winter letter "
         "rope “window” clock salt morning bread cart 東 lantern").split()


def sample(kind, rng):
    number, task, things = KINDS[kind]
    once = {str(n): f"{things[0]} for the {i + 1}. time" for i, n in enumerate(rng.sample(range(2, number), 5))}
    start, first, period = rng.randrange(3, number - 3), rng.randrange(3, 9), rng.randrange(5, 9)
    checks = {
        "checks_once": once,
        "checks_range": {str(n): things[1] for n in (start, start + 1)},
        "checks_periodic": {str(n): things[2] for n in range(first, number, period)},
    }
    prefix = f"#*# {kind} 1:"
    lines = [f"{kind} {n} mentions {what}." for n, what in once.items()]
    lines += [f"{kind} {start} and {start + 1} mention {things[1]}.",
              f"Every {period}th one from {kind} {first} on mentions {things[2]}."]
    prompt = (f"Write {task}, {number} in all, each after '#*#'. At the end write '*** finished ***'.\n"
              + "\n".join(lines) + f"\n*** started ***\n{prefix}")
    return {"prompt": prompt, **checks, "type": kind, "prefix": prefix, "number": number}


def response(task, rng):
    """Some blocks are missing, one comes twice, and one piece has no number."""
    kind, text = task["type"], []
    for n in range(1, 46):
        if n in (17, 31):
            continue
        said = [c[str(n)] for k, c in task.items() if k.startswith("checks_") and str(n) in c]
        words = [rng.choice(WORDS) for _ in range(rng.randrange(20, 40))]
        body = " ".join(words) + "".join(f"; {what}" for what in said if rng.random() < 0.8) + ".\n"
        text.append(body if n == 1 else f" {kind} {n}: after {kind} {n - 1}, {body}")
        if n == 20:
            text += [f" {kind} 20: once more.\n", " an interlude\n"]
    return " " + "#*#".join(text) + "*** finished ***"


def expected(code, task):
    """Runs functions of the published scripts; their imports and main programs are left out."""
    wanted = {"inference_hf.py": ["process_output"],
              "eval.py": ["parse_blocks", "create_prompts", "calculate_completion_rate"]}
    scope = {"re": re}
    for name, functions in wanted.items():
        tree = ast.parse((code / "LongGenBench/Evalution" / name).read_text())
        tree.body = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name in functions]
        exec(compile(tree, name, "exec"), scope)
    result = scope["process_output"](task["prefix"] + task["response"])
    blocks = scope["parse_blocks"](result["blocks"], task["type"])
    found = {"blocks": len(result["blocks"]), "words": result["word_count"], "numbers": list(blocks),
             "pieces": [result["blocks"].index(block) for block in blocks.values()],
             "completion_rate": scope["calculate_completion_rate"](blocks, task["number"])}
    for group in ("once", "range", "periodic"):
        prompts, numbers = scope["create_prompts"](task[f"checks_{group}"], blocks)
        digest = hashlib.sha256("\0".join(prompts).encode()).hexdigest()
        found[group] = {"numbers": numbers, "sha256": digest}
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--code", type=Path)
    parser.add_argument("--of", type=Path, help="prints what is expected of the first line of another prediction")
    arguments = parser.parse_args()
    if arguments.of:
        with arguments.of.open() as file:
            print(json.dumps(expected(arguments.code, json.loads(file.readline()))))
        return
    rng = random.Random(19)
    tasks = [sample(kind, rng) for kind in KINDS for _ in range(5)]
    (HERE / "dataset.json").write_text(json.dumps(tasks, indent=1, ensure_ascii=False) + "\n")
    task = tasks[0] | {"response": response(tasks[0], rng)}
    (HERE / "prediction.jsonl").write_text(json.dumps(task, ensure_ascii=False) + "\n")
    if arguments.code:
        (HERE / "expected.json").write_text(json.dumps(expected(arguments.code, task), indent=1) + "\n")


main()
