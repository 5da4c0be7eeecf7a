"""Numbers and nouns in sentences: "1 chunk", "2 chunks", "an Adapted", "a Transfer"."""

from numbers import Number

HISSING = ("s", "x", "ch", "sh")
SEVERAL = {"is": "are", "was": "were", "has": "have", "does": "do", "teaches": "teach", "applies": "apply"}


def counted(number: Number, noun: str, shown: str = "") -> str:
    """The number and its noun, whose last word alone is put into the plural. shown: how the number is written, such as '.0f'.

    >>> from mtlsim.core.words import counted
    >>> counted(1, "seed"), counted(2, "open branch"), counted(0, "study")
    ('1 seed', '2 open branches', '0 studies')
    """
    written = f"{number:{shown}}"
    return f"{written} {noun if written == '1' else plural(noun)}"


def plural(noun: str) -> str:
    """What several of it are called."""
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(HISSING) else f"{noun}s"


def with_article(name: str) -> str:
    """The name of a class after a or an, as it is spoken.

    >>> from mtlsim.core.words import with_article
    >>> with_article("Adapted"), with_article("OneTask"), with_article("ndarray"), with_article("Transfer")
    ('an Adapted', 'a OneTask', 'an ndarray', 'a Transfer')
    """
    first = name.lower()
    vowel = first.startswith(("a", "e", "i", "o", "u", "nd")) and not first.startswith(("one", "uni", "use", "eu"))
    return f"{'an' if vowel else 'a'} {name}"


def verb(number: Number, one: str) -> str:
    """The verb of so many things.

    >>> from mtlsim.core.words import verb
    >>> verb(1, "is"), verb(0, "was"), verb(3, "holds")
    ('is', 'were', 'hold')
    """
    return one if number == 1 else SEVERAL.get(one, one.removesuffix("s"))
