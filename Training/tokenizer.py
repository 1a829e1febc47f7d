"""A byte-level BPE tokenizer in the style of GPT-2, trained so that every word of the language is one token."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

from languages import Language

# GPT-2's pre-tokenizer, for ASCII text.
PRE_TOKEN = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+")
SPECIAL = ["<s>", "</s>"]
BOS, EOS = 0, 1
VOCABULARY = 2  # the seed of the texts whose words make the vocabulary
PROMPT, FORM = 0, 2  # kinds that every language has


def byte_letters() -> dict[int, str]:
    """GPT-2's printable stand-in for each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in plain]
    return {b: chr(b) for b in plain} | {b: chr(256 + i) for i, b in enumerate(others)}


LETTERS = byte_letters()
BYTES = {letter: byte for byte, letter in LETTERS.items()}


def spell(text: str) -> list[str]:
    return [LETTERS[b] for b in text.encode()]


def merge(symbols: list[str], pair: tuple[str, str]) -> list[str]:
    """Joins every occurrence of the pair, from the left."""
    out: list[str] = []
    for symbol in symbols:
        if out and (out[-1], symbol) == pair:
            out[-1] += symbol
        else:
            out.append(symbol)
    return out


class Tokenizer:
    """Encodes and decodes with a list of merges, the first ones first."""

    def __init__(self, merges: list[tuple[str, str]]):
        self.merges = merges
        self.rank = {pair: i for i, pair in enumerate(merges)}
        self.tokens = SPECIAL + list(LETTERS.values()) + [a + b for a, b in merges]
        self.ids = {token: i for i, token in enumerate(self.tokens)}
        self.cache: dict[str, list[int]] = {}

    @classmethod
    def train(cls, vocabulary: list[str]) -> Tokenizer:
        """Merges the pair that most words share until each word is one token."""
        spelled = [spell(word) for word in vocabulary]
        merges: list[tuple[str, str]] = []
        while True:
            pairs = Counter(pair for word in spelled for pair in zip(word, word[1:]))
            if not pairs:
                return cls(merges)
            best = max(pairs, key=lambda pair: (pairs[pair], pair))
            merges.append(best)
            spelled = [merge(word, best) for word in spelled]

    @classmethod
    def load(cls, path: Path) -> Tokenizer:
        return cls([tuple(pair) for pair in json.loads(path.read_text())["merges"]])

    def save(self, path: Path) -> None:
        path.write_text(json.dumps({"merges": self.merges}))

    def word(self, word: str) -> list[int]:
        """The tokens of one pre-token."""
        if word not in self.cache:
            symbols = spell(word)
            while pairs := [p for p in zip(symbols, symbols[1:]) if p in self.rank]:
                symbols = merge(symbols, min(pairs, key=self.rank.__getitem__))
            self.cache[word] = [self.ids[s] for s in symbols]
        return self.cache[word]

    def encode(self, text: str) -> list[int]:
        return [token for word in PRE_TOKEN.findall(text) for token in self.word(word)]

    def decode(self, tokens: list[int]) -> str:
        letters = "".join(self.tokens[t] for t in tokens if t >= len(SPECIAL))
        return bytes(BYTES[letter] for letter in letters).decode(errors="replace")

    def encode_pieces(self, pieces: list[tuple[str, int]]) -> tuple[list[int], list[int]]:
        """Tokens and their kinds, from BOS to EOS."""
        tokens, kinds = [BOS], [PROMPT]
        for text, kind in pieces:
            encoded = self.encode(text)
            tokens += encoded
            kinds += [int(kind)] * len(encoded)
        return tokens + [EOS], kinds + [FORM]

    def number_tokens(self) -> dict[int, int]:
        """The token of each number 1 to 99, as written after a space."""
        return {n: self.ids["".join(spell(f" {n}"))] for n in range(1, 100)}


def vocabulary(language: Language) -> list[str]:
    """Every pre-token of a language: the word lists, the numbers, and what a thousand texts hold."""
    found = {f" {n}" for n in range(1, 100)}
    for name, value in vars(language.words).items():
        if name.isupper():
            found |= {" " + word for word in value}
    for index in range(1000):
        text = "".join(text for text, _ in language.sample(VOCABULARY, index, language.small))
        found |= set(PRE_TOKEN.findall(text))
    return sorted(found)
