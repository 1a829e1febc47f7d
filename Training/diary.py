"""A seeded generator of diaries: instructions in plain English and an answer that follows them.

A diary is a list of pieces (text, kind). The texts joined are the document; the kind says what a piece is for, so that
training can weigh it and measure it. `Rules` draws the instructions, `write` turns them into a prompt and one correct
answer. See README.md for the language in words.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import IntEnum

import words as w

Piece = tuple[str, "Kind"]


class Kind(IntEnum):
    """What a piece of text is for."""

    PROMPT = 0  # given, never predicted
    FILLER = 1  # free text
    FORM = 2  # follows from the words just before it
    DECIDE = 3  # does the next sentence exist, which week comes next, is this the end
    ONCE = 4  # looked up in the prompt
    RANGE = 5
    PERIODIC = 6
    NEXT = 7  # the sum of this week and the period
    PLAN = 8  # looked up in an earlier entry


FORM, DECIDE = Kind.FORM, Kind.DECIDE


@dataclass(frozen=True)
class Periodic:
    """An event that comes back every `period` weeks from week `first`."""

    period: int
    first: int
    topic: str
    kind: str

    @property
    def phrase(self) -> str:
        return f"{self.topic} {self.kind}"

    def due(self, week: int) -> bool:
        return week >= self.first and (week - self.first) % self.period == 0


@dataclass(frozen=True)
class Range:
    """A journey from week `first` to week `last`."""

    first: int
    last: int
    journey: str
    place: str

    @property
    def phrase(self) -> str:
        return f"{self.journey} to {self.place}"


@dataclass(frozen=True)
class Style:
    """How long and how dense the diaries are. Densities are the largest numbers per week."""

    weeks: tuple[int, int] = (20, 60)
    from_one: float = 1.0  # probability that the diary starts at week 1
    filler: int = 3  # most free sentences between weather and mood
    once: float = 0.25
    range: float = 0.08
    periodic: float = 0.08
    plans: float = 0.15
    drill: bool = False  # instead of a diary: `weeks` facts, asked for again and again in random order


@dataclass
class Rules:
    """The instructions of one diary."""

    author: str
    first: int
    last: int
    once: dict[int, tuple[str, str]] = field(default_factory=dict)
    ranges: list[Range] = field(default_factory=list)
    periodic: list[Periodic] = field(default_factory=list)
    plan_weeks: set[int] = field(default_factory=set)

    @classmethod
    def draw(cls, rng: random.Random, style: Style) -> Rules:
        """Draws instructions. Two of one kind never fall in the same week."""
        length = rng.randint(*style.weeks)
        first = 1 if rng.random() < style.from_one else rng.randint(1, 61 - min(length, 60))
        rules = cls(rng.choice(w.NAMES), first, first + length - 1)
        weeks = range(first, rules.last + 1)

        def amount(density: float, least: int = 1) -> int:
            return rng.randint(least, max(least, round(density * length)))

        names = rng.sample(w.NAMES, min(length, amount(style.once)))
        rules.once = {
            week: (name, rng.choice(w.EVENTS)) for week, name in zip(rng.sample(weeks, len(names)), names)
        }
        rules._draw_ranges(rng, amount(style.range))
        rules._draw_periodic(rng, min(4, amount(style.periodic)))
        early = range(first, rules.last - 1)
        rules.plan_weeks = set(rng.sample(early, min(len(early), amount(style.plans))))
        return rules

    def _draw_ranges(self, rng: random.Random, count: int) -> None:
        taken: set[int] = set()
        for place in rng.sample(w.PLACES, count):
            start = rng.randint(self.first, self.last - 1)
            end = min(self.last, start + rng.randint(1, 5))
            span = set(range(start - 1, end + 2))
            if not span & taken:
                taken |= set(range(start, end + 1))
                self.ranges.append(Range(start, end, rng.choice(w.JOURNEYS), place))

    def _draw_periodic(self, rng: random.Random, count: int) -> None:
        taken: set[int] = set()
        for topic in rng.sample(w.TOPICS, count):
            period = rng.randint(3, 8)
            start = rng.randint(self.first, min(self.last, self.first + 2 * period))
            due = set(range(start, self.last + 9, period))
            if not due & taken:
                taken |= due
                self.periodic.append(Periodic(period, start, topic, rng.choice(w.KINDS)))

    @property
    def prefix(self) -> str:
        """The header of the first entry, the last line of the prompt."""
        return f"#*# Week {self.first}:"

    def prompt(self, rng: random.Random) -> str:
        """The instructions in shuffled order, ending with the header of the first entry."""
        lines = [f"celebrate {name}'s {event} in week {week}." for week, (name, event) in self.once.items()]
        lines += [f"until week {r.last} a {r.phrase} from week {r.first}." for r in self.ranges]
        lines += [f"every {p.period} weeks the {p.phrase} from week {p.first}." for p in self.periodic]
        lines += [f"make a plan in week {week}." for week in sorted(self.plan_weeks)]
        rng.shuffle(lines)
        head = f"Write the diary of {self.author} from week {self.first} through week {self.last}."
        return "\n".join([head, *lines, "*** started ***", self.prefix])


def task(prompt: str, rules: Rules) -> dict:
    """What is asked and what must be in which entry, with LongGenBench's field names."""
    weeks = range(rules.first, rules.last + 1)
    return {
        "prompt": prompt,
        "prefix": rules.prefix,
        "type": "Week",
        "number": len(weeks),
        "checks_once": {str(week): f"{name}'s {event}" for week, (name, event) in sorted(rules.once.items())},
        "checks_range": {str(week): r.phrase for week in weeks for r in rules.ranges if r.first <= week <= r.last},
        "checks_periodic": {str(week): p.phrase for week in weeks for p in rules.periodic if p.due(week)},
        "plan_weeks": sorted(rules.plan_weeks),
    }


def favourite(rng: random.Random, week: int, options: list[str], step: int = 7, share: float = 0.5) -> str:
    """A word that leans towards this week's own one, so that greedy writing is varied."""
    return options[week * step % len(options)] if rng.random() < share else rng.choice(options)


def filler(rng: random.Random, week: int, most: int) -> str:
    """Weather, some free sentences, mood."""

    def pick(options: list[str], step: int) -> str:
        return favourite(rng, week, options, step)

    free = [
        f"At {pick(w.TIMES, 3)} we eat {pick(w.FLAVOURS, 5)} {pick(w.FOODS, 7)} with {pick(w.NAMES, 11)}.",
        f"I buy {pick(w.FOODS, 11)} and {pick(w.FOODS, 13)} at the {pick(w.SPOTS, 3)}.",
        f"{pick(w.NAMES, 13)} sends me a {pick(w.COLOURS, 3)} {pick(w.THINGS, 5)} from {pick(w.PLACES, 7)}.",
        f"We walk to the {pick(w.SPOTS, 7)} and talk about {pick(w.SUBJECTS, 5)}.",
        f"My {pick(w.RELATIVES, 5)} paints the {pick(w.THINGS, 7)} {pick(w.COLOURS, 5)}.",
        f"In the evening I read about {pick(w.SUBJECTS, 7)} and {pick(w.SUBJECTS, 11)}.",
    ]
    count = min(most, week % 3 if rng.random() < 0.8 else rng.randint(0, 3))
    start = week if rng.random() < 0.8 else rng.randrange(6)
    middle = [free[(start + i) % 6] for i in range(count)]
    weather = f"the weather is {pick(w.WEATHER, 7)} and {pick(w.WEATHER, 11)}."
    return " ".join([weather, *middle, f"I feel {pick(w.MOODS, 7)}."])


def tag(text: str, *kinds: Kind) -> list[Piece]:
    """Splits a text at its spaces, each word with its leading space, and gives the words their kinds."""
    parts = text.split(" ")
    return [(" " + part, kind) for part, kind in zip(parts, kinds, strict=True)]


def write(rng: random.Random, rules: Rules, style: Style) -> list[Piece]:
    """The prompt and one correct answer: for each week what is due, each thing after the week's name, then free text."""
    pieces: list[Piece] = [(rules.prompt(rng), Kind.PROMPT)]
    plans: dict[int, tuple[str, str]] = {}
    for week in range(rules.first, rules.last + 1):
        facts: list[list[Piece]] = []
        if week in rules.once:
            facts.append(once_text(*rules.once[week]) + [(".", FORM)])
        if week in plans:
            facts.append(plan_text(*plans[week], Kind.PLAN) + [(".", FORM)])
        for r in (r for r in rules.ranges if r.first <= week <= r.last):
            facts.append(range_text(r) + (following(week + 1) if week < r.last else []) + [(".", DECIDE)])
        for p in (p for p in rules.periodic if p.due(week)):
            facts.append(periodic_text(p) + following(week + p.period) + [(".", FORM)])
        if week in rules.plan_weeks:
            target = new_plan(rng, week, rules.last, plans)
            fact = tag("make a plan", DECIDE, FORM, FORM) + [(",", FORM)] + plan_text(*plans[target], Kind.FILLER)
            facts.append(fact + tag(f"in week {target}", FORM, FORM, Kind.FILLER) + [(".", FORM)])
        first_word, rest = filler(rng, week, style.filler).split(" ", 1)
        facts.append([(" " + first_word, DECIDE), (" " + rest, Kind.FILLER), ("\n", DECIDE)])
        if week > rules.first:
            pieces.append(("#*#", DECIDE))
        for number, fact in enumerate(facts):
            header = [(" Week", DECIDE), (f" {week}", DECIDE), (":", FORM)]
            pieces += fact if (week, number) == (rules.first, 0) else header + fact
    return pieces + [("*** finished", DECIDE), (" ***", FORM)]


def following(week: int) -> list[Piece]:
    """When the same thing is due again."""
    return [(",", DECIDE)] + tag(f"week {week} next", FORM, Kind.NEXT, FORM)


def once_text(name: str, event: str) -> list[Piece]:
    return tag(f"celebrate {name}", DECIDE, Kind.ONCE) + [("'s", FORM), (" " + event, Kind.ONCE)]


def range_text(r: Range) -> list[Piece]:
    return tag(f"until week {r.last} a", DECIDE, FORM, Kind.RANGE, FORM) + tag(r.phrase, Kind.RANGE, FORM, Kind.RANGE)


def periodic_text(p: Periodic) -> list[Piece]:
    return tag(f"every {p.period} weeks the {p.phrase}", DECIDE, Kind.PERIODIC, FORM, FORM, *[Kind.PERIODIC] * 2)


def plan_text(errand: str, name: str, kind: Kind) -> list[Piece]:
    return tag(f"I {errand} {name}", DECIDE, kind, kind)


def new_plan(rng: random.Random, week: int, last: int, plans: dict[int, tuple[str, str]]) -> int:
    """Adds the answer's own promise for a later, still free week, and returns that week."""
    target = week + (9 if week % 2 else 15)
    free = [t for t in range(week + 2, min(last, week + 25) + 1) if t not in plans]
    if target not in free or rng.random() > 0.4:
        target = rng.choice(free) if free else week + 2
    plans.setdefault(target, (favourite(rng, week, w.ERRANDS, 3), favourite(rng, week, w.NAMES, 17)))
    return target


def drill(rng: random.Random, style: Style) -> list[Piece]:
    """Facts by their weeks, then many look-ups: training for the one thing everything else rests on."""
    facts: dict[int, list[Piece]] = {}
    for week in rng.sample(range(1, 80), rng.randint(*style.weeks)):
        name, errand = rng.choice(w.NAMES), rng.choice(w.ERRANDS)
        journey = Range(week, week + rng.randint(1, 5), rng.choice(w.JOURNEYS), rng.choice(w.PLACES))
        event = Periodic(rng.randint(3, 8), week, rng.choice(w.TOPICS), rng.choice(w.KINDS))
        plan = plan_text(errand, name, Kind.PLAN)
        texts = [once_text(name, rng.choice(w.EVENTS)), plan, range_text(journey), periodic_text(event)]
        facts[week] = rng.choices(texts, (4, 3, 1, 1))[0]
    lines = ["".join(text for text, _ in fact).strip() + f" in week {week}." for week, fact in facts.items()]
    pieces: list[Piece] = [("\n".join([*lines, "*** started ***", "#*#"]), Kind.PROMPT)]
    nothing = [(" the", DECIDE), (" weather", FORM)]
    for _ in range(2 * len(facts)):
        week = rng.choice(list(facts)) if rng.random() < 0.8 else rng.randint(1, 80)
        pieces += [(" Week", FORM), (f" {week}", Kind.FILLER), (":", FORM)] + facts.get(week, nothing) + [(".", FORM)]
    return pieces


def sample(seed: int | str, style: Style = Style()) -> tuple[Rules | None, list[Piece]]:
    """One diary, the same for the same seed and style; its rules are None for a drill."""
    rng = random.Random(f"diary {seed}")
    if style.drill:
        return None, drill(rng, style)
    rules = Rules.draw(rng, style)
    return rules, write(rng, rules, style)
