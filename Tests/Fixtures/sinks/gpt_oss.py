"""gpt-oss as far as the models of these traces need it, in a precision of choice: a learned sink per query head, experts
with biases, and every other layer with a sliding window where the file states one."""
import os, sys
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "traces"))
import decoder
import gguf_file

# Experts whose logits are nearer to each other could change places by rounding in float32.
ROUTER_MARGIN = 1e-4


class Doubt(Exception):
    """Rounding in float32 could decide what happens."""


class Model(decoder.Model):
    def __init__(self, path, dtype=np.float64):
        super().__init__(path, dtype)
        keys = gguf_file.File(path).keys
        self.used = keys["gpt-oss.expert_used_count"]
        window = keys.get("gpt-oss.attention.sliding_window")
        self.windows = [window if layer % 2 == 0 else None for layer in range(self.layers)]

    def part(self, layer, name, kind="weight"):
        return self.w[f"blk.{layer}.{name}.{kind}"]

    def project(self, layer, x, positions):
        """x [n, width] -> the normed input [n, width], q [heads, n, dimension], k and v [kv heads, n, dimension]."""
        x = self.norm(x, self.part(layer, "attn_norm"))
        split = lambda name: (x @ self.part(layer, name).T + self.part(layer, name, "bias")).reshape(
            len(x), -1, self.dimension).transpose(1, 0, 2)
        return x, self.rope(split("attn_q"), positions), self.rope(split("attn_k"), positions), split("attn_v")

    def products(self, q, k):
        """Scaled products [..., queries, keys]."""
        return q @ np.swapaxes(k, -1, -2) / self.dtype(self.dimension ** 0.5)

    def weights(self, layer, products, heads=slice(None)):
        """The softmax of products [heads, queries, keys] with each head's sink: the sink's share is left out, so that what
        is left adds up to less than one."""
        sinks = self.part(layer, "attn_sinks")[heads][:, None, None]
        largest = np.maximum(products.max(-1, keepdims=True), sinks)
        terms = np.exp(products - largest)
        return terms / (terms.sum(-1, keepdims=True) + np.exp(sinks - largest))

    def finish(self, layer, x, attended):
        """attended [heads, n, dimension]"""
        attended = attended.transpose(1, 0, 2).reshape(len(x), -1)
        x = x + attended @ self.part(layer, "attn_output").T + self.part(layer, "attn_output", "bias")
        y = self.norm(x, self.part(layer, "post_attention_norm"))
        return x + np.stack([self.experts(layer, row) for row in y])

    def experts(self, layer, y):
        """The weighted sum of the experts with the largest logits, for one token."""
        logits = self.part(layer, "ffn_gate_inp") @ y + self.part(layer, "ffn_gate_inp", "bias")
        order = np.argsort(-logits)
        if logits[order[self.used - 1]] - logits[order[self.used]] < ROUTER_MARGIN:
            raise Doubt("two experts with nearly the same logit")
        chosen = order[:self.used]
        shares = np.exp(logits[chosen] - logits[chosen].max())
        result = 0
        for expert, share in zip(chosen, shares / shares.sum()):
            own = lambda name, x: self.part(layer, name)[expert] @ x + self.part(layer, name, "bias")[expert]
            gate = np.minimum(own("ffn_gate_exps", y), 7)
            up = np.clip(own("ffn_up_exps", y), -7, 7)
            inner = gate / (1 + np.exp(-self.dtype(1.702) * gate)) * (up + 1)
            result = result + share * own("ffn_down_exps", inner)
        return result


def make(path, shape):
    """Writes a model with random weights, whose sinks take a good part of the attention, different parts by head."""
    random = np.random.default_rng([shape["seed"], 3])
    width, dimension, inner, experts = shape["width"], shape["dimension"], shape["feed_forward"], shape["experts"]
    queries, keys = shape["heads"] * dimension, shape["kv_heads"] * dimension
    normal = lambda spread, *extents: (random.standard_normal(extents) * spread).astype("<f4")
    matrix = lambda *extents, gain=1.0: normal(gain / np.sqrt(extents[-1]), *extents)
    norm = lambda: (1 + normal(0.1, width)).astype("<f4")
    tensors = {"token_embd.weight": normal(0.9, shape["vocabulary"], width), "output_norm.weight": norm(),
               "output.weight": matrix(shape["vocabulary"], width, gain=2)}
    for layer in range(shape["layers"]):
        own = {"attn_norm.weight": norm(), "post_attention_norm.weight": norm(),
               "attn_sinks.weight": (2.5 + normal(1.2, shape["heads"])).astype("<f4"),
               "ffn_gate_inp.weight": matrix(experts, width), "ffn_gate_inp.bias": normal(0.5, experts)}
        for name, out, into, gain in (("q", queries, width, 1.4), ("k", keys, width, 1.4), ("v", keys, width, 1),
                                      ("output", width, queries, 1)):
            own |= {f"attn_{name}.weight": matrix(out, into, gain=gain), f"attn_{name}.bias": normal(0.2, out)}
        for name, out, into in (("gate", inner, width), ("up", inner, width), ("down", width, inner)):
            own |= {f"ffn_{name}_exps.weight": matrix(experts, out, into), f"ffn_{name}_exps.bias": normal(0.2, experts, out)}
        tensors |= {f"blk.{layer}.{name}": array for name, array in own.items()}
    values = {"vocab_size": shape["vocabulary"], "context_length": 2048, "embedding_length": width,
              "block_count": shape["layers"], "feed_forward_length": inner, "expert_feed_forward_length": inner,
              "expert_count": experts, "expert_used_count": shape["used"], "attention.head_count": shape["heads"],
              "attention.head_count_kv": shape["kv_heads"], "attention.key_length": dimension,
              "attention.value_length": dimension, "attention.layer_norm_rms_epsilon": 1e-5,
              "rope.dimension_count": dimension, "rope.freq_base": 10000.0}
    if "window" in shape:
        values["attention.sliding_window"] = shape["window"]
    keys = {"general.architecture": "gpt-oss", "general.name": "random weights"}
    keys |= {f"gpt-oss.{name}": value for name, value in values.items()} | {"tokenizer.ggml.model": "no_vocab"}
    gguf_file.write(path, keys, tensors)
