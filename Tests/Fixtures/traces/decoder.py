"""Llama and Qwen 3 as far as the models beside this file need them, in a precision of choice."""
import math, os
import numpy as np
import gguf_file


class Model:
    def __init__(self, path, dtype=np.float64):
        file = gguf_file.File(path)
        architecture = file.keys["general.architecture"]
        key = lambda name, otherwise=None: file.keys.get(f"{architecture}.{name}", otherwise)
        self.name, self.dtype = os.path.basename(path), dtype
        self.layers, self.heads, self.kv_heads = key("block_count"), key("attention.head_count"), key("attention.head_count_kv")
        self.group, self.dimension = self.heads // self.kv_heads, key("attention.key_length")
        self.epsilon = key("attention.layer_norm_rms_epsilon")
        self.w = {name: array.astype(dtype) for name, array in file.tensors.items()}
        self.vocabulary = len(self.w["token_embd.weight"])
        factors = self.w.get("rope_freqs.weight", 1)
        scaling = key("rope.scaling.factor", 0) or 1
        pairs = np.arange(0, self.dimension, 2) / self.dimension
        self.frequencies = (key("rope.freq_base") ** -pairs / factors / scaling).astype(dtype)
        half = np.arange(self.dimension // 2)
        # Llama's files pair neighbours, the others halves.
        self.pairs = (2 * half, 2 * half + 1) if architecture == "llama" else (half, half + len(half))

    def norm(self, x, weight):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + self.dtype(self.epsilon)) * weight

    def rope(self, x, positions):
        """x [heads, n, dimension]"""
        angles = positions[:, None].astype(self.dtype) * self.frequencies
        cosine, sine, (first, second) = np.cos(angles), np.sin(angles), self.pairs
        result = np.empty_like(x)
        result[..., first] = x[..., first] * cosine - x[..., second] * sine
        result[..., second] = x[..., first] * sine + x[..., second] * cosine
        return result

    def project(self, layer, x, positions):
        """x [n, width] -> the normed input [n, width], q [heads, n, dimension], k and v [kv heads, n, dimension]."""
        block = f"blk.{layer}."
        x = self.norm(x, self.w[block + "attn_norm.weight"])
        split = lambda name, heads: (x @ self.w[block + name].T).reshape(len(x), heads, self.dimension).transpose(1, 0, 2)
        q, k = split("attn_q.weight", self.heads), split("attn_k.weight", self.kv_heads)
        if block + "attn_q_norm.weight" in self.w:
            q, k = (self.norm(y, self.w[f"{block}attn_{n}_norm.weight"]) for y, n in ((q, "q"), (k, "k")))
        return x, self.rope(q, positions), self.rope(k, positions), split("attn_v.weight", self.kv_heads)

    def finish(self, layer, x, attended):
        """attended [heads, n, dimension]"""
        block = f"blk.{layer}."
        x = x + attended.transpose(1, 0, 2).reshape(len(x), -1) @ self.w[block + "attn_output.weight"].T
        y = self.norm(x, self.w[block + "ffn_norm.weight"])
        gate = y @ self.w[block + "ffn_gate.weight"].T
        return x + (gate / (1 + np.exp(-gate)) * (y @ self.w[block + "ffn_up.weight"].T)) @ self.w[block + "ffn_down.weight"].T

    def logits(self, x):
        return self.norm(x, self.w["output_norm.weight"]) @ self.w.get("output.weight", self.w["token_embd.weight"]).T

    def attention(self, q, k, visible=True):
        """Weights [..., queries, keys] of queries [..., queries, dimension] for keys [..., keys, dimension]."""
        products = np.where(visible, q @ np.swapaxes(k, -1, -2) / self.dtype(math.sqrt(self.dimension)), -np.inf)
        weights = np.exp(products - products.max(-1, keepdims=True))
        return weights / weights.sum(-1, keepdims=True)

    def layers_of(self, tokens):
        """All layers of a text that sees everything before it: normed input, k, v, weights; then `output`."""
        positions, x = np.arange(len(tokens)), self.w["token_embd.weight"][tokens]
        for layer in range(self.layers):
            normed, q, k, v = self.project(layer, x, positions)
            weights = self.attention(q, k.repeat(self.group, 0), positions[None] <= positions[:, None])
            yield normed, k, v, weights
            x = self.finish(layer, x, weights @ v.repeat(self.group, 0))
        self.output = x
