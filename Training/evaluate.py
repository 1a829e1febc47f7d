"""Measures a trained model on unseen prompts: greedy answers with the full cache, scored by checker.py.

    python evaluate.py --run RUN --samples 200 --seed 7
    python evaluate.py --tasks tasks.jsonl --samples 200 --seed 7     writes the prompts and checks, one JSON object a line
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from torch import Tensor

from checker import Score, score
from diary import Style, sample, task
from export import load
from model import Cache, Llama
from tokenizer import BOS, EOS, Tokenizer

LIMIT = 3500  # most tokens of prompt and answer; the longest of 60 weeks has about 3,100


def unseen(seed: int, count: int) -> list[dict]:
    """Tasks of 20 to 60 weeks. Training draws from other seeds."""
    diaries = [sample(f"evaluate {seed} {i}", Style(weeks=(20, 60))) for i in range(count)]
    return [task(pieces[0][0], rules) for rules, pieces in diaries]


@torch.no_grad()
def answers(model: Llama, tokenizer: Tokenizer, prompts: list[str], device: str) -> list[str]:
    """Greedy answers, all prompts at once, one position after the other."""
    encoded = [[BOS, *tokenizer.encode(prompt)] for prompt in prompts]
    lengths = torch.tensor([len(e) for e in encoded], device=device)
    tokens = torch.full((len(prompts), LIMIT), EOS, device=device)
    for row, ids in enumerate(encoded):
        tokens[row, : len(ids)] = torch.tensor(ids, device=device)
    past = [Cache(model.config, len(prompts), LIMIT, model.embedding.weight) for _ in model.blocks]
    done = torch.zeros(len(prompts), dtype=torch.bool, device=device)
    for at in range(LIMIT - 1):
        position = torch.tensor([at], device=device)
        best = model.logits(model.features(tokens[:, at : at + 1], position, past))[:, 0].argmax(-1)
        writes = (at + 1 >= lengths) & ~done
        tokens[writes, at + 1] = best[writes]
        done |= writes & (best == EOS)
        if at % 64 == 0 and done.all():
            break
    return [tokenizer.decode(cut(row, length)) for row, length in zip(tokens, lengths)]


def cut(row: Tensor, length: Tensor) -> list[int]:
    """The answer's tokens, without prompt and end."""
    answer = row[int(length) :].tolist()
    return answer[: answer.index(EOS)] if EOS in answer else answer


def evaluate(model: Llama, tokenizer: Tokenizer, tasks: list[dict], batch: int, device: str) -> tuple[Score, list[str]]:
    """The summed score and the answers."""
    total, texts = Score(), []
    tasks = sorted(tasks, key=lambda t: t["number"])
    for start in range(0, len(tasks), batch):
        part = tasks[start : start + batch]
        for one, text in zip(part, answers(model, tokenizer, [t["prompt"] for t in part], device)):
            total += score(one, text)
            texts.append(one["prompt"] + text)
        print(f"{len(texts)} of {len(tasks)}: {total.percent()}", flush=True)
    return total, texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="folder of the checkpoint")
    parser.add_argument("--tasks", type=Path, help="write the tasks here and stop")
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--texts", type=Path, help="write prompts and answers here")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    tasks = unseen(args.seed, args.samples)
    if args.tasks:
        args.tasks.write_text("".join(json.dumps(t) + "\n" for t in tasks))
        return
    begin = time.time()
    total, texts = evaluate(*load(args.run, args.device), tasks, args.batch, args.device)
    if args.texts:
        args.texts.write_text("\n\n".join(texts))
    print(json.dumps({"samples": len(tasks), "seed": args.seed, **total.percent(), "checks": total.checks,
                      "seconds": round(time.time() - begin)}))


if __name__ == "__main__":
    main()
