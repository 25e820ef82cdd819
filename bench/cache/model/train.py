"""Trains the model that decides whether two questions ask the same, and writes it for the native core.

    python -m pip install -r bench/cache/model/requirements.txt
    node bench/cache/samples.ts SAMPLES PUBLIC
    python bench/cache/model/train.py SAMPLES native/core/assets/tokens.bin native/core/assets/verifier.bin
    npm run build:native

With `trees` behind it, the network is kept as it was trained last and the rest is done again.

Two unlike models, whose scores are added: trees over the features of `native/core/src/search/features.rs`, and a small
network that compares the tokens of both questions (decomposable attention, Parikh et al. 2016) and reads the features
too. What each weighs, and the thresholds, are set on the families kept for that; those of the reports are read by
`eval.ts` alone.

The file, all numbers little-endian: "SGVERIFY", u32 version; f32 weight of the trees, weight of the network, bias, and
thresholds for the same and for unsure; u32 trees, and for each u32 splits, then splits (u16 feature, i16 left, i16
right, u16 0, f32 limit; a child below 0 is leaf -1 - child), u32 leaves, and f32 leaves; then the network's matrices,
row by row, f16, in the order of SHAPES.
"""

import json
import os
import struct
import sys
import time
from pathlib import Path

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

import jax
import jax.numpy as jnp
import lightgbm
import numpy as np

FORMAT = 3
DIMENSIONS = 256
WIDTH = 64
# How far from its mean a feature may be for the network, in standard deviations.
FAR = 3
# Tokens of a question that the network reads.
TOKENS_MAX = 48
BATCH = 128
LEARNING_RATE = 3e-3
DECAY = 1e-3
DROPOUT = 0.35
EPOCHS = 6
# What is written is the mean of the weights over the last steps: each step keeps this share of it.
KEPT = 0.998
# Tokens that both questions have become others, in both, in this share of cases: what is learned on a domain's words
# would be of no use elsewhere. Frequent words, whose numbers are lower, stay as they are.
REPLACED = 0.65
REPLACED_FROM = 2000
# Traps that may pass, of those that thresholds are set on.
TRAPS_SAME = 0.010
TRAPS_UNSURE = 0.15
FEATURES = 92
SHAPES = {
    "project": (DIMENSIONS, WIDTH),
    "project_bias": (WIDTH,),
    "context": (3 * WIDTH, WIDTH),
    "context_bias": (WIDTH,),
    "compare": (4 * WIDTH + 1, WIDTH),
    "compare_bias": (WIDTH,),
    "hidden": (4 * WIDTH + FEATURES, WIDTH),
    "hidden_bias": (WIDTH,),
    # Of the features: what is taken off each, and what the rest is multiplied by.
    "means": (FEATURES,),
    "spreads": (FEATURES,),
    "out": (WIDTH,),
    "scalars": (3,),
}


def read_table(path):
    raw = Path(path).read_bytes()
    entries, dimensions, words = struct.unpack_from("<III", raw, 12)
    scales = np.frombuffer(raw, "<f4", entries, 24 + words)
    rows = np.frombuffer(raw, np.int8, entries * dimensions, 24 + words + 4 * entries)
    return rows.reshape(entries, dimensions) * scales[:, None]


def read_samples(path):
    with open(path) as file:
        return [json.loads(line) for line in file]


class Data:
    """Pairs that the model decides, as arrays. Entry 0 of the vocabulary is padding."""

    def __init__(self, samples):
        self.samples = samples
        decided = [s for s in samples if s.get("exact") is None]
        self.features = np.array([s["features"] for s in decided], np.float32)
        self.same = np.array([s["same"] for s in decided], np.float32)
        self.sources = [s["source"] for s in decided]
        self.tokens = [np.zeros((len(decided), TOKENS_MAX), np.int32) for _ in range(2)]
        self.lengths = np.zeros((len(decided), 2), int)
        for at, sample in enumerate(decided):
            for side in range(2):
                tokens = sample["tokens"][side][:TOKENS_MAX] or [0]
                self.tokens[side][at, : len(tokens)] = tokens
                self.lengths[at, side] = len(tokens)
        self.exact = [s for s in samples if s.get("exact") is not None]

    def rates(self, scores, threshold):
        """Shares of all pairs served: of those that ask the same, of traps."""
        shares = []
        for same in (1, 0):
            exact = sum(s["exact"] == "same" for s in self.exact if s["same"] == bool(same))
            total = sum(s["same"] == bool(same) for s in self.samples)
            shares.append((exact + (scores[self.same == same] >= threshold).sum()) / total)
        return shares

    def threshold(self, scores, traps):
        """The lowest score at which no more than this share of all traps passes."""
        total = sum(not s["same"] for s in self.samples)
        exact = sum(s["exact"] == "same" for s in self.exact if not s["same"])
        allowed = max(0, int(traps * total) - exact)
        wrong = np.sort(scores[self.same == 0])[::-1]
        return float(np.nextafter(np.float32(wrong[allowed]), np.float32(1e9)))


def told(tune, scores):
    """Hits at several shares of traps, and their mean, which is less a matter of luck than each."""
    hits = [tune.rates(scores, tune.threshold(scores, traps))[0] for traps in (0.006, 0.01, 0.02, 0.03, 0.05)]
    return f"mean {np.mean(hits):.3f} of " + " ".join(f"{hit:.3f}" for hit in hits) + f", {time.process_time():.0f} s"


def train_trees(data, tune):
    count = np.bincount(data.same.astype(int))
    weights = np.where(data.same == 1, 1.0, count[1] / count[0])
    options = dict(
        objective="binary", num_leaves=24, learning_rate=0.05, min_data_in_leaf=60, feature_fraction=0.6,
        bagging_fraction=0.8, bagging_freq=1, lambda_l2=5.0, num_threads=1, deterministic=True, seed=1, verbose=-1,
        force_row_wise=True,
    )
    model = lightgbm.train(options, lightgbm.Dataset(data.features, data.same, weight=weights), 260)
    return model


def start(rng):
    net = {}
    for name, shape in SHAPES.items():
        scale = 1 / np.sqrt(shape[0]) if len(shape) == 2 else 0.0
        net[name] = rng.normal(0, scale, shape).astype(np.float32)
    net["out"] = rng.normal(0, 1 / np.sqrt(WIDTH), WIDTH).astype(np.float32)
    # Sharpness of the attention, its bonus for equal tokens, the last bias.
    net["scalars"] = np.array([2.0, 2.0, 0.0], np.float32)
    return net


def encode(net, table, tokens):
    x = jax.nn.relu(table[tokens] @ net["project"] + net["project_bias"])
    x = jnp.where((tokens == 0)[..., None], 0, x)
    edge = jnp.zeros_like(x[:, :1])
    around = jnp.concatenate([jnp.concatenate([edge, x[:, :-1]], 1), x, jnp.concatenate([x[:, 1:], edge], 1)], -1)
    return x + jax.nn.relu(around @ net["context"] + net["context_bias"])


def unit(x):
    return x / jnp.sqrt((x * x).sum(-1, keepdims=True) + 1e-6)


def network(net, table, a, b, features, key=None):
    """Scores of pairs of token rows and their features; with a key, parts are dropped at random."""
    def drop(x, at):
        if key is None:
            return x
        # The same parts for all tokens of a question, which takes fewer random numbers.
        shape = (x.shape[0],) + (1,) * (x.ndim - 2) + x.shape[-1:]
        kept = jax.random.bernoulli(jax.random.fold_in(key, at), 1 - DROPOUT, shape)
        return jnp.where(kept, x / (1 - DROPOUT), 0)

    x, y = encode(net, table, a), encode(net, table, b)
    sharp, bonus, bias = net["scalars"]
    attention = unit(x) @ unit(y).transpose(0, 2, 1) * jax.nn.softplus(sharp) * 4
    attention = attention + bonus * (a[:, :, None] == b[:, None, :])

    def side(attention, x, y, own, other, at):
        attention = jnp.where((other == 0)[:, None, :], -1e4, attention)
        found = jax.nn.softmax(attention, -1) @ y
        best = attention.max(-1, keepdims=True) / 8
        pair = jnp.concatenate([x, found, jnp.abs(x - found), x * found, best], -1)
        out = jax.nn.relu(drop(pair, at) @ net["compare"] + net["compare_bias"])
        out = jnp.where((own == 0)[..., None], 0, out)
        return jnp.concatenate([out.sum(1) / 6, out.max(1)], -1)

    left, right = side(attention, x, y, a, b, 0), side(attention.transpose(0, 2, 1), y, x, b, a, 1)
    features = jnp.clip((features - net["means"]) * net["spreads"], -FAR, FAR)
    pair = drop(jnp.concatenate([left + right, jnp.abs(left - right), features], -1), 2)
    return jax.nn.relu(pair @ net["hidden"] + net["hidden_bias"]) @ net["out"] + bias


def width_of(lengths):
    return int(-(-lengths.max() // 8) * 8)


def in_batches(data, rng):
    """All pairs in a random order, those of like length together."""
    order = rng.permutation(len(data.same))
    batches = []
    for chunk in np.array_split(order, max(1, len(order) // (BATCH * 40))):
        chunk = chunk[np.argsort(data.lengths[chunk].max(1), kind="stable")]
        batches += [chunk[i : i + BATCH] for i in range(0, len(chunk) - BATCH + 1, BATCH)]
    return [batches[i] for i in rng.permutation(len(batches))]


def replaced(a, b, limit, rng):
    """The token rows with some tokens that both have replaced by others."""
    a, b = a.copy(), b.copy()
    for x, y in zip(a, b):
        for token in set(x) & set(y):
            if token >= REPLACED_FROM and rng.random() < REPLACED:
                other = rng.integers(REPLACED_FROM, limit)
                x[x == token], y[y == token] = other, other
    return a, b


FIXED = ("means", "spreads")


def train_network(data, table, seed, tune):
    rng = np.random.default_rng(seed)
    net = start(rng)
    net["means"] = data.features.mean(0)
    net["spreads"] = 1 / np.maximum(data.features.std(0), 0.05)
    kept = dict(net)
    first, second = [{name: np.zeros_like(part) for name, part in net.items()} for _ in range(2)]
    count = np.bincount(data.same.astype(int))
    lean = count[1] / count[0]

    @jax.jit
    def step(net, kept, first, second, a, b, features, same, rate, at, key):
        def loss(net):
            scores = network(net, table, a, b, features, key)
            target = same * 0.94 + 0.03
            losses = jnp.logaddexp(0, scores) - target * scores
            return (losses * jnp.where(same > 0.5, 1, lean)).mean()

        value, slopes = jax.value_and_grad(loss)(net)
        out = [{}, {}, {}, {}]
        for name, slope in slopes.items():
            m = 0.9 * first[name] + 0.1 * slope
            v = 0.999 * second[name] + 0.001 * slope * slope
            move = (m / (1 - 0.9**at)) / (jnp.sqrt(v / (1 - 0.999**at)) + 1e-8)
            out[0][name] = net[name] if name in FIXED else net[name] - rate * (move + DECAY * net[name])
            share = jnp.minimum(KEPT, at / (at + 10))
            out[1][name] = share * kept[name] + (1 - share) * out[0][name]
            out[2][name], out[3][name] = m, v
        return *out, value

    at, mean = 0, 0.0
    for epoch in range(EPOCHS):
        batches = in_batches(data, rng)
        steps = EPOCHS * len(batches)
        for rows in batches:
            rate = LEARNING_RATE * min(1, (at + 1) / 100) * (1 - at / steps) + 1e-5
            width = width_of(data.lengths[rows])
            a, b = data.tokens[0][rows, :width], data.tokens[1][rows, :width]
            if rng.random() < 0.5:
                a, b = b, a
            a, b = replaced(a, b, len(table), rng)
            at += 1
            key = jax.random.PRNGKey(at)
            net, kept, first, second, loss = step(
                net, kept, first, second, a, b, data.features[rows], data.same[rows], rate, at, key)
            mean = 0.98 * mean + 0.02 * float(loss)
        print(f"  epoch {epoch}: loss {mean:.3f}, {told(tune, score_network(kept, table, tune))}", flush=True)
    return {name: np.asarray(part) for name, part in kept.items()}


def score_network(net, table, data):
    run = jax.jit(lambda a, b, features: network(net, table, a, b, features))
    order = np.argsort(data.lengths.max(1), kind="stable")
    scores = np.zeros(len(order), np.float32)
    for i in range(0, len(order), 256):
        rows = order[i : i + 256]
        width = width_of(data.lengths[rows])
        pad = np.concatenate([rows, np.repeat(rows[-1:], 256 - len(rows))])
        scores[rows] = run(data.tokens[0][pad, :width], data.tokens[1][pad, :width], data.features[pad])[: len(rows)]
    return scores


def blend(trees, net, same):
    """Weights of both scores and a bias: logistic regression, both kinds counting alike."""
    x = np.stack([trees, net, np.ones_like(net)], 1).astype(np.float64)
    lean = np.where(same == 1, 0.5 / same.mean(), 0.5 / (1 - same.mean()))
    weights = np.array([0.5, 0.5, 0.0])
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ weights))
        slope = x.T @ (lean * (p - same)) + 1e-3 * weights
        curve = (x * (lean * p * (1 - p))[:, None]).T @ x + 1e-3 * np.eye(3)
        weights = weights - np.linalg.solve(curve, slope)
    return weights


def pack_tree(tree):
    splits, leaves = [], []

    def visit(node):
        if "leaf_value" in node:
            leaves.append(node["leaf_value"])
            return -len(leaves)
        at = len(splits)
        splits.append(None)
        # The largest f32 below: for features in f32 the comparison stays the same.
        limit = np.float32(node["threshold"])
        if float(limit) > node["threshold"]:
            limit = np.nextafter(limit, np.float32(-np.inf))
        assert node["decision_type"] == "<="
        left, right = visit(node["left_child"]), visit(node["right_child"])
        splits[at] = struct.pack("<HhhHf", node["split_feature"], left, right, 0, limit)
        return at

    visit(tree["tree_structure"])
    body = struct.pack("<I", len(splits)) + b"".join(splits)
    return body + struct.pack("<I", len(leaves)) + np.array(leaves, "<f4").tobytes()


def main(samples, table_path, out, again=None):
    table = read_table(table_path)
    length = np.linalg.norm(table, axis=1).mean()
    table = jnp.asarray(table / length)
    train, tune = (Data(read_samples(Path(samples) / f"{split}.jsonl")) for split in ("train", "tune"))
    print(f"{len(train.same)} pairs to train on, {train.same.mean():.2f} of them the same", flush=True)
    trees = train_trees(train, tune)
    tree_scores = trees.predict(tune.features, raw_score=True).astype(np.float32)
    print(f"trees: {told(tune, tree_scores)}", flush=True)
    names = json.loads((Path(samples) / "features.json").read_text())
    gains = sorted(zip(trees.feature_importance("gain"), names), reverse=True)
    print("  " + ", ".join(f"{name} {gain:.0f}" for gain, name in gains[:24]), flush=True)
    kept = Path(samples) / "network.npz"
    if again != "trees":
        np.savez(kept, **train_network(train, table, 1, tune))
    net = dict(np.load(kept))
    # The core multiplies by rows as they are, and reads numbers of two bytes.
    net["project"] = net["project"] / length
    written = {name: part.astype(np.float16) for name, part in net.items()}
    net = {name: part.astype(np.float32) for name, part in written.items()}
    net["project"] = net["project"] * length
    net_scores = score_network(net, table, tune)
    print(f"network: {told(tune, net_scores)}", flush=True)
    weights = blend(tree_scores, net_scores, tune.same)
    scores = (weights[0] * tree_scores + weights[1] * net_scores + weights[2]).astype(np.float32)
    print(f"both: {told(tune, scores)}", flush=True)
    for traps in (0.003, 0.006, 0.01, 0.02, 0.05):
        limit = tune.threshold(scores, traps)
        print(f"tune at {traps}: hits {tune.rates(scores, limit)[0]:.3f}, limit {limit:.3f}", flush=True)
    same, unsure = tune.threshold(scores, TRAPS_SAME), tune.threshold(scores, TRAPS_UNSURE)
    with open(out, "wb") as file:
        dumped = trees.dump_model()["tree_info"]
        file.write(b"SGVERIFY" + struct.pack("<I5f", FORMAT, *weights, same, unsure))
        file.write(struct.pack("<I", len(dumped)) + b"".join(pack_tree(tree) for tree in dumped))
        for name, shape in SHAPES.items():
            assert written[name].shape == shape, name
            file.write(written[name].astype("<f2").tobytes())
    print(f"{Path(out).stat().st_size} bytes, cpu {time.process_time():.0f} s")


if __name__ == "__main__":
    main(*sys.argv[1:])
