"""Splits text into the word pieces of BERT's uncased vocabulary."""

import re
import unicodedata
from pathlib import Path


class Tokenizer:
    """Gives the numbers of a text's pieces; `begin` and `end` are those of what encloses a text."""

    def __init__(self, vocabulary):
        words = Path(vocabulary).read_text(encoding="utf-8").rstrip("\n").split("\n")
        self.entries = {word: at for at, word in enumerate(words)}
        self.begin, self.end, self.unknown = (self.entries[word] for word in ("[CLS]", "[SEP]", "[UNK]"))
        self.known = {}

    def pieces(self, word):
        out, at = [], 0
        while at < len(word):
            for end in range(len(word), at, -1):
                entry = self.entries.get(("##" if at else "") + word[at:end])
                if entry is not None:
                    break
            else:
                return [self.unknown]
            out.append(entry)
            at = end
        return out

    def __call__(self, text):
        folded = unicodedata.normalize("NFD", text.lower())
        folded = "".join(c for c in folded if unicodedata.category(c) != "Mn")
        out = []
        for word in re.findall(r"\w+|[^\w\s]", folded.replace("_", " _ ")):
            if word not in self.known:
                self.known[word] = self.pieces(word)
            out += self.known[word]
        return out
