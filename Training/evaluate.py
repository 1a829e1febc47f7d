"""Measures a GGUF on unseen prompts: greedy answers of the morphkv command with the full cache, scored by checker.py.

    python evaluate.py --gguf diary-f16.gguf --samples 200 --seed 7
    python evaluate.py --tasks tasks.jsonl --samples 200 --seed 7   writes the prompts and checks as JSON lines
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

from checker import Score, score
from diary import evaluation

MOST = 3800  # tokens of an answer; the longest prompt has about 220 and the context 4,096
COMMAND = Path(__file__).resolve().parent.parent / ".build/release/morphkv"


def answer(command: Path, gguf: Path, prompt: str) -> dict:
    """The greedy answer with its token count and speed."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(prompt)
        file.flush()
        options = ["-m", gguf, "-f", file.name, "-n", MOST, "-t", 1, "--json"]
        done = subprocess.run([command, "generate", *map(str, options)], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gguf", type=Path, help="the model")
    parser.add_argument("--tasks", type=Path, help="write the tasks here and stop")
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--texts", type=Path, help="write prompts and answers here")
    parser.add_argument("--morphkv", type=Path, default=COMMAND, help="the command that writes the answers")
    args = parser.parse_args()
    tasks = [evaluation(args.seed, index) for index in range(args.samples)]
    if args.tasks:
        args.tasks.parent.mkdir(parents=True, exist_ok=True)
        args.tasks.write_text("".join(json.dumps(t) + "\n" for t in tasks))
        return
    total, texts, tokens, seconds, ended = Score(), [], 0, 0.0, 0
    for one in tasks:
        written = answer(args.morphkv, args.gguf, one["prompt"])
        total += score(one, written["text"])
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
