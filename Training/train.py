"""Trains a model of a language: short texts first, longer ones in stages.

    python train.py --out RUN --language logbook   from the beginning
    python train.py --out RUN --resume             from RUN/last.pt
"""

from __future__ import annotations

import argparse
import itertools
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from languages import LANGUAGES, Language, Stage
from model import Config, Llama
from tokenizer import BOS, Tokenizer, vocabulary

IGNORED = -1
KEPT_FILLER = 0.25  # share of the free words that are trained on, at four times their weight
PROMPT, FILLER = 0, 1  # kinds that every language has
TRAIN, VALIDATE = 0, 1  # seeds


@dataclass
class Batch:
    tokens: Tensor
    positions: Tensor
    targets: Tensor  # IGNORED where nothing is learned
    kinds: Tensor

    def to(self, device: str) -> Batch:
        return Batch(*(t.to(device) for t in (self.tokens, self.positions, self.targets, self.kinds)))


def make_batch(
    language: Language, tokenizer: Tokenizer, stage: Stage, indices: itertools.count, seed: int
) -> Batch:
    """Texts that fit the stage's length, padded to the longest of them, in steps of 256."""
    shape = (stage.batch, stage.length)
    tokens = torch.full(shape, BOS)
    kinds = torch.zeros(shape, dtype=torch.long)
    targets = torch.full(shape, IGNORED)
    positions = torch.arange(stage.length).repeat(stage.batch, 1)
    newline = tokenizer.encode("\n")[0]
    row = 0
    while row < stage.batch:
        pieces = language.sample(seed, next(indices), stage.style)
        ids, labels = (torch.tensor(x) for x in tokenizer.encode_pieces(pieces))
        n = len(ids) - 1
        if n > stage.length:
            continue
        tokens[row, :n], targets[row, :n], kinds[row, :n] = ids[:-1], ids[1:], labels[1:]
        if stage.stretch:
            ends = (ids[:-1] == newline).nonzero().flatten() + 1
            for cut in ends[torch.randint(len(ends), (3,))]:
                positions[row, cut:] += int(torch.randint(stage.stretch // 3 + 1, ()))
        row += 1
    filler = (kinds == FILLER) & (torch.rand(shape) > KEPT_FILLER)
    targets[(kinds == PROMPT) | filler] = IGNORED
    used = -(-int((tokens != BOS).sum(1).max() + 1) // 256) * 256  # padding is BOS as well
    return Batch(*(t[:, :used] for t in (tokens, positions, targets, kinds)))


def loss_and_hits(model: Llama, batch: Batch, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The weighted loss, and [right, all] predictions for each kind."""
    chosen = batch.targets.flatten() != IGNORED
    features = model.features(batch.tokens, batch.positions).flatten(0, 1)[chosen]
    targets, kinds = batch.targets.flatten()[chosen], batch.kinds.flatten()[chosen]
    logits = model.logits(features)
    weight = weights[kinds]
    loss = (F.cross_entropy(logits, targets, reduction="none") * weight).sum() / weight.sum()
    right = (logits.argmax(-1) == targets).float()
    hits = torch.zeros(2, len(weights), device=right.device)
    hits[0].index_add_(0, kinds, right)
    hits[1].index_add_(0, kinds, torch.ones_like(right))
    return loss, hits


def report(language: Language, hits: Tensor) -> str:
    """Accuracy by kind, in percent."""
    shares = 100 * hits[0] / hits[1].clamp(min=1)
    return " ".join(f"{kind.name.lower()} {shares[kind]:.1f}" for kind in language.kinds if kind != PROMPT)


class Trainer:
    """Model, optimisers and where the training stands; all of it goes into the checkpoint."""

    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.out: Path = args.out
        self.out.mkdir(parents=True, exist_ok=True)
        saved = torch.load(self.out / "last.pt", weights_only=True) if args.resume else None
        self.language = LANGUAGES[saved.get("language", "diary") if saved else args.language]
        weights = torch.tensor(self.language.weights)
        weights[FILLER] /= KEPT_FILLER
        self.weights = weights.to(args.device)
        path = self.out / "tokenizer.json"
        if not args.resume:
            Tokenizer.train(vocabulary(self.language)).save(path)
        self.tokenizer = Tokenizer.load(path)
        shape = saved["config"] if saved else dict(vocab=len(self.tokenizer.tokens), **self.language.shape)
        self.config = Config(**shape)
        self.model = Llama(self.config)
        self.model.initialise(self.tokenizer.number_tokens(), args.seed)
        self.model.to(args.device)
        named = list(self.model.named_parameters())
        matrices = [p for n, p in named if n.startswith("blocks") and p.ndim == 2]
        words = [p for n, p in named if n.startswith("embedding")]
        others = [p for n, p in named if n.startswith("head") or p.ndim == 1]
        self.optimisers = [
            torch.optim.Muon(matrices, lr=0.01, weight_decay=0.01),
            torch.optim.AdamW([dict(params=words, lr=0.01), dict(params=others, lr=0.003)], betas=(0.9, 0.98)),
        ]
        self.rates = [group["lr"] for o in self.optimisers for group in o.param_groups]
        self.step, self.seconds = 0, 0.0
        if saved:
            self.model.load_state_dict(saved["model"])
            for optimiser, state in zip(self.optimisers, saved["optimisers"]):
                optimiser.load_state_dict(state)
            self.step, self.seconds = saved["step"], saved["seconds"]

    def save(self) -> None:
        state = dict(
            language=self.language.name,
            config=asdict(self.config),
            model=self.model.state_dict(),
            optimisers=[o.state_dict() for o in self.optimisers],
            step=self.step,
            seconds=self.seconds,
        )
        torch.save(state, self.out / "new.pt")
        (self.out / "new.pt").replace(self.out / "last.pt")

    def set_rate(self, stage: Stage, done: int) -> None:
        warm = min(1.0, (self.step + 1) / 40)
        start, end = stage.rate
        factor = warm * (start + (end - start) * done / stage.steps) * self.args.rate
        groups = [group for o in self.optimisers for group in o.param_groups]
        for group, rate in zip(groups, self.rates):
            group["lr"] = rate * factor

    def run(self) -> None:
        """All stages, going on where the checkpoint stands."""
        begin = 0
        for number, stage in enumerate(self.language.stages):
            end = begin + stage.steps
            if self.step < end:
                print(f"stage {number}: {stage}", flush=True)
                self.run_stage(stage, number, begin, end)
            begin = end
        self.save()

    def run_stage(self, stage: Stage, number: int, begin: int, end: int) -> None:
        kinds = len(self.language.kinds)
        indices = itertools.count(1000 * self.step)
        total, count, size, since = torch.zeros(2, kinds), 0, 0, time.time()
        while self.step < end:
            self.set_rate(stage, self.step - begin)
            torch.manual_seed(self.step)
            batch = make_batch(self.language, self.tokenizer, stage, indices, TRAIN).to(self.args.device)
            with torch.autocast(self.args.device, dtype=torch.bfloat16):
                loss, hits = loss_and_hits(self.model, batch, self.weights)
            loss.backward()
            for optimiser in self.optimisers:
                optimiser.step()
                optimiser.zero_grad()
            total, count, self.step = total + hits.cpu(), count + 1, self.step + 1
            size += batch.tokens.numel()
            if count == 50 or self.step == end:
                speed = size / (time.time() - since)
                self.seconds += time.time() - since
                print(f"{number} step {self.step} {self.seconds:.0f}s loss {loss.item():.3f} {report(self.language, total)} "
                      f"{speed:.0f} tokens/s", flush=True)
                total, count, size, since = torch.zeros(2, kinds), 0, 0, time.time()
                self.save()
            if self.step % 250 == 0:
                print(f"  on full texts: {self.measure()}", flush=True)

    @torch.no_grad()
    def measure(self) -> str:
        """Accuracy by kind on unseen texts of the full style, each word given the right ones before it."""
        language = self.language
        stage = Stage(0, language.length, 4, language.full, stretch=0, rate=(0.0, 0.0))
        batch = make_batch(language, self.tokenizer, stage, itertools.count(), VALIDATE).to(self.args.device)
        with torch.autocast(self.args.device, dtype=torch.bfloat16):
            return report(language, loss_and_hits(self.model, batch, self.weights)[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--language", choices=LANGUAGES, default="diary", help="of a run from the beginning")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=1.0, help="factor on the learning rates")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    Trainer(args).run()


if __name__ == "__main__":
    main()
