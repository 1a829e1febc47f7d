"""Compares an exported model with libllama: tokens, logits of PyTorch, greedy answers of the morphkv command.

Needs llama-cpp-python.

    python verify.py --run RUN --gguf diary-f16.gguf
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from llama_cpp import Llama as LibLlama

from evaluate import COMMAND, MOST, answer
from export import load
from tokenizer import BOS, EOS

VERIFY = 3  # the seed of the texts that are compared
ODD_TEXT = "Zürich, naïve; 100 weeks & 7!  Two  spaces,\n\n\ttabs... week 42:it's <s> #*# done"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--gguf", type=Path, required=True)
    parser.add_argument("--answers", type=int, default=3, help="greedy answers to compare")
    parser.add_argument("--morphkv", type=Path, default=COMMAND, help="the command whose answers are compared")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model, tokenizer, language = load(args.run)
    lib = LibLlama(str(args.gguf), n_ctx=4096, n_batch=512, n_threads=1, logits_all=True, verbose=False)

    texts = ["".join(text for text, _ in language.sample(VERIFY, index, language.full)) for index in range(50)]
    for text in [*texts, *tokenizer.number_tokens(), ODD_TEXT]:
        text = str(text)
        ours, theirs = tokenizer.encode(text), lib.tokenize(text.encode(), add_bos=False, special=False)
        assert ours == theirs, f"tokens differ: {ours} {theirs}"
        assert tokenizer.decode(ours) == text == lib.detokenize(theirs).decode()
    print(f"tokens: the same for {len(texts)} texts and an odd text")

    ids = [BOS, *tokenizer.encode(texts[0])]
    with torch.no_grad():
        ours = model(torch.tensor([ids]))[0].numpy()
    lib.eval(ids)
    theirs = lib.scores[: len(ids)]
    same = (ours.argmax(-1) == theirs.argmax(-1)).mean()
    print(f"logits: {len(ids)} positions, largest difference {np.abs(ours - theirs).max():.4f}, "
          f"root mean square {np.sqrt(((ours - theirs) ** 2).mean()):.4f}, same best token {100 * same:.2f} %")
    assert same > 0.99, "the exported model predicts something else"

    for index in range(args.answers):
        prompt = language.evaluation(99, index)["prompt"]
        greedy: list[int] = []
        lib.reset()
        lib.eval([BOS, *tokenizer.encode(prompt)])
        while (token := int(lib.scores[lib.n_tokens - 1].argmax())) != EOS and lib.n_tokens < 4000:
            greedy.append(token)
            lib.eval([token])
        text, ours_text = tokenizer.decode(greedy), answer(args.morphkv, args.gguf, prompt, MOST[language.name])["text"]
        shared = next((i for i, (a, b) in enumerate(zip(text, ours_text)) if a != b), len(text))
        result = "the same" if text == ours_text else f"differs at character {shared}"
        print(f"answer of {len(greedy)} tokens: {result}")


if __name__ == "__main__":
    main()
