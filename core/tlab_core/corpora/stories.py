"""Short plain-English stories from a seeded grammar of our own: the same text on every machine, without a network.

A story casts a hero, a friend, a thing and a few places, picks one of the plots, and says each of its steps in one of
several ways. `{slot}` stands for something from the cast, and `[this|that]` for either of two ways to say it. Half of
the names are invented afresh for one story, so the only way to write them is to remember them.
"""

import re
from functools import cache

from tlab_core.corpora.base import CORPORA, Corpus
from tlab_core.corpora.dice import Dice

SEED = 1
SIZE = 1_000_000  # characters

# In every list the first is the most common: a small model soon writes whole sentences and goes on to the rarer ones.
BOYS = ["Ben", "Tom", "Sam", "Hugo", "Nils"]
GIRLS = ["Anna", "Mia", "Kate", "Rosa", "Ida"]
FIRST = ["Re", "Fo", "Be", "So", "Ka", "Mi", "Lu", "Da", "No", "Wi"]
MIDDLE = ["da", "lo", "vi", "ma", "nu"]
LAST = ["", "n", "pe", "rn"]

HE_KINDS = ["boy", "fox", "bear", "hare"]
SHE_KINDS = ["girl", "fox", "bear", "hare"]
TRAITS = ["little", "kind", "brave", "quick", "lazy"]
COLOURS = ["red", "blue", "green", "yellow", "white"]
LOOKS = ["big", "new", "fine"]
THINGS = ["ball", "kite", "boat", "hat", "doll", "drum", "bell", "book", "lamp"]
FOODS = ["apple", "cake", "pear", "bun", "jar of honey"]
ANIMALS = ["bird", "cat", "frog", "dog", "duck", "owl"]
PLACES = ["the wood", "the river", "the hill", "the garden", "the lake", "the farm"]
SPOTS = ["under the bed", "in the box", "behind the door", "in the grass", "under a tree", "near the well"]
WEATHERS = ["The sun was warm", "The sky was blue", "It was cold", "It was raining"]
FEELINGS = ["happy", "glad", "tired", "proud"]

ALONE = [
    "One day {hero} went to {place}.",
    "One day {hero} was playing near {place}.",
    "Once there was a {trait} {kind} called {hero}. One day {he} went to {place}.",
    "One morning {hero} [went|walked|ran] to {place}.",
    "One day a {trait} {kind} called {hero} [went|came] to {place}.",
]
TOGETHER = [
    "One day {hero} and {friend} went to {place}.",
    "One day {hero} and {friend} were playing near {place}.",
    "{hero} and {friend} were good friends. They lived near {place}.",
    "One morning {hero} and {friend} [went|walked|ran] to {place}.",
    "Once there was a {trait} {kind} called {hero}. One day {he} went to see {friend}.",
]
WEATHER = ["", "{weather}.", "{weather}, and {hero} was {feeling}."]
HAVE = ["{He} had a {colour} {thing}.", "{hero} had a {look} {colour} {thing}.", "{He} had a {look} {thing}."]
MEET = ["Then {he} met {friend}.", "There {he} met {friend}.", "Then {friend} came.", "{hero} saw {friend}."]
GREETING = ["", '"Hello, {friend}," said {hero}.', '"Hello, {hero}!" said {friend}.', '"Good morning," said {friend}.']
THANKS = ['"Thank you, {friend}!" said {hero}.', '"Thank you," said {hero}. "You are a good friend."', ""]
FRIEND_THANKS = ['"Thank you, {hero}!" said {friend}.', '"Thank you," said {friend}. "You are very kind."', ""]
PLAY = ["So they played with the {thing} all day.", "Then they played with it until night.", ""]
ENDINGS = [
    "{hero} was very {feeling}.",
    "Then they went home.",
    "{hero} and {friend} were good friends.",
    "{friend} laughed, and {hero} laughed too.",
    '"What a good day!" said {hero}.',
    '"See you tomorrow, {hero}," said {friend}.',
    "That night {hero} dreamed of {place}.",
]

# Each plot is a list of steps, and each step a list of ways to say it. The first step says who is there.
PLOTS = [
    [  # lost and found
        ALONE,
        HAVE,
        WEATHER,
        ["But then the {thing} was gone.", "But {he} lost the {thing}.", "But when {he} slept, a bird took it."],
        ['"Where is my {thing}?" said {hero}.', '"Oh no!" said {hero}. "Where is it?"', "{hero} was very sad."],
        ["", "{He} looked {spot2}, but it was not there.", "{He} looked {spot2} and {spot3}. No {thing}!"],
        MEET,
        ['"I can\'t find my {colour} {thing},\" said {hero}.', '"Did you see my {colour} {thing}?" asked {hero}.'],
        ['"It is {spot}," said {friend}.', '"I saw it {spot}," said {friend}.'],
        ["{hero} looked {spot} and found the {colour} {thing}.", "They went to look. It was {spot}!"],
        THANKS,
        ENDINGS,
    ],
    [  # a new friend
        ALONE,
        WEATHER,
        ["There {he} met a {trait2} {kind2}.", "Then {he} saw a {trait2} {kind2}."],
        ['"Who are you?" asked {hero}.', '"What is your name?" asked {hero}.', '"Hello! Who are you?" asked {hero}.'],
        ['"I am {friend}," said the {kind2}.', '"My name is {friend}," said the {kind2}.'],
        ['"Do you want to play?" asked {hero}. "Yes," said {friend}.', '"{friend}? What a fine name!" said {hero}.'],
        ['"I have a {colour} {thing}," said {friend}.', "{friend} had a {colour} {thing}."],
        PLAY,
        ['"Good night, {friend}," said {hero}.', '"Will you come again, {friend}?" asked {hero}.', ""],
        ENDINGS,
    ],
    [  # a present
        ALONE,
        ["{He} wanted to give {friend} a {thing}.", "Tomorrow was {friend}'s birthday."],
        ["So {he} [found|made|got] a {colour} {thing}.", "There {he} saw a {look} {colour} {thing}."],
        ["{He} put the {thing} {spot}.", "{He} put it {spot}, so {friend} could not see it."],
        MEET,
        ['"Look {spot}," said {hero}.', '"There is something for you {spot}," said {hero}.'],
        ["{friend} looked {spot} and found the {colour} {thing}."],
        ['"Is it for me?" asked {friend}. "Yes," said {hero}.', '"A {thing}!" said {friend}.'],
        FRIEND_THANKS,
        ENDINGS,
    ],
    [  # a swap
        TOGETHER,
        WEATHER,
        ["{hero} had a {colour} {thing}, and {friend} had a {colour2} {thing2}."],
        ['"I like your {thing2}," said {hero}.', '"What a fine {thing2}!" said {hero}.'],
        ['"I like your {thing}," said {friend}.', '"Give me your {thing}, and it is yours," said {friend}.'],
        ["So {hero} gave the {thing} to {friend}, and {friend} gave the {thing2} to {hero}."],
        ["Now {hero} had a {thing2}, and {friend} had a {thing}.", "Now {hero} had the {colour2} {thing2}."],
        ENDINGS,
    ],
    [  # something to eat
        ALONE,
        ["{He} had {a_food} with {him}.", "{His} mother gave {him} {a_food}."],
        ["There {he} met {a_animal} called {friend}.", "Then {he} saw {a_animal}. It was {friend}."],
        GREETING,
        ['"I am so hungry," said {friend}.', '"Have you got something to eat?" asked {friend}.'],
        ["So {hero} gave the {food} to {friend}.", '"I have {a_food}," said {hero}. "It is yours."'],
        ["{friend} ate it all.", "{hero} and {friend} ate it together."],
        FRIEND_THANKS,
        ENDINGS,
    ],
    [  # out of reach
        ALONE,
        HAVE,
        ["The wind took the {thing} up into a tree.", "{He} threw the {thing} too high, and it fell on the roof."],
        ['"Oh no!" said {hero}. "My {thing}!"', "{He} jumped and jumped, but {he} could not get it."],
        MEET,
        GREETING,
        ['"Can you get my {colour} {thing}?" asked {hero}.', '"Can you help me?" asked {hero}.'],
        ['"Yes," said {friend}. "I can."', '"I will try," said {friend}.'],
        ["{friend} went up and got the {colour} {thing}.", "{friend} called {a_animal} to help. Then it came down."],
        THANKS,
        ENDINGS,
    ],
    [  # a noise at night
        TOGETHER,
        ["Then it was night, and they heard a noise.", "In the night {hero} heard a noise."],
        ['"What is it?" asked {hero}.', '"Who is there?" asked {hero}.', '"Did you hear it?" asked {hero}.'],
        ['"I am afraid," said {friend}.', "{hero} was afraid, but {he} did not run away.", ""],
        ["", "They looked {spot2}, but there was nothing.", "{hero} looked {spot2} and {spot3}. Nothing!"],
        ["Then they looked {spot}.", "Then {hero} looked {spot}."],
        ["It was only {a_animal}!", "There was {a_animal}!", "And what was it? {A_animal}!"],
        ['"It was only {a_animal}!" laughed {friend}.', '"Don\'t be afraid, little {animal}," said {hero}.', ""],
        ENDINGS,
    ],
    [  # a seed
        TOGETHER,
        ["{hero} found a little seed {spot}.", "{A_animal} gave {hero} a little seed."],
        ['"What is it?" asked {friend}. "It is a seed," said {hero}.', '"It is only a seed," said {friend}.'],
        ["{hero} put the seed in the garden.", "So they put it in the garden."],
        ["They waited for one day, two days, three days.", "Every day {hero} gave it water."],
        ["Then there was a {colour} flower!", "One morning there was a {look} {colour} flower."],
        ['"{friend}, come and look!" said {hero}.', '"Look at the {colour} flower!" said {friend}.', ""],
        ENDINGS,
    ],
]

CHOICE = re.compile(r"\[([^]]*)]")


@CORPORA.register("stories")
@cache
def stories() -> Corpus:
    """Short stories in plain English, made by a grammar: a small model writes sentences within seconds."""
    dice = Dice(SEED)
    told, size = [], 0
    while size < SIZE:
        told.append(story(dice))
        size += len(told[-1])
    return Corpus("stories", "".join(told), stories.__doc__, prompt="One day ")


def story(dice: Dice) -> str:
    """Return one story: a paragraph and the empty line behind it."""
    cast = _cast(dice)
    sentences = [_say(dice.favour(step), cast, dice) for step in dice.pick(PLOTS)]
    return " ".join(filter(None, sentences)) + "\n\n"


def _say(template: str, cast: dict[str, str], dice: Dice) -> str:
    chosen = CHOICE.sub(lambda choice: dice.pick(choice[1].split("|")), template)
    return chosen.format_map(cast)


def _cast(dice: Dice) -> dict[str, str]:
    """Return what each slot stands for in one story."""
    hero_is_he, friend_is_he = dice.below(2), dice.below(2)
    hero, friend = _name(hero_is_he, dice), _name(friend_is_he, dice)
    while friend[0] == hero[0]:  # two names that begin alike are hard to tell apart, for children too
        friend = _name(friend_is_he, dice)
    he, him, his = ("he", "him", "his") if hero_is_he else ("she", "her", "her")
    thing, thing2 = dice.favour_different(THINGS, 2)
    colour, colour2 = dice.favour_different(COLOURS, 2)
    spot, spot2, spot3 = dice.favour_different(SPOTS, 3)
    trait, trait2 = dice.favour_different(TRAITS, 2)
    animal, food = dice.favour(ANIMALS), dice.favour(FOODS)
    a_animal = _with_article(animal)
    return {
        "hero": hero, "he": he, "him": him, "his": his, "He": he.capitalize(), "His": his.capitalize(),
        "friend": friend,
        "kind": dice.favour(HE_KINDS if hero_is_he else SHE_KINDS), "trait": trait,
        "kind2": dice.favour(HE_KINDS if friend_is_he else SHE_KINDS), "trait2": trait2,
        "thing": thing, "thing2": thing2, "colour": colour, "colour2": colour2, "look": dice.favour(LOOKS),
        "spot": spot, "spot2": spot2, "spot3": spot3, "place": dice.favour(PLACES),
        "animal": animal, "a_animal": a_animal, "A_animal": a_animal.capitalize(),
        "food": food, "a_food": _with_article(food),
        "weather": dice.favour(WEATHERS), "feeling": dice.favour(FEELINGS),
    }  # fmt: skip


def _name(is_he: int, dice: Dice) -> str:
    """Return a common name or, as often, an invented one."""
    if dice.below(2):
        return dice.favour(BOYS if is_he else GIRLS)
    return dice.favour(FIRST) + dice.favour(MIDDLE) + dice.favour(LAST)


def _with_article(noun: str) -> str:
    return ("an " if noun[0] in "aeiou" else "a ") + noun
