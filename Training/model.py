"""A small Llama: RMSNorm, rotary positions, grouped-query attention, SwiGLU; with norms of queries and keys a small Qwen3."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Config:
    """The shape of the model."""

    vocab: int
    width: int = 128
    layers: int = 5
    heads: int = 4
    kv_heads: int = 2
    hidden: int = 384
    context: int = 4096
    rope_base: float = 1e8  # most of each head turns so slowly that it matches content at any distance
    eps: float = 1e-5
    head_size: int | None = None  # if not the width over the heads
    qk_norm: bool = False

    @property
    def head_dim(self) -> int:
        return self.head_size or self.width // self.heads


def rotation(config: Config, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines, shaped [..., 1, length, head_dim], for positions shaped [..., length]."""
    half = config.head_dim // 2
    inverse = config.rope_base ** (-torch.arange(half, device=positions.device) / half)
    angle = positions[..., None, :, None] * torch.cat([inverse, inverse])
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotates the first half of each head against the second half."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


def causal_attention(q: Tensor, k: Tensor, v: Tensor, chunk: int = 256) -> Tensor:
    """Grouped-query attention for [batch, heads, length, head_dim]; by chunks of queries where no GPU kernel helps."""
    if q.is_cuda:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    batch, heads, length, dim = q.shape
    kv_heads = k.shape[1]
    q = q * dim**-0.5
    parts = []
    for start in range(0, length, chunk):
        rows = q[:, :, start : start + chunk]
        size = rows.shape[2]
        end = start + size
        grouped = rows.reshape(batch, kv_heads, -1, dim)
        scores = (grouped @ k[:, :, :end].transpose(-1, -2)).view(batch, heads, size, end)
        future = torch.full((size, end), float("-inf"), dtype=q.dtype).triu(start + 1)
        weights = (scores + future).softmax(-1).view(batch, kv_heads, -1, end)
        parts.append((weights @ v[:, :, :end]).view(batch, heads, size, dim))
    return torch.cat(parts, dim=2)


class Norm(nn.Module):
    def __init__(self, config: Config, size: int | None = None):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size or config.width))
        self.eps = config.eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, x.shape[-1:], self.weight.to(x.dtype), self.eps)


class Cache:
    """Keys and values of one layer for rows that are decoded together, one token at a time."""

    def __init__(self, config: Config, batch: int, capacity: int, like: Tensor):
        self.shape = (batch, config.kv_heads, capacity, config.head_dim)
        self.keys, self.values = like.new_zeros(self.shape), like.new_zeros(self.shape)
        self.length = 0

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        self.keys[:, :, self.length] = k[:, :, 0]
        self.values[:, :, self.length] = v[:, :, 0]
        self.length += 1
        return self.keys[:, :, : self.length], self.values[:, :, : self.length]


class Block(nn.Module):
    """Attention and feed-forward, each behind a norm and added to its input."""

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        width, kv_width = config.heads * config.head_dim, config.kv_heads * config.head_dim
        self.attention_norm = Norm(config)
        self.query = nn.Linear(config.width, width, bias=False)
        self.key = nn.Linear(config.width, kv_width, bias=False)
        self.value = nn.Linear(config.width, kv_width, bias=False)
        self.output = nn.Linear(width, config.width, bias=False)
        self.query_norm = Norm(config, config.head_dim) if config.qk_norm else nn.Identity()
        self.key_norm = Norm(config, config.head_dim) if config.qk_norm else nn.Identity()
        self.mlp_norm = Norm(config)
        self.gate = nn.Linear(config.width, config.hidden, bias=False)
        self.up = nn.Linear(config.width, config.hidden, bias=False)
        self.down = nn.Linear(config.hidden, config.width, bias=False)

    def attend(self, x: Tensor, cos: Tensor, sin: Tensor, past: Cache | None) -> Tensor:
        batch, length, _ = x.shape

        def heads(y: Tensor) -> Tensor:
            return y.view(batch, length, -1, self.config.head_dim).transpose(1, 2)

        q, k, v = self.query_norm(heads(self.query(x))), self.key_norm(heads(self.key(x))), heads(self.value(x))
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if past is None:
            y = causal_attention(q, k, v)
        else:
            k, v = past.append(k, v)
            y = F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
        return self.output(y.transpose(1, 2).reshape(batch, length, -1))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, past: Cache | None = None) -> Tensor:
        x = x + self.attend(self.attention_norm(x), cos, sin, past)
        y = self.mlp_norm(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class Llama(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = Norm(config)
        self.head = nn.Linear(config.width, config.vocab, bias=False)

    @torch.no_grad()
    def initialise(self, numbers: dict[int, int], seed: int) -> None:
        """Random weights with a good start for looking things up.

        The heads of the first and third layer look 1 to 4 tokens back (more than four heads again from 1 on), guided by an entry that all embeddings share.
        Those of the second and fourth find what followed an earlier occurrence of the present token. The embeddings of
        the numbers have waves in them, so that sums are easy to find. All of this is only a start and is trained like
        the rest.
        """
        config, generator = self.config, torch.Generator().manual_seed(seed)
        scales = {"embedding": math.sqrt(config.width), "output": 0.3, "down": 0.0, "key": 1.8}
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                std = scales.get(name.split(".")[-2], 1.0) / math.sqrt(config.width)
                nn.init.normal_(weight, std=std, generator=generator)
        self.head.weight.copy_(self.embedding.weight / math.sqrt(config.width))
        lengths = torch.tensor([2.0, 3, 5, 7, 10, 13, 25, 100])
        waves = 2 * math.pi * torch.arange(100)[:, None] / lengths
        waves = torch.cat([waves.cos(), waves.sin()], dim=1)
        mix = torch.randn(waves.shape[1], config.width, generator=generator) / math.sqrt(waves.shape[1])
        for number, token in numbers.items():
            self.embedding.weight[token] += waves[number] @ mix
        self.embedding.weight[:, 0] = 4.0
        for first, second in zip(self.blocks[::2], self.blocks[1::2]):
            self._look_back(first, strength=1.6)
            self._look_up(second, first)
        if config.qk_norm:
            # Norms take the lengths away on which it depends how sharply a head looks; their weights give them back.
            for i, block in enumerate(self.blocks):
                for norm in (block.query_norm, block.key_norm):
                    norm.weight.fill_(1.8 if i < len(self.blocks) // 2 * 2 else 1.35)

    def _look_up(self, block: Block, before: Block) -> None:
        """Makes the heads attend to what once followed the present token, and say it.

        Keys read what the first head of the block before copied from the previous token, and compare it with queries
        that read the present token. Outputs come close to undoing values.
        """
        config = self.config
        heads, group, dim = config.kv_heads, config.heads // config.kv_heads, config.head_dim
        copied = before.output.weight[:, :dim] @ before.value.weight[:dim]
        queries = block.query.weight.view(heads, group, dim, -1)
        queries.copy_(queries[:, :1].clone().expand_as(queries))
        queries[..., 0] = 0
        queries.view(heads, group, 2, -1, config.width)[..., :6, :] *= 0.1  # match content, not distance
        keys = queries[:, 0] @ copied.T
        keys *= 4 * queries.std() / keys.std()
        block.key.weight.copy_(keys.view(-1, config.width))
        values = block.value.weight.view(heads, 1, dim, -1)
        block.output.weight.add_(0.5 * values.expand(-1, group, -1, -1).reshape(-1, config.width).T)

    def _look_back(self, block: Block, strength: float) -> None:
        """Sets queries and keys such that head h attends 1 + h % 4 tokens back, by the three fastest rotations."""
        config, half = self.config, self.config.head_dim // 2
        speed = config.rope_base ** (-torch.arange(3) / half)
        queries = block.query.weight.view(config.heads, 2, half, -1)
        keys = block.key.weight.view(config.kv_heads, 2, half, -1)
        queries *= 0.1
        keys *= 0.1
        keys[:, 0, :3, 0] = strength
        for head in range(config.heads):
            angle = -speed * (1 + head % 4)
            queries[head, 0, :3, 0], queries[head, 1, :3, 0] = strength * angle.cos(), strength * angle.sin()
        block.output.weight *= 3

    def features(self, tokens: Tensor, positions: Tensor, past: list[Cache] | None = None) -> Tensor:
        """The last hidden states, ready for `logits`."""
        x = self.embedding(tokens)
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        cos, sin = (t.to(x.dtype) for t in rotation(self.config, positions))
        for i, block in enumerate(self.blocks):
            x = block(x, cos, sin, past[i] if past else None)
        return self.norm(x)

    def logits(self, features: Tensor) -> Tensor:
        return self.head(features).float()

    def forward(self, tokens: Tensor) -> Tensor:
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        return self.logits(self.features(tokens, positions))
