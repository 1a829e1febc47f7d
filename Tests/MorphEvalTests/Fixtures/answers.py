"""Writes answers.json: random and nasty answers to RULER, LongBench v2, MATH and AIME, and what the published code makes of them.

    python answers.py RULER LONGBENCH MATH KVPRESS > answers.json

The arguments are clones of NVIDIA/RULER, THUDM/LongBench, hendrycks/math and NVIDIA/kvpress. Their functions are taken out of the
files, so that nothing else of what these import is needed.
"""
import ast
import json
import pathlib
import random
import re
import sys

ruler_at, longbench_at, math_at, kvpress_at = map(pathlib.Path, sys.argv[1:5])


def functions(path):
    """The functions of a file, without running the rest of it."""
    names = {"re": re}
    body = [part for part in ast.parse(path.read_text()).body if isinstance(part, ast.FunctionDef)]
    for part in body:
        part.returns = None
        for one in part.args.args:
            one.annotation = None
    exec(compile(ast.Module(body, []), str(path), "exec"), names)
    return names


match = functions(ruler_at / "scripts/eval/synthetic/constants.py")
post = functions(ruler_at / "scripts/eval/evaluate.py")["postprocess_pred"]
extract = functions(longbench_at / "pred.py")["extract_answer"]
is_equiv = functions(math_at / "modeling/math_equivalence.py")["is_equiv"]
last_boxed = functions(math_at / "modeling/dataset/util.py")["last_boxed_only_string"]
remove_boxed = functions(math_at / "modeling/eval_math_gpt.py")["remove_boxed"]
first_box = functions(kvpress_at / "evaluation/benchmarks/math500/calculate_metrics.py")["score_aime"]
last_box = functions(kvpress_at / "evaluation/benchmarks/aime25/calculate_metrics.py")["score_aime"]
random.seed(20261122)

MATH = ["\\frac{1}{2}", "\\frac12", "\\dfrac{1}{2}", "\\tfrac1{72}", "1/2", "3/4", "-3/4", "03/4", "a/b", "1/2/3", "0.5", ".5", "{.5}",
        " .5", "x=5", "k = 5", "xy = 5", "x=y=5", "\\sqrt3", "\\sqrt{3}", "\\sqrt", "\\frac", "\\frac1", "\\frac{", "50\\%", "\\$5", "5",
        "5\\text{ cm}", "5\\text{ cm}\\text{ m}", "\\text{cm}", "90^\\circ", "90^{\\circ}", "\\left(1, 2\\right)", "(1,2)", "(1, 2)",
        "1\\!000", "1,000", "\\\\", "\n", "", " ", "{", "}", "{}", "-0", "0", "12", "012", "\u0665", "\u00e9", "e\u0301", "x^2", "\\pi", "+3/4",
        "\\frac{-1}{2}", "\\frac ab", "1_0/2", "2\\sqrt5+1", "\\sqrt\\frac12"]
BOXES = ["\\boxed{%s}", "\\fbox{%s}", "\\boxed %s", "\\boxed{%s", "so %s}", "boxed{%s}", "\\boxed{{%s}}", "\\boxed{a}, \\boxed{%s} follows", "}\\boxed{%s}",
         "\\boxed{%s} \\fbox{1}", "no box %s", "%s"]
SPACES = ["", " ", "\n", "\x00", "\x1f", "\x1c", "\u3000", "\t", "\x85"]
NAMES = ["7164924", "Paris", "paris", "VAR1", "abc-def", "\u0130stanbul", "stra\u00dfe", "STRASSE", "the", "\u03a3\u03a3", "\u03c3\u03c2", "e\u0301", "\u00e9", "a\nb", "a b"]
CHOICES = ["The correct answer is (A)", "The correct answer is (B", "The correct answer is C", "The correct answer is **(D)**", "the correct answer is (A)",
           "The correct answer is (E)", "The correct answer is ( A)", "The correct answer is  B", "The correct answer is Because", "*The* correct answer is A",
           "The correct answer is (insert answer here)", "(C)", "", "The correct answer is The correct answer is D", "The correct\nanswer is A"]


def joined(pool, most, between=SPACES):
    return "".join(random.choice(pool) + random.choice(between) for _ in range(random.randint(0, most)))


def math_cases():
    for reference in MATH:
        for answer in [reference, *random.sample(MATH, 6)]:
            yield random.choice(BOXES).replace("%s", answer), reference
            yield "\\boxed{" + answer + "}", reference
    for _ in range(120):
        reference = joined(MATH, 3, ["", " "])
        yield joined([box.replace("%s", random.choice([reference, joined(MATH, 2)])) for box in BOXES], 3), reference


cases = []
for text, reference in math_cases():
    box = last_boxed(text)
    cases.append({"m": "math_equivalence", "p": text, "r": reference, "s": int(is_equiv(remove_boxed(box), reference))})
    cases.append({"m": "kvpress_math500", "p": text, "r": reference, "s": int(first_box(text, reference))})
    cases.append({"m": "kvpress_aime25", "p": text, "r": reference, "s": int(last_box(text, reference))})

ruler = []
for index in range(160):
    outputs = [random.choice(NAMES) for _ in range(random.randint(1, 5))]
    text = random.choice(SPACES) + joined(NAMES + [name.upper() for name in NAMES], 8) + random.choice(SPACES)
    task = ["niah_multivalue", "qa_1", "vt", "qa_2", "cwe"][index % 5]
    function = match["string_match_part" if task[:2] == "qa" else "string_match_all"]
    # The published functions round the mean; of as many equal answers it is the answer's own score.
    score = function([post(text, {})], [outputs])
    ruler.append({"task": task, "p": text, "outputs": outputs, "s": score})

letters = []
for _ in range(160):
    text = joined(CHOICES, 3, ["", " ", ". ", "\n", "*"])
    letters.append({"p": text, "letter": extract(text.strip())})

json.dump({"cases": cases, "ruler": ruler, "letters": letters}, sys.stdout, ensure_ascii=True, separators=(",", ":"))
