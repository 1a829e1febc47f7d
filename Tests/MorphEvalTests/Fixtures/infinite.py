"""Writes infinite.json: random and nasty answers to InfiniteBench and GPQA, and what the published code makes of them.

    python infinite.py INFINITEBENCH SIMPLE_EVALS > infinite.json

The arguments are clones of OpenBMB/InfiniteBench and openai/simple-evals; the package rouge-score 0.1.2 must be there, which the
published code reaches through Hugging Face's `evaluate`. Functions are taken out of the files, so that nothing else of what these
import is needed. Prompts, answers and labels are made up here.
"""
import ast
import json
import pathlib
import random
import re
import string
import sys
from collections import Counter
from pathlib import Path

from rouge_score import rouge_scorer

infinite_at, simple_at = map(pathlib.Path, sys.argv[1:3])


def definitions(path, kinds, names):
    """Some kinds of statements of a file, without running the rest of it."""
    body = [part for part in ast.parse(path.read_text()).body if isinstance(part, kinds)]
    for part in ast.walk(ast.Module(body, [])):
        if isinstance(part, ast.FunctionDef):
            part.returns = None
        if isinstance(part, ast.arg):
            part.annotation = None
    exec(compile(ast.Module(body, []), str(path), "exec"), names)
    return names


class Rouge:
    """What `evaluate.load("rouge")` does here: several references are one list, of which the best counts."""
    scorer = rouge_scorer.RougeScorer(["rougeLsum"], use_stemmer=False)

    def compute(self, predictions, references, use_aggregator):
        pairs = zip(references, predictions)
        scores = [self.scorer.score_multi(r, p) if isinstance(r, list) else self.scorer.score(r, p) for r, p in pairs]
        return {"rougeLsum": [score["rougeLsum"].fmeasure for score in scores]}


score_one = definitions(infinite_at / "src/compute_scores.py", ast.FunctionDef, {
    "re": re, "string": string, "Counter": Counter, "ROUGE_SCORER": Rouge()})["get_score_one"]
prompts = definitions(infinite_at / "src/prompt.py", ast.Assign, {})
utils = {"re": re, "string": string, "Path": Path, "MODEL_TO_PROMPT_TEMPLATE": {"yarn-mistral": prompts["yarn_mistral_templates"]}}
definitions(infinite_at / "src/eval_utils.py", ast.FunctionDef, utils)
limits = {}
for part in ast.parse((infinite_at / "src/eval_utils.py").read_text()).body:
    if isinstance(part, ast.Assign) and part.targets[0].id == "DATA_NAME_TO_MAX_NEW_TOKENS":
        limits = ast.literal_eval(part.value)
common = {}
for part in ast.parse((simple_at / "common.py").read_text()).body:
    if isinstance(part, ast.Assign) and getattr(part.targets[0], "id", "") in ("QUERY_TEMPLATE_MULTICHOICE", "ANSWER_PATTERN_MULTICHOICE"):
        exec(compile(ast.Module([part], []), "common.py", "exec"), common)

random.seed(20261122)
SPACES = ["", " ", "  ", "\n", "\x1c", "\u3000", "\t", "\x85", ", ", ". ", ": ", '"', "'"]
WORDS = ["the", "A", "B", "C", "D", "AB", "BCD", "E", "answer is:", "answer is", "answer:", "option is", "is:", "Answer is:", "correct option is:",
         "Option", "option B", "A.", "B:", "**C**", "`D`", "main_loop", "main_loop()", "12", "71432", "-4", "+4", "4_0", "1__0", "4.0", "3.5", "\u0664", "\u0663.5", "88",
         "4", "ACE", "Ace", "ace!", "Stra\u00dfe", "STRASSE", "\u0130", "\u01c6", "a1b2-c3", "{a1b2-c3}", "a", "an", "running fast", "Caf\u00e9", "\u212aelvin", "kelvin",
         "\u7530\u7acb\u5e06\uff0c", "\u6148\u5bb9", "\u300a\u4e66\u300b", "e\u0301", "\u00e9", "[1, 2, 3]", "007", "1", "2", "3", "6", "$", "", "99999999999999999999999999"]
LABELS = {
    "passkey": ["71432", ["71432"], "88", ["007"]], "number_string": ["12", ["4"], "88"], "kv_retrieval": ["a1b2-c3", "ACE", "12"],
    "longdialogue_qa_eng": [["ACE", "ACE X"], ["STRASSE"], ["D"], ["\u0130"], ["\u01c4"]],
    "longbook_choice_eng": [["running fast", "A"], ["12", "B"], ["", "C"], ["the answer", "D"], ["AB", "B"]],
    "longbook_qa_eng": [["the running", "Caf\u00e9"], ["12 A"], ["kelvin"], []],
    "longbook_qa_chn": [["\u7530\u7acb\u5e06"], ["\u6148\u5bb9 12"], ["e\u0301"]],
    "math_find": [88, [88], 3.5, [3.5], 4, 4.0, -4, 12.0], "code_run": [4, [4], -4, 40, 12], "math_calc": [[1, 2, 3], [[1, 2, 3]], [1], [12, 88, 4], [7, 1]],
    "code_debug": [["main_loop", "A"], ["main_loop", "B"], ["12", "C"], ["Option", "D"]],
}


def joined(pool, most, between=SPACES):
    return "".join(random.choice(pool) + random.choice(between) for _ in range(random.randint(0, most)))


def published(answer, label, task):
    try:
        return score_one(answer, label, task, "yarn-mistral")
    except (ValueError, OverflowError):
        return None


cases = []
for task, labels in LABELS.items():
    for label in labels:
        parts = label if isinstance(label, list) else [label]
        own = [str(part) for part in parts] + WORDS
        for _ in range(180 // len(labels)):
            answer = joined(own, 7)
            if random.random() < 0.3:
                answer = random.choice(SPACES) + random.choice(own) + joined(own, 2)
            elif random.random() < 0.5:
                # What a model that knows the answer may write.
                start, end = random.choice(["", "It is ", *WORDS[8:15]]), random.choice(["", "", ".", "\n", " or so"])
                answer = joined(WORDS, 1) + start + random.choice(["", " "]) + str(random.choice(parts or own)).strip("[]") + end
            cases.append({"task": task, "p": answer, "label": label, "s": published(answer, label, task)})
for _ in range(150):
    lines = [joined(WORDS + ["running", "fast", "fast,"], 12, [" ", " ", " ", ", ", "-"]) for _ in range(random.randint(0, 4))]
    other = [line if random.random() < 0.4 else joined(WORDS, 10, [" ", " ", "."]) for line in random.sample(lines, len(lines))]
    label = random.choice(["\n".join(lines), ["\n".join(lines)], ["\n".join(lines), joined(WORDS, 9)]])
    answer = random.choice(["\n", "\n\n", " "]).join(other)
    cases.append({"task": "longbook_sum_eng", "p": answer, "label": label, "s": published(answer, label, "longbook_sum_eng")})

OPTIONS = ["f_one", "f_two", "f_three", "f_four"]
EXAMPLES = {
    "passkey": {"input": "What is the pass key?", "answer": ["71432"]}, "number_string": {"input": "What is it?", "answer": ["3000077442"]},
    "kv_retrieval": {"input": "Key: \"x\"", "answer": "y"}, "longbook_sum_eng": {"input": "", "answer": ["A book."]},
    "longbook_choice_eng": {"input": "Who?", "options": OPTIONS, "answer": ["f_three"]}, "longbook_qa_eng": {"input": "Who?", "answer": ["He", "Him"]},
    "longbook_qa_chn": {"input": "\u8c01\uff1f", "answer": ["\u4ed6"]}, "longdialogue_qa_eng": {"input": "Which?", "answer": ["ACE", "ACE X"]},
    "math_find": {"input": "The second LARGEST number of the list of numbers is: ", "answer": [4]}, "math_calc": {"input": "", "answer": [1, 3, -4]},
    "code_run": {"input": "Please give me the return value of func_1(-3) and func_2(4).", "answer": [4]},
    "code_debug": {"input": "", "options": OPTIONS, "answer": "f_two"},
}
samples = []
for task, example in EXAMPLES.items():
    example = {"context": "Some {text} of $$MASK$$\n\nhere.", "options": [], **example}
    samples.append({"task": task, "sample": example, "prompt": utils["create_prompt"](dict(example), task, "yarn-mistral", "."),
                    "label": utils["get_answer"](example, task), "limit": limits[task]})

LETTERS = ["Answer: A", "answer:b", "ANSWER :\t$C$", "Answer: $D", "Answer:\nA", "Answer: E", "An\u017fwer: B", "Answer: **A**", "Answer C", "The Answer: (D)",
           "answer: answer: d", "Answer : ", "\u212answer: A", "Answer: \u00c5", "Final Answer:A."]
letters = []
for _ in range(160):
    text = joined(LETTERS, 3, ["", " ", "\n", ". "])
    found = re.search(common["ANSWER_PATTERN_MULTICHOICE"], text)
    letters.append({"p": text, "letter": found.group(1) if found else None})
rng = random.Random(0)
permutations = [rng.sample(range(4), 4) for _ in range(800)]
query = common["QUERY_TEMPLATE_MULTICHOICE"].format(Question="Which {one}?\nSay.", A="a, b", B='"b"', C="c", D="d\nd")

json.dump({"cases": cases, "samples": samples, "letters": letters, "permutations": ["".join(map(str, p)) for p in permutations], "query": query},
          sys.stdout, ensure_ascii=True, separators=(",", ":"))
