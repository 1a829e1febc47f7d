"""A seeded generator of logbooks: notes and a schedule in plain English and an answer that follows them.

What the diary cannot show: names that come back long after the answer introduced them, rules that are made in the middle
of the answer and revoked later, many notes of which few are asked for, and values that are computed from earlier ones, so
that one lost entry spoils the rest. See README.md for the language in words.

As in diary.py, the prompts of an evaluation depend on `Random`, `Rules` and `task` alone and use whole numbers only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import logbook_words as w
from prng import Random

Piece = tuple[str, "Kind"]


class Kind(IntEnum):
    """What a piece of text is for."""

    PROMPT = 0  # given, never predicted
    FILLER = 1  # free text
    FORM = 2  # follows from the words just before it
    DECIDE = 3  # is there a next sentence, is this the end
    CALL = 4  # looked up in the schedule
    FACT = 5  # looked up in the notes
    BACK = 6  # looked up in the entry that introduced a name
    RULE = 7  # looked up in the entries that made a rule and revoked it
    STATE = 8  # looked up in the entry that computed a value
    SUM = 9  # the sum of the value and what is added
    CHOICE = 10  # the answer's own


FORM, DECIDE, CALL, CHOICE = Kind.FORM, Kind.DECIDE, Kind.CALL, Kind.CHOICE


@dataclass(frozen=True)
class Style:
    """How long and how dense logbooks are: largest numbers in 100 steps. Evaluations use the default."""

    steps: tuple[int, int] = (20, 60)
    notes: tuple[int, int] = (70, 120)
    anywhere: bool = False  # does the logbook start at any step instead of step 1
    asks: int = 30
    guests: int = 14
    animals: int = 10
    chains: int = 7
    links: tuple[int, int] = (3, 7)  # of one chain
    filler: int = 2  # most free sentences after the weather; -1: the weather in one word
    drill: bool = False  # steps in random order


@dataclass(frozen=True)
class Animal:
    """A rule: from one step on the animal answers with a colour, until another step revokes it."""

    name: str
    learns: int
    drops: int | None
    comes: tuple[int, ...]  # the steps in which it comes, before, between and after


@dataclass(frozen=True)
class Link:
    """A value that is computed at one step: that of `source` and `plus`."""

    step: int
    tank: str
    source: str
    plus: int
    before: int  # the value of `source`

    @property
    def phrase(self) -> str:
        return f"{self.tank} {self.source} plus {self.plus}, {self.source} {self.before}, {self.tank} {self.value}"

    @property
    def value(self) -> int:
        return self.before + self.plus


@dataclass
class Rules:
    """Notes and schedule of one logbook. Two of one kind never fall in the same step."""

    author: str
    steps: list[int]  # in the order of the entries
    notes: list[str] = field(default_factory=list)
    asks: dict[int, tuple[str, str]] = field(default_factory=dict)  # good and town
    guests: dict[str, list[int]] = field(default_factory=dict)  # first where they are introduced
    animals: list[Animal] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)

    @classmethod
    def draw(cls, rng: Random, style: Style) -> Rules:
        """Draws notes and schedule; the order of the draws is part of the language."""
        length = rng.between(*style.steps)
        first = rng.between(1, 61 - length) if style.anywhere else 1
        steps = list(range(first, first + length))
        if style.drill:
            steps = rng.sample(steps, length)
        rules = cls(rng.choice(w.NAMES), steps)

        def amount(density: int) -> int:
            return rng.between(1, max(1, density * length // 100))

        goods = [(good, rng.choice(w.TOWNS)) for good in rng.sample(w.GOODS, rng.between(*style.notes))]
        asked = rng.sample(goods, min(len(goods), amount(style.asks)))
        rules.asks = dict(zip(rng.sample(steps, len(asked)), asked))
        rules._draw_guests(rng, amount(style.guests))
        rules._draw_animals(rng, amount(style.animals))
        starts = rules._draw_chains(rng, amount(style.chains), style.links)
        notes = [f"{good} {town}" for good, town in goods] + starts
        rules.notes = rng.sample(notes, len(notes))
        return rules

    def _deal(self, rng: Random, count: int, low: int, high: int) -> list[list[int]]:
        """Up to `count` lists of `low` to `high` steps each, no step in two of them, in the order of the entries."""
        left = rng.sample(range(len(self.steps)), len(self.steps))
        hands: list[list[int]] = []
        for _ in range(count):
            size = rng.between(low, high)
            if size <= len(left):
                hands.append([self.steps[i] for i in sorted(left[:size])])
                left = left[size:]
        return hands

    def _draw_guests(self, rng: Random, count: int) -> None:
        hands = self._deal(rng, count, 2, 4)
        self.guests = dict(zip(rng.sample(w.GUESTS, len(hands)), hands))

    def _draw_animals(self, rng: Random, count: int) -> None:
        hands = self._deal(rng, count, 3, 7)
        for name, hand in zip(rng.sample(w.ANIMALS, len(hands)), hands):
            learns = rng.below(2)
            drops = rng.between(learns + 2, len(hand)) if learns + 2 < len(hand) else len(hand)
            comes = tuple(step for i, step in enumerate(hand) if i not in (learns, drops))
            self.animals.append(Animal(name, hand[learns], hand[drops] if drops < len(hand) else None, comes))

    def _draw_chains(self, rng: Random, count: int, links: tuple[int, int]) -> list[str]:
        """The chains of values; returns the notes of where they start."""
        hands = self._deal(rng, count, *links)
        tanks = rng.sample(w.TANKS, len(w.TANKS))
        starts = []
        for hand in hands:
            value, source = rng.between(1, 20), tanks.pop(0)
            starts.append(f"{source} {value}")
            for step in hand:
                link = Link(step, tanks.pop(0), source, rng.between(1, 9), value)
                self.links.append(link)
                value, source = link.value, link.tank
        return starts

    @property
    def prefix(self) -> str:
        """The header of the first entry, the last line of the prompt."""
        return f"#*# Step {self.steps[0]}:"

    def prompt(self, rng: Random) -> str:
        """Notes and schedule in random order, ending with the header of the first entry."""
        lines = [f"At {step} {good}." for step, (good, _) in self.asks.items()]
        lines += [f"At {step} {name}." for name, steps in self.guests.items() for step in steps]
        for animal in self.animals:
            lines += [f"At {animal.learns} learn {animal.name}."]
            lines += [f"At {animal.drops} drop {animal.name}."] * (animal.drops is not None)
            lines += [f"At {step} {animal.name}." for step in animal.comes]
        lines += [f"At {link.step} {link.tank} {link.source} plus {link.plus}." for link in self.links]
        lines += [f"At {self.steps[-1]} finally stop."]
        head = f"Keep the log of {self.author} from step {min(self.steps)} to step {max(self.steps)}."
        notes = f"Notes: {', '.join(self.notes)}."
        return "\n".join([head, notes, *rng.sample(lines, len(lines)), "*** started ***", self.prefix])


def task(prompt: str, rules: Rules) -> dict:
    """What is asked and what must be in which entry."""
    return {
        "prompt": prompt,
        "prefix": rules.prefix,
        "type": "Step",
        "number": len(rules.steps),
        "checks_fact": {str(step): f"{good} {town}" for step, (good, town) in sorted(rules.asks.items())},
        "checks_sum": {str(link.step): link.phrase for link in sorted(rules.links, key=lambda link: link.step)},
        "guests": rules.guests,
        "animals": [{"name": a.name, "learns": a.learns, "drops": a.drops, "comes": list(a.comes)} for a in rules.animals],
    }


def evaluation(seed: int, index: int) -> dict:
    """The task with this number of an evaluation. Training uses seeds from 2**31 (see `sample`)."""
    rng = Random(seed, index)
    rules = Rules.draw(rng, Style())
    return task(rules.prompt(rng), rules)


def favourite(rng: Random, step: int, options: list[str], stride: int = 7) -> str:
    """A word that leans towards this step's own one, so that greedy writing is varied."""
    return options[step * stride % len(options)] if rng.below(2) else rng.choice(options)


def filler(rng: Random, step: int, most: int) -> str:
    """Weather and some free sentences."""

    def pick(options: list[str], stride: int) -> str:
        return favourite(rng, step, options, stride)

    if most < 0:
        return f"it is {pick(w.WEATHER, 7)}."
    free = [
        f"I walk to the {pick(w.SPOTS, 7)}.",
        f"I feel {pick(w.MOODS, 7)}.",
        f"We talk about {pick(w.SUBJECTS, 5)}.",
    ]
    count = min(most, step % 3 if rng.below(5) else rng.between(0, 2))
    start = step if rng.below(5) else rng.below(3)
    middle = [free[(start + i) % 3] for i in range(count)]
    return " ".join([f"it is {pick(w.WEATHER, 7)} and {pick(w.WEATHER, 11)}.", *middle])


def tag(text: str, *kinds: Kind) -> list[Piece]:
    """Splits a text at its spaces, each word with its leading space, and gives the words their kinds."""
    return [(" " + part, kind) for part, kind in zip(text.split(" "), kinds, strict=True)]


def statements(rng: Random, rules: Rules, step: int, said: dict[str, str]) -> list[list[Piece]]:
    """What the entry of a step says of what is due, in a fixed order; `said` remembers the answer's own choices."""
    found = []
    for link in rules.links:
        if link.step == step:
            copy = tag(f"{link.tank} {link.source} plus {link.plus}", CALL, CALL, FORM, CALL)
            before = tag(f"{link.source} {link.before}", FORM, Kind.STATE)
            after = tag(f"{link.tank} {link.value}", FORM, Kind.SUM)
            found.append([*copy, (",", FORM), *before, (",", FORM), *after, (".", FORM)])
    for name, steps in rules.guests.items():
        if step in steps:
            kind = Kind.BACK if name in said else CHOICE
            job = said.setdefault(name, favourite(rng, step, w.JOBS))
            found.append([*tag(f"{name} {job}", CALL, kind), (".", FORM)])
    for animal in rules.animals:
        if step == animal.learns:
            said[animal.name] = favourite(rng, step, w.COLOURS)
            found.append([*tag(f"learn {animal.name} {said[animal.name]}", CALL, CALL, CHOICE), (".", FORM)])
        if step == animal.drops:
            said[animal.name] = "quiet"
            found.append([*tag(f"drop {animal.name} quiet", CALL, CALL, FORM), (".", FORM)])
        if step in animal.comes:
            rule = tag(said[animal.name], Kind.RULE) + [(".", FORM)] if animal.name in said else [(".", Kind.RULE)]
            found.append([*tag(animal.name, CALL), *rule])
    if step in rules.asks:
        good, town = rules.asks[step]
        found.append([*tag(f"{good} {town}", CALL, Kind.FACT), (".", FORM)])
    return found


def write(rng: Random, rules: Rules, style: Style) -> list[Piece]:
    """The prompt and one correct answer: for each step what is due, each thing as "At N ...", then free text."""
    guess = Kind.FILLER if style.drill else DECIDE  # nobody can know the next step of a drill
    said: dict[str, str] = {}
    pieces: list[Piece] = []
    for step in rules.steps:
        facts = statements(rng, rules, step, said)
        first_word, rest = filler(rng, step, style.filler).split(" ", 1)
        last = [(" finally", DECIDE)] * (step == rules.steps[-1])
        facts.append([*last, (f" {first_word}", DECIDE), (f" {rest}", Kind.FILLER), ("\n", FORM)])
        pieces += [("#*#", guess), (" Step", FORM), (f" {step}", guess), (":", FORM)]
        for fact in facts:
            pieces += tag(f"At {step}", FORM, FORM) + fact
    # The prompt ends with the header of the first entry: "#*#", " Step", the number and ":".
    return [(rules.prompt(rng), Kind.PROMPT), *pieces[4:], ("*** finished", guess), (" ***", FORM)]


def sample(seed: int, index: int, style: Style = Style()) -> list[Piece]:
    """One logbook for training, the same for the same seed, index and style."""
    rng = Random(2**31 + seed, index)
    return write(rng, Rules.draw(rng, style), style)
