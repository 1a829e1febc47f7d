#!/usr/bin/env python3
"""augur_oracle.py - a slow, readable reference for the eviction policy augur. Needs numpy only.

Written from the formulas, not from MorphKV's Swift or C. Everything is computed in float64, so that rounding cannot
decide what stays; "traces" is the format kv-eviction-trace/1 (what a policy keeps, step by step), with every step.

  python augur_oracle.py make            # random models, their calibrations and all traces, beside this file
  python augur_oracle.py check           # compute the traces beside this file anew and compare
  python augur_oracle.py compare TRACE   # repeat an h2o trace of another oracle: h2o is the same engine with S = E, decay 1

THE RULE, per layer and KV head; t = position of the token being decoded
 * When an entry is written, each age h_k of the calibration gives s_k = w_k . x + b_k; x is the layer's RMS-normed input,
   from which K and V are computed. It is stored as the code c = round(127 sign(s) sqrt(min(|s|, 1))), halves away from
   zero; a code's value is v(c) = sign(c) (c / 127)^2.
 * E_j <- 0.95 E_j + the softmax weights that j received in this step, summed over the query heads of the group, from
   its own step on. In a prompt every query i >= j counts, with 0.95^(last query - i).
 * Score of entry j at age a = t - j: S_j = v(c_k(j)) + lambda E_j for the largest h_k <= a (the first if there is none).
 * A token enters a full head: of the entries older than the window (t - j > window) the one with the lowest S leaves, of equal
   ones the highest position; E is as of before this token. Then the token is written, attends, and E is updated.
 * A prompt attends in full. If it does not fit (n >= slots), slots - 1 entries stay: the window (positions >= n - window)
   and the best S with t = n; equal scores: the lower position stays.
 * Slots per layer and head: `budgets` below.
A trace's step 0 is after the prompt and its cut; step t >= 1 feeds generated[t - 1] and holds what its token attended to.
"""
import glob, json, math, os, sys
import numpy as np
import gguf_file
from augur_models import MODELS, TRACES, make_calibration, make_model
from decoder import Model

HERE = os.path.dirname(os.path.abspath(__file__))
DECAY = 0.95
# Scores within these of each other, or of the border between two codes, could be decided by rounding in float32.
SCORE_ERROR, RECEIVED_ERROR, LEAST_MARGIN = 2e-5, 1e-4, 2e-3


# ---------------------------------------------------------------------------------------------- rule
class Calibration:
    def __init__(self, path, model):
        file = gguf_file.File(path)
        key = lambda name: file.keys["augur." + name]
        assert file.is_sealed()
        self.ages, self.windows = key("ages"), key("windows")
        self.counts = file.tensors["counts"].astype(np.float64)       # [window, threshold, layer, kv head]
        self.weights = [file.tensors[f"layer.{l}.weight"].astype(model.dtype) for l in range(model.layers)]
        self.biases = [file.tensors[f"layer.{l}.bias"].astype(model.dtype) for l in range(model.layers)]

    def scores(self, layer, x):
        """x [n, width] -> [kv heads, n, ages]"""
        s = x @ self.weights[layer].T + self.biases[layer]
        return s.reshape(len(x), -1, len(self.ages)).transpose(1, 0, 2)


def value_of_code(s):
    """The value of the code that a score is stored as."""
    root = 127 * np.sqrt(np.minimum(np.abs(s), 1))
    code = np.sign(s) * np.floor(root + 0.5)
    return np.sign(code) * (code / 127) ** 2


def solve_budgets(counts, kind, capacity, window, windows):
    """Slots [layer][kv head] for `capacity` on average; counts [window, threshold, layer, kv head]."""
    layers, heads = counts.shape[2:]
    least = window + 2
    if kind == "even":
        return np.full((layers, heads), capacity)
    if capacity < least:
        raise ValueError(f"a capacity of {capacity} with a window of {window}")
    fitting = [i for i, w in enumerate(windows) if w <= window]
    needs = counts[fitting[-1] if fitting else 0] + least
    needs = needs.mean(-1) if kind == "layer" else needs.reshape(len(needs), -1)
    total = capacity * needs.shape[1]
    distances = [abs(sum(need) - total) for need in needs]
    need = needs[distances.index(min(distances))]
    exact = need * (total / sum(need))
    close = (np.abs(exact - np.round(exact)) < 1e-3) & (exact > least + 0.5)
    assert not close.any(), "rounding could decide a budget: choose other counts"
    slots = [max(least, math.floor(e)) for e in exact]
    while sum(slots) > total:
        slots[slots.index(max(slots))] -= 1                           # the largest is above `least`, or the sum would fit
    order = sorted(range(len(need)), key=lambda i: -need[i])          # stable: the first of equal ones first
    turn = 0
    while sum(slots) < total:
        slots[order[turn % len(order)]] += 1
        turn += 1
    slots = np.array(slots)
    return slots.reshape(layers, heads) if kind == "head" else np.repeat(slots[:, None], heads, axis=1)


class Augur:
    def __init__(self, model, calibration, capacity, window=8, budgets="layer", **parameters):
        self.calibration, self.window, self.decay = calibration, window, DECAY
        self.weight_of_received = parameters["lambda"]
        self.slots = solve_budgets(calibration.counts, budgets, capacity, window, calibration.windows)

    def write(self, layer, x):
        """What is stored with new entries, [kv heads, n, ages, 3]: the value, and its bounds if the score were rounded."""
        s = self.calibration.scores(layer, x)
        return np.stack([value_of_code(s), value_of_code(s - SCORE_ERROR), value_of_code(s + SCORE_ERROR)], -1)

    def score(self, stored, received, age):
        """S and its bounds, [n, 3], from what is stored [n, ages, 3]."""
        last = np.searchsorted(self.calibration.ages, age, side="right") - 1
        value = stored[np.arange(len(age)), np.maximum(last, 0)]
        return value + self.weight_of_received * (received[:, None] + np.array([0, -1, 1]) * RECEIVED_ERROR)


class H2O:
    """What augur is without a calibration: the sum of all weights ever received."""

    def __init__(self, model, capacity, window):
        self.window, self.decay, self.slots = window, 1.0, np.full((model.layers, model.kv_heads), capacity)
        self.kv_heads = model.kv_heads

    def write(self, layer, x):
        return np.zeros((self.kv_heads, len(x), 0, 3))

    def score(self, stored, received, age):
        return np.repeat(received[:, None], 3, axis=1)


# ---------------------------------------------------------------------------------------------- engine
class Doubt(Exception):
    """Rounding in float32 could decide what stays."""


class Head:
    """One KV head of one layer; entries by ascending position."""

    def __init__(self, slots, positions, keys, values, stored):
        self.slots, self.positions, self.keys, self.values, self.stored = slots, positions, keys, values, stored
        self.received = np.zeros(len(positions))

    def keep(self, mask):
        for name in ("positions", "keys", "values", "stored", "received"):
            setattr(self, name, getattr(self, name)[mask])

    def add(self, position, key, value, stored):
        self.positions = np.append(self.positions, position)
        self.keys, self.values = np.vstack([self.keys, key]), np.vstack([self.values, value])
        self.stored = np.concatenate([self.stored, stored])
        self.received = np.append(self.received, 0)


class Engine:
    def __init__(self, model, rule):
        self.model, self.rule, self.length, self.ties, self.choices = model, rule, 0, 0, 0
        self.cache = []

    def drop(self, head, count, t):
        """Drops the `count` entries with the lowest scores that are older than the window."""
        candidates = np.flatnonzero(t - head.positions > self.rule.window)
        positions = head.positions[candidates]
        scores = self.rule.score(head.stored[candidates], head.received[candidates], t - positions)
        order = np.lexsort((-positions, scores[:, 0]))
        dropped, kept = order[:count], order[count:]
        self.choices += 1
        for low in dropped:
            for high in kept:
                least, most = scores[high, 1], scores[low, 2]
                if most > least or (most == least and positions[low] < positions[high]):
                    raise Doubt(f"S {scores[low]} and {scores[high]}")
                self.ties += scores[low, 0] == scores[high, 0]
        mask = np.ones(len(head.positions), bool)
        mask[candidates[dropped]] = False
        head.keep(mask)

    def prefill(self, tokens):
        model, n = self.model, len(tokens)
        positions = np.arange(n)
        factors = self.rule.decay ** (n - 1 - positions)
        for layer, (normed, k, v, weights) in enumerate(model.layers_of(tokens)):
            stored = self.rule.write(layer, normed)
            heads = []
            for h in range(model.kv_heads):
                head = Head(self.rule.slots[layer][h], positions, k[h], v[h], stored[h])
                group = weights[h * model.group:(h + 1) * model.group].sum(0)
                head.received = (group * factors[:, None]).sum(0)
                if n >= head.slots:
                    self.drop(head, n - (head.slots - 1), n)
                heads.append(head)
            self.cache.append(heads)
        self.length = n
        return model.logits(model.output[-1])

    def decode(self, token):
        model, t = self.model, self.length
        x = model.w["token_embd.weight"][[token]]
        for layer, heads in enumerate(self.cache):
            normed, q, k, v = model.project(layer, x, np.array([t]))
            stored = self.rule.write(layer, normed)
            attended = []
            for h, head in enumerate(heads):
                if len(head.positions) >= head.slots:
                    self.drop(head, 1, t)
                head.add(t, k[h], v[h], stored[h])
                queries = q[h * model.group:(h + 1) * model.group, 0]
                weights = model.attention(queries, head.keys)
                head.received = self.rule.decay * head.received + weights.sum(0)
                attended.append(weights @ head.values)
            x = model.finish(layer, x, np.concatenate(attended)[:, None])
        self.length += 1
        return model.logits(x)[0]

    @property
    def retained(self):
        return [[head.positions.tolist() for head in heads] for heads in self.cache]


# ---------------------------------------------------------------------------------------------- traces
def run(model, rule, prompt, steps, forced=None):
    """Checkpoints of every step and the generated ids: greedy, or the given ones."""
    engine = Engine(model, rule)
    generated, checkpoints, logits = [], [], engine.prefill(prompt)
    for step in range(steps):
        if step:
            logits = engine.decode(generated[-1])
        second, best = np.sort(logits)[-2:]
        checkpoints.append({
            "step": step, "retained": engine.retained, "logits": [float(f"{v:.6g}") for v in logits[:4]],
            "argmax": int(logits.argmax()), "margin": float(f"{best - second:.6g}")})
        generated.append(int(logits.argmax()) if forced is None else forced[step])
    return {"generated": generated, "checkpoints": checkpoints, "selections": engine.choices, "exact_ties": int(engine.ties)}


def files(name):
    return os.path.join(HERE, f"{name}.gguf"), os.path.join(HERE, f"{name}.augur.gguf")


def augur_run(name, dtype, parameters, prompt, steps, forced):
    path, calibration = files(name)
    model = Model(path, dtype)
    return run(model, Augur(model, Calibration(calibration, model), **parameters), prompt, steps, forced)


def kept(trace):
    return [(c["step"], c["retained"], c["argmax"]) for c in trace["checkpoints"]]


def record(index, name, parameters, prompt_length, steps, greedy):
    """The trace of the first seed in which no rounding in float32 can decide anything."""
    vocabulary = MODELS[name]["vocabulary"]
    for seed in range(2000):
        ids = [int(v) for v in np.random.default_rng([seed, index]).integers(0, vocabulary, prompt_length + steps)]
        arguments = (parameters, ids[:prompt_length], steps, None if greedy else ids[prompt_length:])
        try:
            trace = augur_run(name, np.float64, *arguments)
            if min(c["margin"] for c in trace["checkpoints"]) < LEAST_MARGIN:
                continue
            if len(set(trace["generated"])) < 12 or kept(trace) != kept(augur_run(name, np.float32, *arguments)):
                continue
        except Doubt:
            continue
        return seed, {
            "format": "kv-eviction-trace/1", "model": f"{name}.gguf", "policy": "augur", "params": parameters,
            "prompt": ids[:prompt_length], **trace}
    sys.exit(f"trace {index}: no seed without doubt")


def make():
    for name, shape in MODELS.items():
        path, calibration = files(name)
        make_model(path, shape)
        make_calibration(calibration, shape, Model(path), gguf_file.fingerprint(gguf_file.File(path)))
    for index, (name, parameters, prompt_length, steps, greedy) in enumerate(TRACES, 1):
        seed, trace = record(index, name, parameters, prompt_length, steps, greedy)
        words = [str(parameters[k]) for k in ("budgets", "capacity", "window", "lambda")]
        file = f"{index:02}-{name}-{words[0]}-c{words[1]}-w{words[2]}-l{words[3]}-p{prompt_length}.json"
        with open(os.path.join(HERE, file), "w") as out:
            out.write(json.dumps(trace, separators=(",", ":")) + "\n")
        model = Model(files(name)[0])
        slots = Augur(model, Calibration(files(name)[1], model), **parameters).slots.tolist()
        print(f"{file}: seed {seed}, {trace['selections']} choices, {trace['exact_ties']} exact ties, slots {slots}", flush=True)


def logit_error(old, new):
    return max(abs(a - b) for x, y in zip(old, new) for a, b in zip(x["logits"], y["logits"]))


def check():
    differing = 0
    for path in sorted(glob.glob(os.path.join(HERE, "*.json"))):
        old = json.load(open(path))
        name, forced = old["model"].removesuffix(".gguf"), old["generated"]
        new = augur_run(name, np.float64, old["params"], old["prompt"], len(forced), forced)
        same = kept(new) == kept(old) and logit_error(old["checkpoints"], new["checkpoints"]) < 2e-5
        differing += not same
        print("ok  " if same else "DIFF", os.path.basename(path))
    return differing


def compare(path):
    """Repeats an h2o trace that another oracle recorded; it cuts a prompt in step 1, this one at step 0."""
    old = json.load(open(path))
    model = Model(os.path.join(os.path.dirname(path), old["model"]))
    new = run(model, H2O(model, **old["params"]), old["prompt"], len(old["generated"]))
    steps = {c["step"]: c for c in new["checkpoints"]}
    error = logit_error(old["checkpoints"], [steps[c["step"]] for c in old["checkpoints"]])
    same = new["generated"] == old["generated"] and all(
        c["retained"] == steps[c["step"]]["retained"] for c in old["checkpoints"] if c["step"])
    print("ok  " if same and error < 1e-4 else "DIFF", os.path.basename(path), f"logits within {error:.1e}")
    return 0 if same and error < 1e-4 else 1


if __name__ == "__main__":
    command = sys.argv[1:2]
    if command == ["make"]:
        make()
    elif command == ["check"]:
        sys.exit(1 if check() else 0)
    elif command == ["compare"] and len(sys.argv) > 2:
        sys.exit(1 if sum(compare(path) for path in sys.argv[2:]) else 0)
    else:
        sys.exit(__doc__)
