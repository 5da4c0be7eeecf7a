"""The words, one sentence each, in one place: for notebooks, the command line and pages."""

import re
from pathlib import Path

import pytest

from mtlsim import Verdict, cli, define
from mtlsim.core.words import counted, with_article
from mtlsim.glossary import GLOSSARY
from mtlsim.verification import rules

PROMISED = """task, head, shared module, rank, excess risk, transfer, gain, sign convention, route, certificate, gap,
alignment score, cosine, covariate shift, model shift, twin, source, target, statement, counterexample"""


def test_what_is_promised_is_there():
    assert set(re.split(r",\s+", PROMISED)) <= set(GLOSSARY)
    verdicts = {rules.CONFIRMED, rules.REFUTED, rules.VACUOUS, rules.NOT_APPLICABLE, rules.UNDECIDED}
    assert {word for word, sentence in GLOSSARY.items() if sentence.startswith("Verdict: ")} == verdicts


@pytest.mark.parametrize("word", GLOSSARY)
def test_a_word_has_a_short_sentence_of_its_own(word):
    sentence = GLOSSARY[word]
    assert sentence.endswith(".") and sentence[0].isupper() and 40 < len(sentence) < 200
    assert list(GLOSSARY.values()).count(sentence) == 1


def test_words_are_asked_for_as_they_are_written(capsys):
    assert define("Excess risk") == define(" excess risks ") == f"excess risk: {GLOSSARY['excess risk']}"
    assert cli.main(["glossary", "excess", "risk"]) == 0
    assert " ".join(capsys.readouterr().out.split()) == define("excess risk")
    assert cli.main(["glossary"]) == 0
    said = capsys.readouterr().out
    assert all(f"{word}: " in said for word in GLOSSARY) and max(map(len, said.splitlines())) <= 100


def test_an_unknown_word_is_refused_with_the_nearest(capsys):
    assert cli.main(["glossary", "hed"]) == 2
    assert "term must be a word of the glossary, but is 'hed'; did you mean 'head'?" in capsys.readouterr().err


def test_one_is_one():
    """Numbers and nouns agree; what several are called is written in one place."""
    written = {1.0: "1 chunk a minute", 0.996: "0.996 chunks a minute", 12.3: "12.3 chunks a minute"}
    assert {rate: f"{counted(rate, 'chunk', '.3g')} a minute" for rate in written} == written
    assert "interval -1 to 1, 1 seed; positive" in str(Verdict(0.0, 1.0, -1.0, 1.0, 0, 1, 0.95))
    names = ("Adapted", "OneTask", "ndarray", "Transfer", "int")
    assert [with_article(name).split()[0] for name in names] == ["an", "a", "an", "a", "an"]
    by_hand = re.compile(r"""(['"])(s|es)\1 (if|\*) """)
    found = [path.name for path in Path(cli.__file__).parent.rglob("*.py") if by_hand.search(path.read_text(encoding="utf-8"))]
    assert not found
