"""What simulated people say: five registers, and several ways in each to say what an agenda wants said.

`{fact}` is a noun phrase ("a horror film") and `{bare}` the same without its article, `{old}` and `{none}` are those of a wish
that is taken back, `{title}` is something liked or shown, `{noun}` and `{plural}` are what the domain calls its items,
`{consume}` and `{consumed}` what one does with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from vouchrec.evals.simulator.leaks import tokens
from vouchrec.retrieval.domain import Domain

__all__ = ["PHRASES", "REGISTERS", "Kind", "count", "vocabulary"]

Kind: TypeAlias = Literal["open", "open_like", "add", "change", "like", "dislike", "seen", "more", "again"]
PHRASES: Mapping[str, Mapping[Kind, tuple[str, ...]]] = {
    "plain": {
        "open": ("I'm looking for {fact}.", "Can you recommend {fact}?", "I'd like {fact}."),
        "open_like": ("I really liked {title}. What else is there?", "Recommend me something like {title}."),
        "add": ("I'd prefer {fact}.", "It should be {fact}.", "Make it {fact}, please."),
        "change": ("Actually, not {old} after all. I want {fact}.", "I've changed my mind: no {none}, rather {fact}."),
        "like": ("I also loved {title}.", "One that I like is {title}."),
        "dislike": ("I didn't like {title}.", "Not {title}, I don't enjoy that."),
        "seen": ("I've already {consumed} {title}.", "I have seen {title}."),
        "more": ("Do you have other suggestions?", "Show me some others, please."),
        "again": ("That isn't {fact}, which I asked for.", "I did say {fact}."),
    },
    "terse": {
        "open": ("{bare}", "need {fact}", "{bare} please"),
        "open_like": ("like {title}", "more like {title}"),
        "add": ("{bare}", "must be {fact}", "only {bare}"),
        "change": ("no, {bare} instead of {none}", "no {none}. {bare}."),
        "like": ("liked {title}", "{title} was great"),
        "dislike": ("not {title}", "no {title}"),
        "seen": ("seen {title}", "already {consumed} {title}"),
        "more": ("others?", "next", "something else"),
        "again": ("I said {bare}", "{bare}!"),
    },
    "chatty": {
        "open": (
            "Hey! So I've got a free evening and I'm really in the mood for {fact}, any ideas?",
            "Hi there, long week... what I'd love now is {fact}. What have you got?",
        ),
        "open_like": (
            "Hello! My friends and I adored {title} and now we don't know what to {consume} next.",
            "So I finally got round to {title} and loved it! What should come after that?",
        ),
        "add": (
            "Ooh, nice, but what I'd really love is {fact}, if that exists?",
            "Hmm, good ideas! Thinking about it more, it should be {fact}.",
        ),
        "change": (
            "Haha sorry, I keep changing my mind, forget {old}, I think I'd rather have {fact} tonight!",
            "You know what, {old} isn't really me today. Let's go for {fact} instead.",
        ),
        "like": (
            "Oh, and I should say that I absolutely loved {title}!",
            "By the way, {title} is a favourite of mine.",
        ),
        "dislike": ("Oh no, {title} wasn't for me at all, sorry!", "Honestly I couldn't stand {title}, anything else?"),
        "seen": (
            "I've seen {title} already, it was a while ago!",
            "Oh, {title}, yes, I have {consumed} that one before.",
        ),
        "more": (
            "Hmm, these don't quite do it for me, what else do you have?",
            "Not quite there yet... a few others maybe?",
        ),
        "again": ("Ah, but remember that I was after {fact}!", "These are lovely but I did ask for {fact}, didn't I?"),
    },
    "polite": {
        "open": (
            "Good evening. Would you be so kind as to suggest {fact}?",
            "Could you please help me to find {fact}? Thank you.",
        ),
        "open_like": (
            "I was very fond of {title}. Might you suggest something similar?",
            "Could you suggest a {noun} similar to {title}, please?",
        ),
        "add": ("Thank you. If possible, I should like {fact}.", "That is kind. Might it be {fact}?"),
        "change": (
            "My apologies, I would now rather not have {old}. Could it be {fact}?",
            "On reflection, please leave out {old}; I would prefer {fact}.",
        ),
        "like": ("I may add that I enjoyed {title} a great deal.", "I have always been fond of {title}."),
        "dislike": ("I am afraid {title} was not to my taste.", "With respect, I did not care for {title}."),
        "seen": (
            "I have already had the pleasure of {title}, I am afraid: I have seen it.",
            "I have seen {title} before, thank you.",
        ),
        "more": ("Thank you, but might there be others?", "Would you have any other suggestions, please?"),
        "again": ("Forgive me, but I had asked for {fact}.", "I believe that I mentioned {fact}."),
    },
    "texting": {
        "open": ("hey can u find me {fact}", "looking for {fact} lol", "any good {plural}? want {fact}"),
        "open_like": ("omg loved {title}, what else is like that", "smth like {title} pls"),
        "add": ("ok but {fact}", "nah want {fact}", "hmm {fact} maybe?"),
        "change": ("wait no, not {old}, {fact} pls", "scratch {old}, gimme {fact}"),
        "like": ("btw {title} is so good", "also loved {title}"),
        "dislike": ("ugh not {title}", "hated {title} tbh"),
        "seen": ("seen {title} already lol", "already {consumed} {title}"),
        "more": ("anything else?", "more pls", "meh, others?"),
        "again": ("said {fact} tho", "but i want {fact}"),
    },
}
"""Ways to say something, by register."""
REGISTERS = tuple(PHRASES)


def count() -> int:
    """Return the number of ways to say something."""
    return sum(len(ways) for register in PHRASES.values() for ways in register.values())


def vocabulary(domain: Domain) -> frozenset[str]:
    """Return the words that any message may hold, whatever it speaks of."""
    slots = {"fact": "", "bare": "", "old": "", "none": "", "title": "", "noun": domain.noun, "plural": domain.plural}
    slots |= {"consume": domain.consume, "consumed": domain.consumed}
    ways = (way for register in PHRASES.values() for ways in register.values() for way in ways)
    own = tokens(" ".join((domain.noun, domain.plural, "a an of at most from the minutes hours")))
    return frozenset((*own, *(word for way in ways for word in tokens(way.format(**slots)))))
