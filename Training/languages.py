"""The languages that a model can be trained on: what differs between them, in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from types import ModuleType

import checker
import diary
import logbook
import logbook_checker
import logbook_words
import words


@dataclass(frozen=True)
class Stage:
    """Some steps on texts of one style, padded to one length."""

    steps: int
    length: int
    batch: int
    style: object  # of the language's own class
    stretch: int  # most positions that are skipped between the lines of a text, to meet far positions in short texts
    rate: tuple[float, float]  # factor on the learning rates, from the stage's first step to its last


@dataclass(frozen=True)
class Language:
    """A language, and how a model of it is shaped and trained."""

    name: str
    description: str  # of its model
    kinds: type[IntEnum]
    weights: tuple[float, ...]  # in the loss, by kind; of FILLER, of which only a share is trained on, before that
    words: ModuleType
    sample: Callable[..., list]  # a text to train on, of a seed, an index and a style
    full: object  # the style of evaluations
    small: object  # a style whose texts hold every form of the language
    length: int  # tokens that a text of full style has at most
    evaluation: Callable[[int, int], dict]
    score: Callable
    new_score: Callable
    shape: dict  # options of `model.Config`
    stages: tuple[Stage, ...]


_DENSE = dict(anywhere=True, once=90, ranges=25, periodic=25, plans=60)
_SHORT = dict(anywhere=True, once=60, ranges=20, periodic=20, plans=40)
_MIDDLE = dict(anywhere=True, once=45, ranges=12, periodic=12, plans=30)

DIARY = Language(
    name="diary",
    description="Writes a diary that follows the instructions of its prompt; trained on synthetic text",
    kinds=diary.Kind,
    weights=(0.0, 0.05, 0.2, 4.0, 5.0, 5.0, 5.0, 3.0, 5.0, 2.0),
    words=words,
    sample=diary.sample,
    full=diary.Style(),
    small=diary.Style(weeks=(4, 30)),
    length=3072,
    evaluation=diary.evaluation,
    score=checker.score,
    new_score=checker.Score,
    shape=dict(),
    stages=(
        Stage(500, 320, 16, diary.Style(weeks=(4, 10), filler=-1, drill=True, **_DENSE), 500, (1.0, 0.8)),
        Stage(700, 512, 8, diary.Style(weeks=(5, 14), filler=0, **_SHORT), 1000, (0.8, 0.6)),
        Stage(450, 1024, 4, diary.Style(weeks=(10, 22), **_MIDDLE), 1500, (0.6, 0.45)),
        Stage(300, 2048, 2, diary.Style(weeks=(20, 40), **_MIDDLE), 1000, (0.4, 0.3)),
        Stage(1150, 3072, 2, diary.Style(weeks=(20, 60)), 500, (0.3, 0.0)),
    ),
)

_DRILL = dict(anywhere=True, asks=100, guests=60, animals=45, chains=35)

LOGBOOK = Language(
    name="logbook",
    description="Keeps a logbook by the notes and the schedule of its prompt; trained on synthetic text",
    kinds=logbook.Kind,
    weights=(0.0, 0.05, 0.2, 4.0, 5.0, 5.0, 5.0, 5.0, 5.0, 10.0, 2.0),
    words=logbook_words,
    sample=logbook.sample,
    full=logbook.Style(),
    small=logbook.Style(steps=(4, 20), notes=(2, 20)),
    length=2560,
    evaluation=logbook.evaluation,
    score=logbook_checker.score,
    new_score=logbook_checker.Score,
    shape=dict(heads=8, head_size=32, qk_norm=True),
    stages=(
        Stage(500, 512, 10, logbook.Style((4, 10), (2, 10), links=(2, 5), filler=-1, drill=True, **_DRILL), 500, (1.0, 0.8)),
        Stage(500, 768, 6, logbook.Style((6, 14), (4, 20), links=(2, 6), filler=0, **_DRILL), 1000, (0.8, 0.6)),
        Stage(250, 1408, 4, logbook.Style((12, 24), (20, 60), True, 60, 28, 20, 14), 1500, (0.6, 0.45)),
        Stage(600, 2560, 2, logbook.Style(asks=40, guests=20, animals=14, chains=9, filler=1), 500, (0.45, 0.2)),
        Stage(400, 2560, 2, logbook.Style(), 500, (0.2, 0.0)),
    ),
)

LANGUAGES = {language.name: language for language in (DIARY, LOGBOOK)}
