"""Measures a GGUF on unseen prompts: greedy answers of the morphkv command with the full cache, scored by the checker of
the language.

    python evaluate.py --gguf diary-f16.gguf --samples 200 --seed 7
    python evaluate.py --tasks tasks.jsonl --samples 200 --seed 7   writes the prompts and checks as JSON lines
    python evaluate.py --language logbook ...                       of another language than the diary
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

from languages import LANGUAGES

MOST = {"diary": 3800, "logbook": 2600}  # tokens of an answer; the longest prompts have about 220 and 1,000
COMMAND = Path(__file__).resolve().parent.parent / ".build/release/morphkv"


def answer(command: Path, gguf: Path, prompt: str, most: int) -> dict:
    """The greedy answer with its token count and speed."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(prompt)
        file.flush()
        options = ["-m", gguf, "-f", file.name, "-n", most, "-t", 1, "--json"]
        done = subprocess.run([command, "generate", *map(str, options)], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gguf", type=Path, help="the model")
    parser.add_argument("--tasks", type=Path, help="write the tasks here and stop")
    parser.add_argument("--language", choices=LANGUAGES, default="diary")
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--texts", type=Path, help="write prompts and answers here")
    parser.add_argument("--morphkv", type=Path, default=COMMAND, help="the command that writes the answers")
    args = parser.parse_args()
    language = LANGUAGES[args.language]
    tasks = [language.evaluation(args.seed, index) for index in range(args.samples)]
    if args.tasks:
        args.tasks.parent.mkdir(parents=True, exist_ok=True)
        args.tasks.write_text("".join(json.dumps(t) + "\n" for t in tasks))
        return
    total, texts, tokens, seconds, ended = language.new_score(), [], 0, 0.0, 0
    for one in tasks:
        written = answer(args.morphkv, args.gguf, one["prompt"], MOST[language.name])
        total += language.score(one, written["text"])
        texts.append(one["prompt"] + written["text"])
        tokens += written["tokens"]
        seconds += written["tokens"] / written["tokensPerSecond"]
        ended += written["text"].rstrip().endswith("*** finished ***")
    if args.texts:
        args.texts.write_text("\n\n".join(texts))
    print(json.dumps({"samples": len(tasks), "seed": args.seed, **total.percent(), "checks": total.checks,
                      "finished": ended, "tokens": tokens, "tokensPerSecond": round(tokens / seconds)}))


if __name__ == "__main__":
    main()
