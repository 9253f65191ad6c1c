"""Who wins, how sure, and where they differ."""

from dataclasses import replace

import orjson
import pytest
from made import evaluation, measured

from steno.errors import StenoError
from steno.evaluation.compare import compare, name, p_text
from steno.evaluation.measure import LeftOut
from steno.evaluation.normalization import Normalization


def with_errors(model: str, wrong: int, count: int = 40):
    """The first ``wrong`` of ``count`` utterances have two errors each."""
    return evaluation(
        [
            measured(str(n), "one two three four five", "x two y four five" if n < wrong else "one two three four five")
            for n in range(count)
        ],
        model,
    )


def test_a_clear_winner() -> None:
    found = compare([with_errors("old", 30), with_errors("new", 5)])
    (duel,) = found.duels
    assert duel.winner == 1
    assert duel.bootstrap.difference == pytest.approx(-50 / 200)
    assert max(duel.matched_p, duel.bootstrap_p) < 0.01
    verdict = found.verdict(duel)
    assert verdict.startswith("B is better than A: 25.00 fewer word errors in 100 words (95 % interval ")
    assert [row[0].scored.id for row in found.most_different[:2]] == ["10", "11"]
    assert len(found.most_different) == 25
    back = compare([with_errors("new", 5), with_errors("old", 30)])
    assert back.duels[0].winner == 0
    assert back.verdict(back.duels[0]).startswith("A is better than B: 25.00 fewer")


def test_an_interval_that_reaches_below_zero_says_so_beside_a_winner() -> None:
    """At a lax significance there is a winner whose 95 % interval holds zero."""
    right, wrong = "one two three four five", "x two y four five"
    models = [
        evaluation([measured(str(n), right, wrong if n in bad else right) for n in range(40)], name)
        for name, bad in (("old", range(10)), ("new", range(6, 13)))
    ]
    found = compare(models, significance=0.6)
    (duel,) = found.duels
    assert duel.winner == 1
    assert duel.bootstrap.interval.high > 0
    assert "(95 % interval -" in found.verdict(duel)


def test_chance_and_ties_have_no_winner() -> None:
    chance = compare([with_errors("one", 6), with_errors("other", 5)])
    assert chance.duels[0].winner is None
    assert chance.verdict(chance.duels[0]).startswith("No winner: B makes 1.00 fewer word errors in 100 words here")
    tie = compare([with_errors("one", 6), with_errors("same", 6)])
    assert (tie.duels[0].winner, tie.duels[0].matched_p, tie.most_different) == (None, 1.0, [])
    assert "equally many word errors" in tie.verdict(tie.duels[0])


def test_three_are_compared_in_pairs_and_p_is_adjusted() -> None:
    three = [with_errors("a", 20), with_errors("b", 14), with_errors("c", 2)]
    found = compare(three)
    alone = compare(three[:2])
    assert [(duel.first, duel.second) for duel in found.duels] == [(0, 1), (0, 2), (1, 2)]
    assert found.duels[0].bootstrap_p >= alone.duels[0].bootstrap_p
    assert found.duels[1].matched_p == pytest.approx(3 * found.duels[1].matched.p)


def test_what_one_could_not_score_counts_for_none() -> None:
    whole = with_errors("whole", 3)
    partly = replace(whole, measured=whole.measured[1:], left_out=(LeftOut("0", "broken"),), model="partly")
    found = compare([whole, partly])
    assert [len(one.measured) for one in found.evaluations] == [39, 39]
    assert found.left_out == (LeftOut("0", "broken"),)
    assert found.duels[0].bootstrap.difference == 0
    nothing = evaluation([], left_out=[LeftOut(str(n), "broken") for n in range(40)])
    with pytest.raises(StenoError, match="could be evaluated"):
        compare([whole, nothing])


def test_what_cannot_be_compared() -> None:
    one = with_errors("one", 3)
    for others in ([], [replace(one, digest="other")], [replace(one, normalization=Normalization("none"))]):
        with pytest.raises(StenoError):
            compare([one, *others])


def test_json() -> None:
    report = orjson.loads(orjson.dumps(compare([with_errors("old", 30), with_errors("new", 5)]).to_dict(most=3)))
    assert [(model["letter"], model["model"]) for model in report["models"]] == [("A", "old"), ("B", "new")]
    assert report["pairs"][0]["winner"] == "B"
    assert report["pairs"][0]["verdict"].startswith("B is better")
    assert len(report["most_different"]) == 3
    assert report["most_different"][0]["errors"] == {"A": 2, "B": 0}


def test_letters_and_p_values() -> None:
    assert [name(0), name(25), name(26)] == ["A", "Z", "27"]
    assert [p_text(p) for p in (0.00001, 0.0123, 0.456)] == ["p < 0.0001", "p = 0.012", "p = 0.46"]
