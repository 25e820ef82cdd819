"""Scores pairs by the cross-encoder's file in the plainest way, for the test that compares the core with it.

    python bench/cache/cross-encoder/reference.py SAMPLES/train.jsonl native/core/assets/cross-encoder.bin \\
        test/cache/cross-encoder.json

All numbers are 32-bit floats but in the products with matrices, whose inputs are rounded to eight bits, row by row.
"""

import json
import sys
from math import erf
from pathlib import Path

import numpy as np

WIDTH = 384
HEADS = 12
PLACES = 64
POOLED = 128
COUNT = 24


class Reader:
    def __init__(self, raw):
        self.raw, self.at = raw, 0

    def take(self, kind, *shape):
        count = int(np.prod(shape))
        found = np.frombuffer(self.raw, kind, count, self.at).reshape(shape)
        self.at += found.nbytes
        return found

    def norm(self):
        return self.take("<f4", WIDTH), self.take("<f4", WIDTH)

    def matrix(self, rows, columns):
        return self.take("<f4", rows), self.take("<f4", rows), self.take("i1", rows, columns)


def normalised(x, norm):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-12) * norm[0] + norm[1]


def product(x, matrix):
    scales, bias, rows = matrix
    largest = np.maximum(np.abs(x).max(-1, keepdims=True), np.finfo(np.float32).tiny)
    parts = np.rint(x * (np.float32(127) / largest)).astype(np.int32)
    return (parts @ rows.astype(np.int32).T) * (largest / np.float32(127)) * scales + bias


def bent(x):
    return x * 0.5 * (1 + np.vectorize(erf)(x / np.sqrt(2)))


class Model:
    def __init__(self, raw):
        read = Reader(raw)
        read.take("u1", 12)
        entries, layers = (int(number) for number in read.take("<u4", 2))
        read.take("<f4", 4)
        scales = read.take("<f4", entries)
        halves = read.take("u1", entries, WIDTH // 2)
        numbers = np.stack([halves & 15, halves >> 4], -1).reshape(entries, WIDTH)
        self.tokens = (numbers.astype(np.float32) - 8) * scales[:, None]
        self.places, self.sides = read.take("<f4", PLACES, WIDTH), read.take("<f4", 2, WIDTH)
        self.norm = read.norm()
        self.layers = [
            (read.matrix(3 * WIDTH, WIDTH), read.matrix(WIDTH, WIDTH), read.norm(),
             read.matrix(4 * WIDTH, WIDTH), read.matrix(WIDTH, 4 * WIDTH), read.norm())
            for _ in range(layers)
        ]
        self.pool = read.matrix(POOLED, 2 * WIDTH)
        self.out, self.bias = read.take("<f4", POOLED), read.take("<f4", 1)

    def score(self, tokens, sides):
        x = normalised(self.tokens[tokens] + self.places[: len(tokens)] + self.sides[sides], self.norm)
        for mix, mixed, first, wide, narrow, second in self.layers:
            parts = product(x, mix).reshape(len(tokens), 3, HEADS, WIDTH // HEADS).transpose(1, 2, 0, 3)
            fits = parts[0] @ parts[1].transpose(0, 2, 1) / np.sqrt(WIDTH / HEADS)
            shares = np.exp(fits - fits.max(-1, keepdims=True))
            found = shares / shares.sum(-1, keepdims=True) @ parts[2]
            x = normalised(x + product(found.transpose(1, 0, 2).reshape(len(tokens), WIDTH), mixed), first)
            x = normalised(x + product(bent(product(x, wide)), narrow), second)
        pooled = product(np.concatenate([x[0], x.mean(0)])[None], self.pool)[0]
        return float(np.tanh(pooled) @ self.out + self.bias[0])


def main(samples, file, out):
    raw = Path(file).read_bytes()
    model = Model(raw)
    words = Path(file).with_name("tokens.bin").read_bytes()
    words = words[24 : 24 + int.from_bytes(words[20:24], "little")].decode().split("\n")
    begin, end = words.index("[CLS]"), words.index("[SEP]")
    pairs = []
    with open(samples) as lines:
        for line in lines:
            sample = json.loads(line)
            if len(pairs) == COUNT:
                break
            if sample.get("exact") is not None or sum(map(len, sample["tokens"])) + 3 > PLACES:
                continue
            a, b = sorted(sample["tokens"])
            score = model.score([begin, *a, end, *b, end], [0] * (len(a) + 2) + [1] * (len(b) + 1))
            pairs.append({"first": sample["cached"], "second": sample["asked"], "score": round(score, 4)})
    Path(out).write_text(json.dumps(pairs, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
