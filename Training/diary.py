"""A seeded generator of diaries: instructions in plain English and an answer that follows them.

`Rules` draws the instructions and writes them as a prompt, `task` says what must be in which entry, `write` gives one
correct answer. A diary is a list of pieces (text, kind): the texts joined are the document; the kind says what a piece
is for, so that training can weigh it and measure it. See README.md for the language in words.

The prompts of an evaluation depend on `Random`, `Rules` and `task` alone and use whole numbers only, so that other
languages draw the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import words as w
from prng import Random

Piece = tuple[str, "Kind"]
AHEAD = (4, 8, 16, 24)  # weeks between a plan and its favourite target, by week % 4: no two targets are the same


class Kind(IntEnum):
    """What a piece of text is for."""

    PROMPT = 0  # given, never predicted
    FILLER = 1  # free text
    FORM = 2  # follows from the words just before it
    DECIDE = 3  # is there a next sentence, which week comes next, is this the end
    ONCE = 4  # looked up in the prompt
    RANGE = 5  # looked up in the prompt, then in the previous mention
    PERIODIC = 6
    NEXT = 7  # the sum of this week and the period
    PLAN = 8  # looked up in an earlier entry
    CHOICE = 9  # a new plan: free, but never the same person or week twice


FORM, DECIDE, CHOICE = Kind.FORM, Kind.DECIDE, Kind.CHOICE
ORDER = (Kind.ONCE, Kind.PLAN, Kind.RANGE, Kind.PERIODIC)  # of the statements of one entry


@dataclass(frozen=True)
class Event:
    """Something due in the weeks `first`, `first + step`, ... up to `last`."""

    phrase: str
    first: int
    last: int
    step: int = 1

    def weeks(self, end: int) -> range:
        """The weeks in which it is due, up to week `end`."""
        return range(self.first, min(self.last, end) + 1, self.step)


@dataclass(frozen=True)
class Style:
    """How long and how dense diaries are: largest numbers in 100 weeks. Evaluations use the default."""

    weeks: tuple[int, int] = (20, 60)
    anywhere: bool = False  # does the diary start at any week instead of week 1
    once: int = 25
    ranges: int = 8
    periodic: int = 8
    plans: int = 15
    filler: int = 3  # most free sentences between weather and mood; -1: the weather in one word and no mood
    drill: bool = False  # entries in random order


@dataclass
class Rules:
    """The instructions of one diary. Two of one kind never fall in the same week."""

    author: str
    first: int
    last: int
    once: list[Event] = field(default_factory=list)
    ranges: list[Event] = field(default_factory=list)
    periodic: list[Event] = field(default_factory=list)
    plan_weeks: list[int] = field(default_factory=list)

    @classmethod
    def draw(cls, rng: Random, style: Style) -> Rules:
        """Draws instructions; the order of the draws is part of the language."""
        length = rng.between(*style.weeks)
        first = rng.between(1, 61 - length) if style.anywhere else 1
        rules = cls(rng.choice(w.NAMES), first, first + length - 1)

        def amount(density: int) -> int:
            return rng.between(1, max(1, density * length // 100))

        names = rng.sample(w.GUESTS, amount(style.once))
        for week, name in zip(rng.sample(rules.weeks, len(names)), names):
            rules.once.append(Event(f"{name} {rng.choice(w.DEEDS)}", week, week))
        rules._draw_ranges(rng, amount(style.ranges))
        rules._draw_periodic(rng, amount(style.periodic))
        # Plans are made where their favourite target is still in the diary; short diaries (for training) have few such.
        early = [week for week in rules.weeks if week + AHEAD[week % 4] <= rules.last or length < 20]
        rules.plan_weeks = rng.sample(early, min(amount(style.plans), len(early)))
        return rules

    def _draw_ranges(self, rng: Random, count: int) -> None:
        taken: set[int] = set()
        for town in rng.sample(w.TOWNS, count):
            start = rng.between(self.first, self.last - 1)
            end = min(self.last, start + rng.between(1, 5))
            if taken.isdisjoint(range(start - 1, end + 2)):
                taken.update(range(start, end + 1))
                self.ranges.append(Event(f"{town} until {end}", start, end))

    def _draw_periodic(self, rng: Random, count: int) -> None:
        taken: set[int] = set()
        for topic in rng.sample(w.TOPICS, min(4, count)):
            period = rng.between(3, 8)
            start = rng.between(self.first, min(self.last, self.first + 2 * period))
            due = range(start, self.last + 1, period)
            if taken.isdisjoint(due):
                taken.update(due)
                self.periodic.append(Event(f"{topic} every {period} weeks", start, 99, period))

    @property
    def weeks(self) -> range:
        return range(self.first, self.last + 1)

    @property
    def prefix(self) -> str:
        """The header of the first entry, the last line of the prompt."""
        return f"#*# Week {self.first}:"

    def prompt(self, rng: Random) -> str:
        """The instructions in random order, ending with the header of the first entry."""
        lines = [f"In week {e.first} {e.phrase}." for e in [*self.once, *self.ranges, *self.periodic]]
        lines += [f"In week {week} make a plan." for week in self.plan_weeks]
        lines += [f"In week {self.last} finally stop."]
        head = f"Write the diary of {self.author} from week {self.first} to week {self.last}."
        return "\n".join([head, *rng.sample(lines, len(lines)), "*** started ***", self.prefix])


def task(prompt: str, rules: Rules) -> dict:
    """What is asked and what must be in which entry, with LongGenBench's field names."""

    def checks(events: list[Event]) -> dict[str, str]:
        return {str(week): e.phrase for week, e in sorted((week, e) for e in events for week in e.weeks(rules.last))}

    return {
        "prompt": prompt,
        "prefix": rules.prefix,
        "type": "Week",
        "number": len(rules.weeks),
        "checks_once": checks(rules.once),
        "checks_range": checks(rules.ranges),
        "checks_periodic": checks(rules.periodic),
        "plan_weeks": sorted(rules.plan_weeks),
    }


def evaluation(seed: int, index: int) -> dict:
    """The task with this number of an evaluation. Training uses seeds from 2**31 (see `sample`)."""
    rng = Random(seed, index)
    rules = Rules.draw(rng, Style())
    return task(rules.prompt(rng), rules)


def favourite(rng: Random, week: int, options: list[str], step: int = 7) -> str:
    """A word that leans towards this week's own one, so that greedy writing is varied."""
    return options[week * step % len(options)] if rng.below(2) else rng.choice(options)


def filler(rng: Random, week: int, most: int) -> str:
    """Weather, some free sentences, mood."""

    def pick(options: list[str], step: int) -> str:
        return favourite(rng, week, options, step)

    if most < 0:
        return f"the weather is {pick(w.WEATHER, 7)}."
    free = [
        f"At {pick(w.TIMES, 3)} we eat {pick(w.FLAVOURS, 5)} {pick(w.FOODS, 7)} with {pick(w.NAMES, 11)}.",
        f"I buy {pick(w.FOODS, 11)} and {pick(w.FOODS, 13)} at the {pick(w.SPOTS, 3)}.",
        f"{pick(w.NAMES, 13)} sends me a {pick(w.COLOURS, 3)} {pick(w.THINGS, 5)} from {pick(w.PLACES, 7)}.",
        f"We walk to the {pick(w.SPOTS, 7)} and talk about {pick(w.SUBJECTS, 5)}.",
        f"My {pick(w.RELATIVES, 5)} mends the {pick(w.COLOURS, 5)} {pick(w.THINGS, 7)}.",
        f"In the evening I read about {pick(w.SUBJECTS, 7)} and {pick(w.SUBJECTS, 11)}.",
    ]
    count = min(most, week % 4 if rng.below(5) else rng.between(0, 3))
    start = week if rng.below(5) else rng.below(6)
    middle = [free[(start + i) % 6] for i in range(count)]
    weather = f"the weather is {pick(w.WEATHER, 7)} and {pick(w.WEATHER, 11)}."
    return " ".join([weather, *middle, f"I feel {pick(w.MOODS, 7)}."])


def tag(text: str, *kinds: Kind) -> list[Piece]:
    """Splits a text at its spaces, each word with its leading space, and gives the words their kinds."""
    return [(" " + part, kind) for part, kind in zip(text.split(" "), kinds, strict=True)]


def statement(kind: Kind, event: Event, week: int) -> list[Piece]:
    """What an entry says of an event: what it is, and when it is due next."""
    words = event.phrase.split(" ")
    glue = ("until", "every", "weeks")
    pieces = tag(event.phrase, *(FORM if word in glue else kind for word in words))
    if kind in (Kind.RANGE, Kind.PERIODIC):
        after = week + event.step
        if after <= event.last:
            pieces += [(",", DECIDE), *tag(f"in week {after} {words[0]}", FORM, FORM, Kind.NEXT, kind)]
        return pieces + [(".", DECIDE)]
    return pieces + [(".", FORM)]


def new_plan(rng: Random, week: int, later: list[int], plans: list[Event]) -> Event:
    """The answer's own promise for one of the later weeks."""
    free = [target for target in later[1:25] if all(target != p.first for p in plans)] or later or [week]
    names = [name for name in w.FRIENDS if all(name != p.phrase.split(" ")[0] for p in plans)]
    target, name = week + AHEAD[week % 4], w.FRIENDS[week * 17 % len(w.FRIENDS)]
    if target not in free or rng.below(2):
        target = rng.choice(free)
    if name not in names or rng.below(2):
        name = rng.choice(names)
    return Event(f"{name} {favourite(rng, week, w.ERRANDS, 3)}", target, target)


def write(rng: Random, rules: Rules, style: Style) -> list[Piece]:
    """The prompt and one correct answer: for each week what is due, each thing as "In week N ...", then free text."""
    order = rng.sample(rules.weeks, len(rules.weeks)) if style.drill else list(rules.weeks)
    plans: list[Event] = []
    known = {Kind.ONCE: rules.once, Kind.PLAN: plans, Kind.RANGE: rules.ranges, Kind.PERIODIC: rules.periodic}
    announced: set[tuple[Event, int]] = set()  # what earlier entries said of the coming weeks
    guess = Kind.FILLER if style.drill else DECIDE  # nobody can know the next week of a drill
    pieces: list[Piece] = []
    for number, week in enumerate(order):
        facts: list[list[Piece]] = []
        for kind in ORDER:
            for event in known[kind]:
                if week == event.first or week <= event.last and (event, week) in announced:
                    facts.append(statement(kind, event, week))
                    announced.add((event, week + event.step))
        if week in rules.plan_weeks:
            plans.append(new_plan(rng, week, order[number + 1 :], plans))
            promise = f"in week {plans[-1].first} {plans[-1].phrase} again"
            make = tag("make a plan", DECIDE, FORM, FORM) + [(",", FORM)]
            facts.append(make + tag(promise, FORM, FORM, CHOICE, CHOICE, CHOICE, FORM) + [(".", FORM)])
        first_word, rest = filler(rng, week, style.filler).split(" ", 1)
        last = [(" finally", DECIDE)] * (week == rules.last)
        facts.append([*last, (f" {first_word}", DECIDE), (f" {rest}", Kind.FILLER), ("\n", FORM)])
        pieces += [("#*#", guess), (" Week", FORM), (f" {week}", guess), (":", FORM)]
        for fact in facts:
            pieces += tag(f"In week {week}", FORM, FORM, FORM) + fact
    # The prompt ends with the header of the first entry: "#*#", " Week", the number and ":".
    prompt = rules.prompt(rng).removesuffix(rules.prefix) + f"#*# Week {order[0]}:"
    return [(prompt, Kind.PROMPT), *pieces[4:], ("*** finished", guess), (" ***", FORM)]


def sample(seed: int, index: int, style: Style = Style()) -> list[Piece]:
    """One diary for training, the same for the same seed, index and style."""
    rng = Random(2**31 + seed, index)
    return write(rng, Rules.draw(rng, style), style)
