#!/usr/bin/env python3
"""sinks_oracle.py - a slow, readable reference for eviction policies on models with learned sinks. Needs numpy only.

Written from the rules in ../oracle/README.md and from gpt-oss's formulas, not from MorphKV's Swift or C. Everything is
computed in float64; a trace is one in which no rounding in float32 can decide anything.

  python sinks_oracle.py make            # models, a calibration and all traces, beside this file
  python sinks_oracle.py check           # compute the traces beside this file anew and compare

THE RULE: a head's sink s is a term of its softmax that no entry gets. The weight of entry j is
    exp(q.k_j / sqrt(D)) / (exp(s) + sum over all entries i of exp(q.k_i / sqrt(D)))
and that is what every policy sees: the sink is left out of the sum over entries, which is less than one, and heads of a
group count for as much as their sinks leave them. Two things know nothing of sinks: scores that are normalised over
candidates only (they are made of products), and those of augur's calibration.
All else is as in ../oracle/README.md: the prompt attends in full; in a step the new entry is appended, then evicted, then
attended to, then the policy notes the weights; what is kept after the prompt is cut in step 1. A layer with a sliding
window w sees the last w entries; what it no longer sees goes first.
Every trace is such that a policy which shares the weights out anew, as if there were no sink, would have kept other
entries; the one that is normalised over candidates is such that it keeps the same.
"""
import glob, json, os, sys
import numpy as np
import gpt_oss
from gpt_oss import Doubt, Model, gguf_file
import augur_models
import augur_oracle

HERE = os.path.dirname(os.path.abspath(__file__))
# Scores within this part of each other could change places by rounding in float32.
RELATIVE_ERROR, LEAST_MARGIN = 1e-4, 2e-3

SHAPE = dict(width=32, feed_forward=24, dimension=16, vocabulary=96, heads=4, kv_heads=2, layers=3, experts=4, used=2)
MODELS = {
    "sinks-group2": dict(SHAPE, seed=1),
    # Groups of four; the first and the third layer see 14 tokens.
    "sinks-windows": dict(SHAPE, seed=2, heads=8, dimension=8, window=14),
}
AUGUR = dict(seed=7, layers=3, kv_heads=2, width=32, vocabulary=96, ages=augur_models.USUAL_AGES, windows=[2, 4, 8],
             thresholds=12)

# model, policy, parameters, tokens of the prompt, steps (the first is the prompt)
TRACES = [
    ("sinks-group2", "morphkv", dict(capacity=16, window=5, fusion="sum", normalisation="full"), 30, 60),
    ("sinks-group2", "morphkv", dict(capacity=14, window=4, fusion="max", normalisation="full"), 10, 60),
    ("sinks-group2", "morphkv", dict(capacity=14, window=4, fusion="sum", normalisation="full", group="max"), 25, 50),
    ("sinks-group2", "morphkv", dict(capacity=16, window=5, fusion="sum", normalisation="candidates"), 20, 50),
    ("sinks-group2", "h2o", dict(capacity=16, window=4), 40, 60),
    ("sinks-group2", "tova", dict(capacity=12), 20, 60),
    ("sinks-group2", "augur", {"capacity": 14, "window": 4, "lambda": 0.2, "budgets": "layer"}, 24, 60),
    ("sinks-group2", "snapkv", dict(prompt_capacity=24, window=6, kernel=5, pooling="avg"), 60, 20),
    ("sinks-group2", "adakv", dict(prompt_capacity=20, window=4, kernel=5, pooling="avg", alpha=0.2), 50, 20),
    ("sinks-group2", "kvzip", dict(ratio=0.4, level="pair", system=4, chunk_size=20, prev_postfix=3,
                                   repeat_first=[7, 8], repeat_next=[9], postfix=[11]), 44, 20),
    ("sinks-windows", "morphkv", dict(capacity=18, window=5, fusion="sum", normalisation="full"), 30, 60),
    ("sinks-windows", "tova", dict(capacity=16, heads="layer"), 12, 60),
    # Fewer entries than the local layers see: at the cut what is out of sight goes first, whatever it received.
    ("sinks-windows", "h2o", dict(capacity=11, window=3), 30, 60),
]


# ---------------------------------------------------------------------------------------------- rules
class Rule:
    """Entries are told by their positions; arrays over positions have room for all that there will be."""

    def __init__(self, model, total, capacity, window):
        self.model, self.total, self.capacity, self.window = model, total, capacity, window
        self.slots = np.full((model.layers, model.kv_heads), capacity)

    def prompt(self, layer, x, products, weights):
        """The prompt's normed inputs [n, width], products and weights [kv heads, group, n, n]."""

    def write(self, layer, x, position):
        """The normed input of a new entry."""

    def note(self, layer, head, positions, products, weights):
        """A step's products and weights [group, entries]."""

    def spread(self, values, positions):
        """values [..., entries] over all positions; 0 where there is no entry."""
        result = np.zeros((*values.shape[:-1], self.total))
        result[..., positions] = values
        return result

    def bounds(self, scores):
        return np.stack([scores, scores * (1 - RELATIVE_ERROR), scores * (1 + RELATIVE_ERROR)], -1)

    def choose(self, layer, head, positions, position):
        """Which of the entries stay when the one at `position` is the last."""
        old = positions[positions < position - self.window]
        excess = len(positions) - self.slots[layer][head]
        dropped = lowest(old, self.scores(layer, head, old, position), excess)
        return np.setdiff1d(positions, dropped)


def lowest(positions, scores, count):
    """The `count` positions with the lowest scores [n, 3], of which the last two are bounds."""
    order = np.argsort(-scores[:, 0], kind="stable")
    kept, dropped = order[:len(order) - count], order[len(order) - count:]
    if count and len(kept) and scores[dropped, 2].max() >= scores[kept, 1].min():
        raise Doubt("two scores that are nearly the same")
    return positions[dropped]


class MorphKV(Rule):
    def __init__(self, model, total, capacity, window, fusion, normalisation, group="sum"):
        super().__init__(model, total, capacity, window)
        self.fuse, self.is_full = (np.sum if fusion == "sum" else np.max), normalisation == "full"
        self.reduce = np.sum if group == "sum" else np.max
        # Rows [group, positions] of the last `window` queries, by layer and head.
        self.rows = [[[] for _ in range(model.kv_heads)] for _ in range(model.layers)]

    def prompt(self, layer, x, products, weights):
        n = weights.shape[-1]
        for head, (raw, own) in enumerate(zip(products, weights)):
            for query in range(max(0, n - self.window), n):
                self.note(layer, head, np.arange(n), raw[:, query], own[:, query])

    def note(self, layer, head, positions, products, weights):
        self.rows[layer][head].append(self.spread(weights if self.is_full else products, positions))
        del self.rows[layer][head][:-self.window]

    def scores(self, layer, head, old, position):
        rows = np.stack(self.rows[layer][head])[..., old]
        if self.is_full:
            rows = self.reduce(rows, axis=1)
        else:
            summed = rows.sum(1)
            terms = np.exp(summed - summed.max(-1, keepdims=True))
            rows = terms / terms.sum(-1, keepdims=True)
        return self.bounds(self.fuse(rows, axis=0))


class H2O(Rule):
    decay = 1

    def __init__(self, model, total, capacity, window):
        super().__init__(model, total, capacity, window)
        self.received = np.zeros((model.layers, model.kv_heads, total))

    def prompt(self, layer, x, products, weights):
        n = weights.shape[-1]
        factors = float(self.decay) ** np.arange(n - 1, -1, -1)
        self.received[layer][:, :n] = (weights.sum(1) * factors[:, None]).sum(1)

    def note(self, layer, head, positions, products, weights):
        self.received[layer][head] = self.decay * self.received[layer][head] + self.spread(weights.sum(0), positions)

    def scores(self, layer, head, old, position):
        return self.bounds(self.received[layer][head][old])


class TOVA(H2O):
    decay = 0

    def __init__(self, model, total, capacity, heads="group"):
        super().__init__(model, total, capacity, window=0)
        self.shares = heads == "layer"

    def scores(self, layer, head, old, position):
        received = self.received[layer]
        return self.bounds((received.sum(0) if self.shares else received[head])[old])


class Augur(H2O):
    """What is written with an entry, and how it becomes a score, is ../traces/augur_oracle.py's."""
    decay = augur_oracle.DECAY

    def __init__(self, model, total, capacity, window, **parameters):
        super().__init__(model, total, capacity, window)
        calibration = augur_oracle.Calibration(files(model.name.removesuffix(".gguf"))[1], model)
        self.rule = augur_oracle.Augur(model, calibration, capacity, window, **parameters)
        self.slots = self.rule.slots
        self.stored = np.zeros((model.layers, model.kv_heads, total, len(calibration.ages), 3))

    def prompt(self, layer, x, products, weights):
        super().prompt(layer, x, products, weights)
        self.stored[layer][:, :len(x)] = self.rule.write(layer, x)

    def write(self, layer, x, position):
        self.stored[layer][:, position] = self.rule.write(layer, x)[:, 0]

    def scores(self, layer, head, old, position):
        return self.rule.score(self.stored[layer][head][old], self.received[layer][head][old], position - old)


class SnapKV(Rule):
    """Cuts the prompt once, then grows."""

    def __init__(self, model, total, prompt_capacity, window, kernel, pooling):
        super().__init__(model, total, prompt_capacity, window)
        self.kernel, self.sums = kernel, {}
        assert pooling == "avg"

    def prompt(self, layer, x, products, weights):
        sums = weights[..., -self.window:, :-self.window].sum((1, 2))
        self.sums[layer] = np.stack([np.convolve(own, np.full(self.kernel, 1 / self.kernel), "same") for own in sums])

    def budgets(self, layer):
        return [self.capacity - self.window] * self.model.kv_heads

    def cut(self, layer):
        scores = self.sums[layer]
        count = scores.shape[-1]
        old, recent = np.arange(count), np.arange(count, count + self.window)
        return [np.union1d(np.setdiff1d(old, lowest(old, self.bounds(own), count - budget)), recent)
                for own, budget in zip(scores, self.budgets(layer))]


class AdaKV(SnapKV):
    def __init__(self, model, total, alpha, **parameters):
        super().__init__(model, total, **parameters)
        self.alpha = alpha

    def budgets(self, layer):
        base, scores = self.capacity - self.window, self.sums[layer]
        places = np.arange(scores.size)
        dropped = lowest(places, self.bounds(scores.reshape(-1)), scores.size - base * len(scores))
        counts = np.bincount(np.setdiff1d(places, dropped) // scores.shape[-1], minlength=len(scores))
        return [round(count * (1 - self.alpha) + int(base * self.alpha)) for count in counts]


class KVzip(Rule):
    """Has the model repeat the prompt; a sink is a term of the softmax over the repeated part as well."""

    def __init__(self, model, total, ratio, level, system, chunk_size, prev_postfix, repeat_first, repeat_next, postfix):
        super().__init__(model, total, 0, 0)
        self.ratio, self.system, self.chunk_size, self.overlap = ratio, system, chunk_size, prev_postfix
        self.first, self.next, self.postfix = repeat_first, repeat_next, postfix
        assert level == "pair"

    def repeat(self, engine, tokens):
        model, n = self.model, len(tokens)
        self.largest = np.zeros((model.layers, model.kv_heads, n - self.system))
        for start in range(self.system, n, self.chunk_size):
            chunk = tokens[start:start + self.chunk_size]
            before = self.first if start == self.system else self.next + tokens[start - self.overlap:start]
            ids = before + self.postfix + chunk
            positions, x = np.arange(n, n + len(ids)), model.w["token_embd.weight"][ids]
            seen = np.arange(n + len(ids)) <= positions[:, None]
            counted = np.r_[0:self.system, start:start + len(chunk), n:n + len(ids)]
            for layer in range(model.layers):
                _, q, k, v = model.project(layer, x, positions)
                keys, values = (np.concatenate([old, new], 1).repeat(model.group, 0)
                                for old, new in ((engine.keys[layer][:, :n], k), (engine.values[layer][:, :n], v)))
                products = np.where(seen, model.products(q, keys), -np.inf)
                weights = engine.seen_by_policy(model.weights(layer, products[..., counted]))
                own = weights[..., self.system:self.system + len(chunk)].reshape(model.kv_heads, -1, len(chunk))
                self.largest[layer][:, start - self.system:start - self.system + len(chunk)] = own.max(1)
                x = model.finish(layer, x, model.weights(layer, products) @ values)
        ordered = np.sort(self.largest.reshape(-1))[::-1]
        last = max(int(len(ordered) * self.ratio) - 1, 0)
        if any((ordered[i] - ordered[i + 1]) / ordered[i] < 2 * RELATIVE_ERROR for i in (last - 1, last)):
            raise Doubt("a threshold between scores that are nearly the same")
        self.threshold = ordered[last]

    def cut(self, layer):
        system, count = np.arange(self.system), self.largest.shape[-1]
        return [np.union1d(system, self.system + np.arange(count)[own > self.threshold]) for own in self.largest[layer]]


RULES = {"morphkv": MorphKV, "h2o": H2O, "tova": TOVA, "augur": Augur, "snapkv": SnapKV, "adakv": AdaKV, "kvzip": KVzip}


# ---------------------------------------------------------------------------------------------- engine
class Engine:
    """`shares_out` gives the policy weights that were shared out anew among entries: what would be wrong."""

    def __init__(self, model, policy, parameters, total, shares_out):
        self.model, self.shares_out = model, shares_out
        self.rule = RULES[policy](model, total, **parameters)
        extents = (model.layers, model.kv_heads, total, model.dimension)
        self.keys, self.values = np.zeros(extents, model.dtype), np.zeros(extents, model.dtype)

    def seen_by_policy(self, weights):
        return weights / weights.sum(-1, keepdims=True) if self.shares_out else weights

    def in_sight(self, layer, positions, query):
        window = self.model.windows[layer]
        return (positions <= query) & (positions > query - (window or 1 << 30))

    def prefill(self, tokens):
        model, n = self.model, len(tokens)
        positions, x = np.arange(n), model.w["token_embd.weight"][tokens]
        self.held = [[positions] * model.kv_heads for _ in range(model.layers)]
        for layer in range(model.layers):
            normed, q, k, v = model.project(layer, x, positions)
            self.keys[layer][:, :n], self.values[layer][:, :n] = k, v
            products = model.products(q, k.repeat(model.group, 0))
            products = np.where(self.in_sight(layer, positions, positions[:, None]), products, -np.inf)
            weights = model.weights(layer, products)
            grouped = lambda y: y.reshape(model.kv_heads, model.group, n, n)
            self.rule.prompt(layer, normed, grouped(products), grouped(self.seen_by_policy(weights)))
            x = model.finish(layer, x, weights @ v.repeat(model.group, 0))
        self.length = n
        if isinstance(self.rule, KVzip):
            self.rule.repeat(self, tokens)
        if hasattr(self.rule, "cut"):
            self.held = [self.rule.cut(layer) for layer in range(model.layers)]
        return model.logits(x[-1:])[0]

    def decode(self, token):
        model, t = self.model, self.length
        x = model.w["token_embd.weight"][[token]]
        for layer in range(model.layers):
            normed, q, k, v = model.project(layer, x, np.array([t]))
            self.rule.write(layer, normed, t)
            self.keys[layer][:, t], self.values[layer][:, t] = k[:, 0], v[:, 0]
            appended = [np.append(held, t) for held in self.held[layer]]
            appended = [held[self.in_sight(layer, held, t)] for held in appended]
            # Before any head notes anything: heads that choose together look at each other.
            if not hasattr(self.rule, "cut"):
                appended = [self.rule.choose(layer, head, held, t) if len(held) > self.rule.slots[layer][head] else held
                            for head, held in enumerate(appended)]
            self.held[layer] = appended
            attended = []
            for head, held in enumerate(appended):
                own = slice(head * model.group, (head + 1) * model.group)
                products = model.products(q[own], self.keys[layer][head][held])
                weights = model.weights(layer, products, own)
                self.rule.note(layer, head, held, products[:, 0], self.seen_by_policy(weights)[:, 0])
                attended.append(weights @ self.values[layer][head][held])
            x = model.finish(layer, x, np.concatenate(attended))
        self.length += 1
        return model.logits(x)[0]


# ---------------------------------------------------------------------------------------------- traces
def files(name):
    return os.path.join(HERE, f"{name}.gguf"), os.path.join(HERE, f"{name}.augur.gguf")


def run(name, policy, parameters, prompt, fed, dtype=np.float64, shares_out=False):
    """Checkpoints of every step, of which step t feeds fed[t - 1]."""
    engine = Engine(Model(files(name)[0], dtype), policy, parameters, len(prompt) + len(fed), shares_out)
    checkpoints, logits = [], engine.prefill(prompt)
    for step in range(len(fed)):
        if step:
            logits = engine.decode(fed[step - 1])
        second, best = np.sort(logits)[-2:]
        checkpoints.append({
            "step": step, "retained": [[held.tolist() for held in layer] for layer in engine.held],
            "logits": [float(f"{v:.6g}") for v in logits[:4]], "argmax": int(logits.argmax()),
            "margin": float(f"{best - second:.6g}")})
    return checkpoints


def kept(checkpoints):
    return [(c["retained"], c["argmax"]) for c in checkpoints]


def ignores_weights(parameters):
    return parameters.get("normalisation") == "candidates"


def record(index, name, policy, parameters, length, steps):
    """The trace of the first seed in which no rounding in float32 can decide anything, and sinks decide something."""
    for seed in range(4000):
        ids = np.random.default_rng([seed, index]).integers(0, MODELS[name]["vocabulary"], length + steps).tolist()
        arguments = (name, policy, parameters, ids[:length], ids[length:])
        try:
            checkpoints = run(*arguments)
            if min(c["margin"] for c in checkpoints) < LEAST_MARGIN or kept(checkpoints) != kept(run(*arguments, np.float32)):
                continue
        except Doubt:
            continue
        try:
            is_same = kept(checkpoints) == kept(run(*arguments, shares_out=True))
        except Doubt:
            is_same = False
        if is_same == ignores_weights(parameters):
            return seed, {"format": "kv-eviction-trace/1", "model": f"{name}.gguf", "policy": policy, "params": parameters,
                          "prompt": ids[:length], "generated": ids[length:], "checkpoints": checkpoints}
    sys.exit(f"trace {index}: no seed without doubt")


def make():
    for name, shape in MODELS.items():
        gpt_oss.make(files(name)[0], shape)
    path, calibration = files("sinks-group2")
    augur_models.make_calibration(calibration, AUGUR, Inputs(path), gguf_file.fingerprint(gguf_file.File(path)))
    for index, (name, policy, parameters, length, steps) in enumerate(TRACES, 1):
        seed, trace = record(index, name, policy, parameters, length, steps)
        words = [str(parameters[k]) for k in ("fusion", "normalisation", "group", "heads") if k in parameters]
        file = "-".join([f"{index:02}", name, policy, *words, f"p{length}"]) + ".json"
        with open(os.path.join(HERE, file), "w") as out:
            out.write(json.dumps(trace, separators=(",", ":")) + "\n")
        print(f"{file}: seed {seed}", flush=True)


class Inputs(Model):
    """A model whose layers' inputs a calibration is made of."""

    def layers_of(self, tokens):
        positions, x = np.arange(len(tokens)), self.w["token_embd.weight"][tokens]
        for layer in range(self.layers):
            normed, q, k, v = self.project(layer, x, positions)
            yield (normed,)
            products = self.products(q, k.repeat(self.group, 0))
            products = np.where(positions <= positions[:, None], products, -np.inf)
            x = self.finish(layer, x, self.weights(layer, products) @ v.repeat(self.group, 0))


def check():
    differing = 0
    for path in sorted(glob.glob(os.path.join(HERE, "*.json"))):
        old = json.load(open(path))
        new = run(old["model"].removesuffix(".gguf"), old["policy"], old["params"], old["prompt"], old["generated"])
        same = kept(new) == kept(old["checkpoints"])
        same = same and augur_oracle.logit_error(old["checkpoints"], new) < 2e-5
        differing += not same
        print("ok  " if same else "DIFF", os.path.basename(path))
    return differing


if __name__ == "__main__":
    if sys.argv[1:] == ["make"]:
        make()
    elif sys.argv[1:] == ["check"]:
        sys.exit(1 if check() else 0)
    else:
        sys.exit(__doc__)
