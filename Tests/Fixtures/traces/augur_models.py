"""The random models, calibrations and settings of the traces beside this file."""
import numpy as np
import gguf_file

USUAL_AGES = [1, 16, 64, 256, 1024]
COMMON = dict(architecture="llama", width=32, feed_forward=48, dimension=16, vocabulary=96, base=10000.0, context=2048,
              ages=USUAL_AGES, windows=[2, 4, 8], thresholds=12)
MODELS = {
    # Every query head has its own KV head; plain RoPE.
    "augur-group1": dict(COMMON, seed=1, layers=2, heads=3, kv_heads=3),
    # Frequency factors as in Llama 3; other ages; two layers of equal needs.
    "augur-group2": dict(COMMON, seed=52, layers=3, heads=4, kv_heads=2, base=500000.0, factors=True, ages=[1, 4, 8],
                         thresholds=2, twins=True),
    # Linear scaling of positions; the first window that was counted is larger than some policies', and thresholds
    # are few, so that budgets are scaled by much.
    "augur-group4": dict(COMMON, seed=3, layers=2, heads=8, kv_heads=2, dimension=8, scaling=4.0, windows=[4, 8],
                         thresholds=3),
    # Qwen 3: norms of queries and keys, pairs of halves, keys and values wider than the input; no entry is as young as the
    # first age when it may leave first.
    "augur-qwen3": dict(COMMON, architecture="qwen3", seed=4, layers=3, heads=4, kv_heads=2, ages=[6, 12, 40, 90, 200]),
}


def augur(capacity, window, received, budgets):
    return {"capacity": capacity, "window": window, "lambda": received, "budgets": budgets}


# model, parameters, tokens of the prompt, steps (the first is the prompt), whether the ids are greedy or random
TRACES = [
    ("augur-group1", augur(12, 4, 0, "even"), 1, 90, False),
    ("augur-group1", augur(16, 5, 0.05, "even"), 40, 60, True),
    ("augur-group1", augur(14, 3, 0.05, "layer"), 30, 80, False),
    ("augur-group1", augur(18, 8, 0, "head"), 60, 60, False),
    ("augur-group2", augur(8, 3, 0.05, "head"), 1, 100, False),
    ("augur-group2", augur(20, 5, 0, "layer"), 7, 90, False),
    ("augur-group2", augur(6, 4, 0.05, "layer"), 25, 60, False),
    ("augur-group4", augur(24, 3, 0.05, "layer"), 20, 120, False),
    ("augur-group4", augur(20, 8, 0, "layer"), 70, 60, True),
    ("augur-group4", augur(12, 7, 0.2, "head"), 5, 70, False),
    ("augur-qwen3", augur(9, 2, 0, "head"), 50, 50, False),
    ("augur-qwen3", augur(15, 7, 0.05, "layer"), 1, 110, True),
    ("augur-qwen3", augur(13, 5, 0, "even"), 13, 60, False),
]


def make_model(path, shape):
    random = np.random.default_rng([shape["seed"], 1])
    width, dimension = shape["width"], shape["dimension"]
    normal = lambda spread, *extents: (random.standard_normal(extents) * spread).astype("<f4")
    matrix = lambda out, into, gain=1.0: normal(gain / np.sqrt(into), out, into)
    around = lambda mean, spread, count: (mean + normal(spread, count)).astype("<f4")
    tensors = {"token_embd.weight": normal(0.9, shape["vocabulary"], width),
               "output.weight": matrix(shape["vocabulary"], width, 2), "output_norm.weight": around(1, 0.1, width)}
    if "factors" in shape:
        tensors["rope_freqs.weight"] = around(2, 0.4, dimension // 2)
    for layer in range(shape["layers"]):
        own = {"attn_norm": around(1, 0.1, width), "attn_q": matrix(shape["heads"] * dimension, width, 1.4),
               "attn_k": matrix(shape["kv_heads"] * dimension, width, 1.4),
               "attn_v": matrix(shape["kv_heads"] * dimension, width),
               "attn_output": matrix(width, shape["heads"] * dimension), "ffn_norm": around(1, 0.1, width),
               "ffn_gate": matrix(shape["feed_forward"], width), "ffn_up": matrix(shape["feed_forward"], width),
               "ffn_down": matrix(width, shape["feed_forward"])}
        if shape["architecture"] == "qwen3":
            own |= {"attn_q_norm": around(1.2, 0.1, dimension), "attn_k_norm": around(1.2, 0.1, dimension)}
        tensors |= {f"blk.{layer}.{name}.weight": array for name, array in own.items()}
    keys = {"vocab_size": shape["vocabulary"], "context_length": shape["context"], "embedding_length": width,
            "block_count": shape["layers"], "feed_forward_length": shape["feed_forward"],
            "attention.head_count": shape["heads"], "attention.head_count_kv": shape["kv_heads"],
            "attention.key_length": dimension, "attention.value_length": dimension,
            "attention.layer_norm_rms_epsilon": 1e-5, "rope.dimension_count": dimension, "rope.freq_base": shape["base"]}
    if "scaling" in shape:
        keys |= {"rope.scaling.type": "linear", "rope.scaling.factor": shape["scaling"]}
    keys = {f"{shape['architecture']}.{name}": value for name, value in keys.items()}
    keys = {"general.architecture": shape["architecture"], "general.name": "random weights"} | keys
    gguf_file.write(path, keys | {"tokenizer.ggml.model": "no_vocab"}, tensors)


def make_calibration(path, shape, model, fingerprint):
    """Random maps whose scores lie between about -0.2 and 1, and random counts that fall with the threshold."""
    random = np.random.default_rng([shape["seed"], 2])
    heads, ages, tensors = shape["kv_heads"], shape["ages"], {}
    for layer, (x, *_) in enumerate(model.layers_of(random.integers(0, shape["vocabulary"], 200))):
        weight = random.standard_normal((heads * len(ages), shape["width"]))
        low, high = np.quantile(x @ weight.T, [0.02, 0.98], axis=0)
        top = random.uniform(0.7, 1.3, len(low))
        factor = (top + 0.2) / (high - low)
        tensors[f"layer.{layer}.weight"] = (weight * factor[:, None]).astype("<f4")
        tensors[f"layer.{layer}.bias"] = (-0.2 - low * factor).astype("<f4")
    thresholds, windows = np.linspace(0.01, 0.9, shape["thresholds"]), shape["windows"]
    most = random.uniform(1, 8, (shape["layers"], 1)) ** 2 * random.uniform(0.5, 1.5, (shape["layers"], heads))
    falling = np.exp(-thresholds * 4)[:, None, None] * random.uniform(0.9, 1.1, (len(thresholds), *most.shape))
    falling = np.sort(falling, axis=0)[::-1]
    counts = np.array([most * falling * 0.97 ** window for window in windows])
    # Quarters, so that sums and means are exact in any precision and equal ones are equal.
    counts = np.round(counts * 4) / 4
    if "twins" in shape:
        counts[:, :, 2] = counts[:, :, 0]
    keys = {"version": 1, "texts": 1, "tokens": 200, "longest": 200, "model": fingerprint, "source": "random numbers",
            "ages": ages, "windows": windows, "thresholds": [float(threshold) for threshold in thresholds]}
    keys = {"general.architecture": "augur"} | {f"augur.{name}": value for name, value in keys.items()}
    gguf_file.write(path, keys, tensors | {"counts": counts.astype("<f4")}, sealed=True)
