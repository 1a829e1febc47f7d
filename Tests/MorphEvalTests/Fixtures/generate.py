"""Writes metrics.json: texts, and what the published Python code makes of them.

    pip install rouge==1.0.1 jieba==0.42.1 fuzzywuzzy==0.18.0 nltk==3.10.4 numpy rich \
        tree_sitter==0.21.3 tree_sitter_languages==1.10.2
    python generate.py LONGBENCH KVZIP > metrics.json

LONGBENCH is the folder of metrics.py (LongBench/ of THUDM/LongBench), KVZIP a clone of snu-mllab/KVzip. Python 3.11
wrote the file that is checked in; other versions know other Unicode tables.
"""
import contextlib
import io
import json
import random
import re
import sys
import unicodedata
import warnings

warnings.simplefilter("ignore")
sys.path[:0] = sys.argv[1:3]
import jieba  # noqa: E402
import metrics as longbench  # noqa: E402
from results import metric as kvzip  # noqa: E402
from results import repo_qa_utils as repoqa  # noqa: E402

jieba.setLogLevel(60)
# Two functions more are on the stack here than in LongBench's eval.py when it calls a metric, and ROUGE-L is 0 where
# Python's limit is reached.
sys.setrecursionlimit(sys.getrecursionlimit() + 2)
random.seed(20250321)

SPACES = [" ", "  ", "\t", "\n", "\r", "\r\n", "\x0b", "\x1c", "\x1f", "\x85", "\xa0", "\u2003", "\u2028", "\u3000"]
ODD = ["e\u0301", "\u00e9", "\u0301", "\u200d", "\u200b", "\ufeff", "\ufffd", "İ", "ß", "ﬁ", "ΑΣ", "Σ", "ΣΑ", "ὈΔΟΣ",
       "A\u0307Σ'", "👩\u200d👩\u200d👧", "🇩🇪", "🏽", "²", "½", "Ⅷ", "①", "٣", "७", "１２", "_", "\x00", "\x7f", "ʼ", "ª"]
WORDS = ["the", "The", "a", "A", "an", "cat", "cats", "sat", "on", "mat", "Paris", "naïve", "U.S.", "don't", "re-do",
         "Paragraph", "Paragraph 7", "12", "012", "3.14", "$1,000", "x_1", "one", "two", "seven", "(A)", "(B) yes", "yes",
         "unanswerable", "isn’t", "“so”", "e.g.", "...", ".", "-", "--", "#### 42", "#### -1,234.5", "</s>"]
CHINESE = ["今天", "天气", "很好", "北京", "大学", "我", "来到", "清华", "，", "。", "！", "、", "“", "”", "《", "》", "…", "—", "·",
           "段落", "段落3", "段落12", "第３段", "的", "了", "ABC", "iPhone", "5G", "C++", "123", "2024年", "々", "〇", "㐀", "𠀀",
           "한국", "ひらがな", "カタカナ", "．", "Ａ", "ｂ", "他说", "中华人民共和国", "研究生命起源"]
CODE = ["def f(x):", "    return x + 1", "#include <a>", "// note", "```python", "```", "int main() {", "}", "\tif (a == b)",
        "x = [1, 2, 3]", "# comment", "import os", "self.assertEqual(a, b)", "for i in range(10):", "`x`", ""]
NUMBERS = ["7", "12", "012", "3", "Paragraph 7", "７", "٣"] * 5
LETTERS = "abcdefghij  xyz()=.,_0123"


def mixed(pool, count):
    out = []
    for _ in range(count):
        kind = random.random()
        out.append(random.choice(ODD) if kind < 0.12 else random.choice(SPACES) if kind < 0.3 else random.choice(pool))
        if random.random() < 0.55:
            out.append(" ")
    return "".join(out)


def near(text, pool):
    """The text with a few places changed, so that scores are neither 0 nor 1."""
    parts = re.split(r"( )", text)
    for _ in range(random.randint(0, 3)):
        place = random.randrange(len(parts))
        parts[place:place + random.randint(0, 2)] = [random.choice(pool)]
    return "".join(parts)


NASTY = ["", " ", ".", "...", ". .", " . ", "\r", "\r\n", "\n", "\n\n", "e\u0301", "\u00e9", "the", "a an the", "。", "，。！",
         "\u3000", "\x1c", "\u200b", "\x85.\x85", "a.b", "a .b.", "0", "٣", "()", "(", ")", "</s>", "x</s>", "\ufeff"]


def pairs(pool, count):
    for a in random.sample(NASTY, 12):
        yield a, random.choice(NASTY)
    for _ in range(count):
        text = mixed(pool, random.randint(1, 12))
        yield text, (near(text, pool) if random.random() < 0.7 else mixed(pool, random.randint(1, 12)))


def call(function, *arguments, **options):
    """The value, or None where the code fails on an index."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return float(function(*arguments, **options))
    except IndexError:
        return None


def expand(text):
    return text if isinstance(text, str) else "".join(piece * count for piece, count in text)


cases = []


def add(name, prediction, reference, function, classes=None, **options):
    arguments = (expand(prediction), expand(reference))
    if classes is not None:
        options["all_classes"] = classes
    case = {"m": name, "p": prediction, "r": reference, "s": call(function, *arguments, **options)}
    if classes:
        case["c"] = classes
    cases.append(case)


def longbench_cases():
    for p, r in pairs(WORDS, 160):
        add("qa_f1_score", p, r, longbench.qa_f1_score)
    for p, r in pairs(CHINESE, 110):
        add("qa_f1_zh_score", p, r, longbench.qa_f1_zh_score)
        add("rouge_zh_score", p, r, longbench.rouge_zh_score)
    for p, r in pairs(WORDS, 160):
        add("rouge_score", p, r, longbench.rouge_score)
    for _ in range(40):
        sentences = [" ".join(random.choices("abcdefg", k=random.randint(1, 9))) for _ in range(6)]
        add("rouge_score", ". ".join(sentences), ". ".join(near(s, "abc") for s in sentences[:4]), longbench.rouge_score)
    for n in (980, 989, 990, 991, 992, 1000, 3000):
        add("rouge_score", [["w ", n - 1], ["v. x", 1]], "q. x", longbench.rouge_score)
        add("rouge_score", [["w ", n - 1], ["v. x", 1]], [["u ", 20], ["q. x", 1]], longbench.rouge_score)
        add("rouge_zh_score", [["㐀", n], [".x", 1]], "q.x", longbench.rouge_zh_score)
    for _ in range(40):
        p = mixed(WORDS + NUMBERS, 6)
        r = random.choice(["Paragraph 7", "Paragraph 12", "Paragraph x Paragraph 3", "7", "", "Paragraph ٣"])
        add("retrieval_score", p, r, longbench.retrieval_score)
        add("count_score", p, random.choice(["7", "12", "", "٣", "012"]), longbench.count_score)
        add("retrieval_zh_score", mixed(CHINESE + NUMBERS, 6), random.choice(["段落3", "段落12", "段落", "段落x段落３"]),
            longbench.retrieval_zh_score)
    names = ["cat", "cats", "at", "mat", "the", "数", "", "c"]
    for _ in range(60):
        classes = random.choices(names, k=random.randint(1, 6))
        p = mixed(["cat", "cats", "mat", "数", "the"], 4)
        add("classification_score", p, random.choice(names[:6]), longbench.classification_score, classes)
    for _ in range(90):
        lines = "\n".join(random.choices(CODE, k=random.randint(1, 4)))
        add("code_sim_score", lines, near(lines.split("\n")[-1], CODE), longbench.code_sim_score)
    for p, r in pairs(WORDS, 40):
        add("code_sim_score", p, r, longbench.code_sim_score)
    for size in (150, 199, 200, 201, 260, 420) * 4:
        text = "".join(random.choices(LETTERS, k=size))
        add("code_sim_score", near(text, CODE), text, longbench.code_sim_score)
    add("code_sim_score", [["abc", 4000]], [["abd", 3500], ["q", 1]], longbench.code_sim_score)
    add("code_sim_score", [["ab", 90]], [["ab", 99], ["x", 1]], longbench.code_sim_score)
    add("code_sim_score", [["ab", 90]], [["ab", 100]], longbench.code_sim_score)


def kvzip_cases():
    for p, r in pairs(WORDS, 60):
        for name, dataset in [("include_score", "scbench_kv"), ("include_score_multi", "scbench_vt"),
                              ("exact_match_score", "scbench_mf"), ("include_score_manyshot", "scbench_many_shot"),
                              ("scbench_rouge_score", "scbench_summary"), ("f1_or_include_score", "scbench_qa_eng"),
                              ("choice_include_score", "scbench_choice_eng")]:
            if random.random() < 0.6:
                r = random.choice([r, r, r, "cat, mat", "(A) cat", "one", p])
                add(name, p, r, lambda a, b: kvzip.evaluate_answer([a], [b], dataset, "qa")[0])
        answer = random.choice(["7", "42", "1,000"])
        p = near(random.choice(["The answer is ", "so the Answer is ", "", "the answer is 7. The answer is "]) + answer, WORDS)
        add("include_score_gsm", p, "work #### " + answer,
            lambda a, b: kvzip.evaluate_answer([a], [b], "gsm", "qa")[0])


def strict(text):
    match = re.search(r"#### (\-?[0-9\.\,]+)", text)
    return match.group(1).strip().replace(",", "") if match else None


def flexible(text):
    found = re.findall(r"(-?[$0-9.,]{2,})|(-?[0-9]+)", text)
    return next(m for m in found[-1] if m).strip() if found else "[invalid]"


def bare(text):
    for pattern in [",", r"\$", "(?s).*#### ", r"\.$"]:
        text = re.sub(pattern, "", text)
    return text.lower()


def gsm8k_cases():
    for _ in range(60):
        number = random.choice(["42", "-5", "1,234", "3.5", "7"])
        p = near(mixed(WORDS, 3) + random.choice(["#### ", "#### ", "so ", "$", "-", ""]) + number
                 + random.choice(["", ".", " apples.", "\n"]), WORDS)
        r = "steps\n#### " + random.choice([number, number, "7"])
        add("gsm8k_strict", p, r, lambda a, b: strict(a) == strict(b))
        add("gsm8k_flexible", p, r, lambda a, b: bare(flexible(a)) == bare(b))


def needle(prediction, answer):
    expected = answer.lower().split()
    return len(set(expected) & set(prediction.lower().split())) / len(expected)


def needle_cases():
    answer = "Eat a sandwich and sit in Dolores Park on a sunny day."
    for _ in range(20):
        add("niah_recall", near(near(answer, WORDS), ODD), answer, needle)


def texts():
    found = []
    for text in NASTY + [mixed(WORDS + CHINESE, random.randint(1, 8)) for _ in range(110)] + CODE:
        found.append({
            "t": text, "words": text.split(), "trimmed": text.strip(), "lower": text.lower(),
            "line": text.lstrip("\n").split("\n")[0], "digits": re.findall(r"\d+", text),
            "runs": re.findall(r"\w+|\W+", text), "dots": text.split("."),
            "count": len(re.findall(r"[\u4e00-\u9fff]", text)) + len(re.findall(r"\b[a-zA-Z]+\b", text)),
        })
    return found


def segmented():
    texts = sorted({expand(c[k]) for c in cases if c["m"].endswith("zh_score") for k in "pr" if "zh_s" in c["m"]
                    and c["m"] != "retrieval_zh_score" and isinstance(c[k], str)})
    return [[text, list(jieba.cut(text))] for text in texts]


def functions():
    found = []
    for _ in range(40):
        a = " ".join(random.choices(CODE[:12], k=random.randint(1, 6)))
        b = near(a, CODE) if random.random() < 0.8 else random.choice(NASTY)
        found.append([a, b, float(repoqa.compute_function_similarity(a, b))])
    return found


def fences():
    pattern = re.compile(r"^```(?:\w+)?\s*\n(.*?)(?=^```)```", re.DOTALL | re.MULTILINE)
    found = []
    for _ in range(60):
        text = "\n".join(random.choices(CODE + ["```", "```", "```py ", "``` ", " ```", "```\n", "x```"], k=random.randint(1, 9)))
        found.append([text, pattern.findall(text)])
    return found


def ranges(test):
    found, start = [], None
    for value in list(range(0xD800)) + list(range(0xE000, 0x110000)) + [None]:
        holds = value is not None and test(chr(value))
        if holds and start is None:
            start = value
        if not holds and start is not None:
            found.append([start, last])
            start = None
        last = value
    return found


longbench_cases()
kvzip_cases()
gsm8k_cases()
needle_cases()
json.dump({
    "cases": cases, "texts": texts(), "segmented": segmented(), "functions": functions(), "fences": fences(),
    "assigned": ranges(lambda c: unicodedata.category(c) != "Cn"),
    "space": ranges(lambda c: re.match(r"\s", c) is not None), "digit": ranges(lambda c: re.match(r"\d", c) is not None),
    "word": ranges(lambda c: re.match(r"\w", c) is not None), "lower": ranges(lambda c: c.lower() != c),
}, sys.stdout, ensure_ascii=False, separators=(",", ":"))
