"""Trains the model that takes a closer look at two questions, a cross-encoder, and writes it for the native core.

    python -m pip install --no-deps -r bench/cache/table/requirements.txt
    python -m pip install -r bench/cache/cross-encoder/requirements.txt
    node bench/cache/samples.ts SAMPLES
    node bench/cache/cross-encoder/scores.ts SAMPLES/train.jsonl SAMPLES/train.scores.json
    python bench/cache/cross-encoder/train.py SAMPLES native/core/assets/tokens.bin OUT

It begins as all-MiniLM-L6-v2 (Apache-2.0) and reads both questions as one text, token by token, as the core cuts them:
[CLS] one [SEP] other [SEP]. OUT gets `weights.npz` every 500 steps, which `write.py` makes the core's file of; with that
file behind OUT, training goes on from there. Reports are read by `eval.ts` alone.
"""

import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "table"))
from distil import model_folder, read_safetensors  # noqa: E402

WIDTH = 384
HEADS = 12
# Of the encoder's six, the first: the others would cost half as much again in time and file.
LAYERS = 4
# Tokens of a pair, the three between and around them included; longer ones aren't looked at.
TOKENS_MAX = 64
BATCH = 32
# The first steps see all pairs, the others those that matter.
STEPS_FIRST = 600
STEPS_MAX = 5000
# Over so many steps the rate falls to 0 at the end.
STEPS_LAST = 1500
# How often a pair is read in a round: by whether it asks the same, and what the small model makes of it. It is asked
# only where that one is unsure.
SHARES = {
    (True, "same"): 0.5, (True, "unsure"): 1.0, (True, "different"): 0.3,
    (False, "same"): 2.0, (False, "unsure"): 2.0, (False, "different"): 0.4,
}
LEARNING_RATE = 1.0e-4
DECAY = 0.01
# What is written is the mean of the weights over the last steps: each step keeps this share of it.
KEPT = 0.995
# A token's numbers are so many steps to either side: four bits each. They stay as they are while the rest is trained,
# so that it learns to read them rounded.
STEPS = 7
# What the last layer is made of before the score.
POOLED = 128


def read_vocabulary(path):
    raw = Path(path).read_bytes()
    words = int.from_bytes(raw[20:24], "little")
    return raw[24 : 24 + words].decode().split("\n")


def rounded_rows(rows):
    """Rows of four bits and what each is to be multiplied by."""
    scales = (np.abs(rows).max(1) / STEPS).astype(np.float16).astype(np.float32)
    return np.clip(np.rint(rows / scales[:, None]), -STEPS, STEPS), scales


class Layer(nn.Module):
    def __init__(self, weights, at):
        super().__init__()
        name = f"encoder.layer.{at}."

        def linear(*parts):
            weight = np.concatenate([weights[name + part + ".weight"] for part in parts])
            layer = nn.Linear(weight.shape[1], weight.shape[0])
            layer.weight.data = torch.tensor(weight)
            layer.bias.data = torch.tensor(np.concatenate([weights[name + part + ".bias"] for part in parts]))
            return layer

        def norm(part):
            layer = nn.LayerNorm(WIDTH, eps=1e-12)
            layer.weight.data = torch.tensor(weights[name + part + ".weight"])
            layer.bias.data = torch.tensor(weights[name + part + ".bias"])
            return layer

        self.mix = linear("attention.self.query", "attention.self.key", "attention.self.value")
        self.mixed = linear("attention.output.dense")
        self.first = norm("attention.output.LayerNorm")
        self.wide = linear("intermediate.dense")
        self.narrow = linear("output.dense")
        self.second = norm("output.LayerNorm")

    def forward(self, x, hidden):
        rows, length, _ = x.shape
        parts = self.mix(x).view(rows, length, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        # Of PyTorch's own function for this the way back takes half of all the time.
        fits = parts[0] @ parts[1].transpose(2, 3) / math.sqrt(WIDTH // HEADS) + hidden.to(parts.dtype)
        found = F.softmax(fits, -1, dtype=parts.dtype) @ parts[2]
        x = self.first(x + self.mixed(found.transpose(1, 2).reshape(rows, length, WIDTH)))
        return self.second(x + self.narrow(F.gelu(self.wide(x))))


class CrossEncoder(nn.Module):
    def __init__(self, weights, vocabulary):
        super().__init__()
        names = (model_folder() / "vocab.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
        place = {word: at for at, word in enumerate(names)}
        rows = weights["embeddings.word_embeddings.weight"][[place[word] for word in vocabulary]]
        steps, scales = rounded_rows(rows)
        self.steps, self.scales = steps.astype(np.int8), scales
        self.tokens = torch.tensor(steps * scales[:, None], dtype=torch.float32)
        self.places = nn.Parameter(torch.tensor(weights["embeddings.position_embeddings.weight"][:TOKENS_MAX]))
        sides = weights["embeddings.token_type_embeddings.weight"].copy()
        self.sides = nn.Parameter(torch.tensor(sides))
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.norm.weight.data = torch.tensor(weights["embeddings.LayerNorm.weight"])
        self.norm.bias.data = torch.tensor(weights["embeddings.LayerNorm.bias"])
        self.layers = nn.ModuleList([Layer(weights, at) for at in range(LAYERS)])
        self.pool = nn.Linear(2 * WIDTH, POOLED)
        self.out = nn.Linear(POOLED, 1)

    def forward(self, tokens, sides):
        """Scores of rows of tokens; a side of -1 is padding."""
        padding = sides < 0
        x = self.tokens[tokens] + self.places[: tokens.shape[1]] + self.sides[sides.clamp(min=0)]
        x = self.norm(x)
        hidden = torch.zeros(padding.shape).masked_fill(padding, -1e4)[:, None, None, :]
        for layer in self.layers:
            x = layer(x, hidden)
        kept = (~padding).float()[..., None]
        mean = (x * kept).sum(1) / kept.sum(1)
        return self.out(torch.tanh(self.pool(torch.cat([x[:, 0], mean], 1))))[:, 0]


class Pairs:
    """Pairs that the core's own model decides, as rows of tokens."""

    def __init__(self, path, vocabulary, scores=None):
        with open(path) as file:
            samples = [json.loads(line) for line in file]
        scores = json.loads(scores.read_text()) if scores is not None else [None] * len(samples)
        both = [(sample, score) for sample, score in zip(samples, scores, strict=True)
                if sample.get("exact") is None and sample["source"].startswith("own:")]
        samples = [sample for sample, _ in both]
        self.texts = [(sample["cached"], sample["asked"]) for sample in samples]
        self.sources = [sample["source"] for sample in samples]
        self.same = np.array([sample["same"] for sample in samples], np.float32)
        self.sides = [sample["tokens"] for sample in samples]
        self.lengths = np.array([len(a) + len(b) + 3 for a, b in self.sides])
        self.shares = np.array([SHARES[sample["same"], score["verdict"]] if score else 1 for sample, score in both])
        self.begin, self.end = vocabulary.index("[CLS]"), vocabulary.index("[SEP]")

    def rows(self, chosen, turned=None):
        """Tokens and sides of some pairs: in the order that the core reads them in, but for those that are turned."""
        width = min(TOKENS_MAX, int(-(-self.lengths[chosen].max() // 4) * 4))
        tokens, sides = np.zeros((len(chosen), width), np.int64), np.full((len(chosen), width), -1, np.int64)
        turned = np.zeros(len(chosen), bool) if turned is None else turned
        for row, (at, turn) in enumerate(zip(chosen, turned)):
            a, b = sorted(self.sides[at], reverse=bool(turn))
            both = ([self.begin, *a, self.end, *b, self.end])[:width]
            tokens[row, : len(both)] = both
            sides[row, : len(both)] = 0
            sides[row, len(a) + 2 : len(both)] = 1
        return torch.tensor(tokens), torch.tensor(sides)


def batches(pairs, rng, all_of_them):
    shares = np.ones(len(pairs.same)) if all_of_them else pairs.shares
    often = np.floor(shares + rng.random(len(shares))).astype(int)
    order = rng.permutation(np.repeat(np.arange(len(often)), often))
    all = []
    for chunk in np.array_split(order, max(1, len(order) // (BATCH * 40))):
        chunk = chunk[np.argsort(pairs.lengths[chunk], kind="stable")]
        all += [chunk[i : i + BATCH] for i in range(0, len(chunk) - BATCH + 1, BATCH)]
    return [all[i] for i in rng.permutation(len(all))]


def scores_of(model, pairs, every=1):
    order = np.argsort(pairs.lengths, kind="stable")[::every]
    scores = np.full(len(pairs.same), np.nan, np.float32)
    model.eval()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        for i in range(0, len(order), 128):
            rows = order[i : i + 128]
            scores[rows] = model(*pairs.rows(rows)).float().numpy()
    model.train()
    return scores


def hits(scores, same, traps):
    """Share of those that ask the same above the score that this share of the others reaches."""
    known = ~np.isnan(scores)
    wrong = np.sort(scores[known & (same == 0)])[::-1]
    return float((scores[known & (same == 1)] > wrong[int(traps * len(wrong))]).mean())


def told(scores, same):
    return " ".join(f"{hits(scores, same, traps):.3f}" for traps in (0.005, 0.01, 0.02, 0.05))


def write(out, model, kept, at):
    arrays = {name: part.numpy() for name, part in kept.items()}
    np.savez(out / "weights.npz", steps=model.steps, scales=model.scales, at=at, **arrays)


def main(samples, table, out, again=None):
    torch.set_num_threads(1)
    torch.manual_seed(1)
    rng = np.random.default_rng(1)
    vocabulary = read_vocabulary(table)
    samples = Path(samples)
    train = Pairs(samples / "train.jsonl", vocabulary, samples / "train.scores.json")
    tune = Pairs(samples / "tune.jsonl", vocabulary)
    model = CrossEncoder(read_safetensors(model_folder() / "model.safetensors"), vocabulary)
    if again is not None:
        parts = dict(np.load(again))
        model.load_state_dict({name: torch.tensor(parts[name]) for name in model.state_dict()})
    kept = {name: part.clone() for name, part in model.state_dict().items()}
    decays = [part for part in model.parameters() if part.ndim > 1]
    others = [part for part in model.parameters() if part.ndim <= 1]
    groups = [{"params": decays, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=LEARNING_RATE, fused=True)
    shares = train.shares
    lean = float(shares[train.same == 1].sum() / shares[train.same == 0].sum())
    print(f"{len(train.same)} pairs to train on, {len(tune.same)} to tune", flush=True)
    at, loss_mean, began = int(parts["at"]) if again else 0, 0.7, time.time()
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    while at < STEPS_MAX:
        first = at < STEPS_FIRST
        for chosen in batches(train, rng, first):
            if at == STEPS_MAX or (first and at == STEPS_FIRST):
                break
            at += 1
            rate = LEARNING_RATE * min(1, at / 150, (STEPS_MAX - at + 1) / STEPS_LAST)
            for group in optimiser.param_groups:
                group["lr"] = rate
            same = torch.tensor(train.same[chosen])
            with torch.autocast("cpu", dtype=torch.bfloat16):
                scores = model(*train.rows(chosen, rng.random(len(chosen)) < 0.5))
            losses = F.binary_cross_entropy_with_logits(scores.float(), same * 0.94 + 0.03, reduction="none")
            loss = (losses * torch.where(same > 0.5, 1.0, lean)).mean()
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            loss_mean = 0.99 * loss_mean + 0.01 * loss.item()
            if at % 4 == 0:
                part = min(KEPT**4, at / (at + 40))
                torch._foreach_lerp_(list(kept.values()), list(model.state_dict().values()), 1 - part)
            if at % 100 == 0:
                print(f"step {at} of {STEPS_MAX}, {time.time() - began:.0f} s, cpu {time.process_time():.0f} s, "
                      f"loss {loss_mean:.3f}", flush=True)
            if at % 500 == 0:
                write(out, model, kept, at)
                mine = {name: part.clone() for name, part in model.state_dict().items()}
                model.load_state_dict(kept)
                print(f"  tune, some: {told(scores_of(model, tune, 8), tune.same)}", flush=True)
                model.load_state_dict(mine)
    write(out, model, kept, at)
    model.load_state_dict(kept)
    print(f"tune: {told(scores_of(model, tune), tune.same)}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
