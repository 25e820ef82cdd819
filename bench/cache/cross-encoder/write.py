"""Writes the cross-encoder's file for the native core.

    python bench/cache/cross-encoder/write.py OUT native/core/assets/cross-encoder.bin
    node bench/cache/cross-encoder/scores.ts SAMPLES/tune.jsonl OUT/scores.json native/core/assets/cross-encoder.bin
    python bench/cache/cross-encoder/write.py OUT native/core/assets/cross-encoder.bin OUT/scores.json

The first call rounds the weights that `train.py` left in OUT. `scores.ts` says what the core then makes of the pairs
that thresholds are set on; the second call sets them.

The file, all numbers little-endian: "SGCROSSE", u32 version, u32 tokens, u32 layers; f32 weight of the small model's
score, of the cross-encoder's, bias: questions are the same from a sum of 0 on; f32 score of the small model from which
nothing more is asked. Then f32 scales of the tokens and their rows, 4 bits a number, the lower half of a byte first, 8
for 0; f32 rows of places and of sides, the first norm; for each layer the matrices and norms in the order of LAYER;
the pooling matrix, f32 weights of the score, bias. A norm: f32 weights, bias. A matrix: f32 scale and bias of each row,
then its rows of int8. Last the SHA-256 of all before.
"""

import hashlib
import json
import struct
import sys
from pathlib import Path

import numpy as np

FORMAT = 1
LAYER = ("mix", "mixed", "first", "wide", "narrow", "second")
NORMS = ("first", "second")
HEAD = 8 + 3 * 4
RULE = 4 * 4
# Of those that ask something else: served by the small model alone, and served in all.
TRAPS_SURE = 0.001
TRAPS = 0.0095


def floats(numbers):
    return np.ascontiguousarray(numbers, "<f4").tobytes()


def norm(weights, name):
    return floats(weights[name + ".weight"]) + floats(weights[name + ".bias"])


def matrix(weights, name):
    rows = weights[name + ".weight"]
    scales = np.maximum(np.abs(rows).max(1), 1e-9) / 127
    parts = np.rint(rows / scales[:, None]).astype(np.int8)
    return floats(scales) + floats(weights[name + ".bias"]) + parts.tobytes()


def pack(weights):
    layers = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("layers."))
    steps = (weights["steps"].astype(np.int16) + 8).astype(np.uint8)
    parts = [b"SGCROSSE", struct.pack("<III", FORMAT, len(steps), layers), floats([0, 1, 0, 1e9])]
    parts += [floats(weights["scales"]), (steps[:, ::2] | steps[:, 1::2] << 4).tobytes()]
    parts += [floats(weights["places"]), floats(weights["sides"]), norm(weights, "norm")]
    for at in range(layers):
        for part in LAYER:
            parts.append((norm if part in NORMS else matrix)(weights, f"layers.{at}.{part}"))
    parts += [matrix(weights, "pool"), floats(weights["out.weight"]), floats(weights["out.bias"])]
    return b"".join(parts)


def fitted(x, same):
    """Weights of both scores and a bias: logistic regression, both kinds counting alike."""
    x = np.concatenate([x, np.ones((len(x), 1))], 1)
    lean = np.where(same, 0.5 / same.mean(), 0.5 / (1 - same.mean()))
    weights = np.zeros(3)
    for _ in range(50):
        chance = 1 / (1 + np.exp(-x @ weights))
        slope = x.T @ (lean * (chance - same)) + 1e-3 * weights
        curve = (x * (lean * chance * (1 - chance))[:, None]).T @ x + 1e-3 * np.eye(3)
        weights = weights - np.linalg.solve(curve, slope)
    return weights


def least(scores, allowed):
    """The lowest score that no more than so many of some scores reach."""
    wrong = np.sort(scores)[::-1]
    return float(np.nextafter(np.float32(wrong[allowed]), np.float32(1e9)))


def rule(scores):
    """The weights, the bias and the small model's score that is enough."""
    same = np.array([pair["same"] for pair in scores])
    exact = np.array([pair["reason"] != "model" for pair in scores])
    served = np.array([pair["verdict"] == "same" for pair in scores])
    unsure = np.array([pair["verdict"] != "different" for pair in scores]) & ~exact
    small = np.array([np.clip(pair["score"], 1e-6, 1 - 1e-6) for pair in scores])
    small = np.log(small / (1 - small))
    own = np.array([np.nan if pair["own"] is None else pair["own"] for pair in scores])
    traps, known = (~same).sum(), ~np.isnan(own)
    print(f"alone: {(served & same).sum() / same.sum():.3f} at {(served & ~same).sum() / traps:.4f}")
    at_once = (exact & served & ~same).sum()
    sure = least(small[unsure & ~same], max(0, int(TRAPS_SURE * traps) - at_once))
    enough = (exact & served) | (unsure & (small >= sure))
    asked = unsure & (small < sure) & known
    weights = fitted(np.stack([small, own], 1)[asked], same[asked])
    sums = np.stack([small, own], 1) @ weights[:2]
    weights[2] = -least(sums[asked & ~same], int(TRAPS * traps) - (enough & ~same).sum())
    all = enough | (asked & (np.nan_to_num(sums, nan=-1e9) + weights[2] >= 0))
    print(f"asked: {asked.mean():.3f} of all; enough without: {(enough & same).sum() / same.sum():.3f} "
          f"at {(enough & ~same).sum() / traps:.4f}")
    print(f"with it: {(all & same).sum() / same.sum():.3f} at {(all & ~same).sum() / traps:.4f}")
    return [*weights, sure]


def main(out, file, scores=None):
    if scores is None:
        content = pack(dict(np.load(Path(out) / "weights.npz")))
    else:
        content = Path(file).read_bytes()[:-32]
        chosen = rule(json.loads(Path(scores).read_text()))
        print("weights, bias, sure: " + " ".join(f"{number:.4f}" for number in chosen))
        content = content[:HEAD] + floats(chosen) + content[HEAD + RULE :]
    Path(file).write_bytes(content + hashlib.sha256(content).digest())
    print(f"{len(content) + 32} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
