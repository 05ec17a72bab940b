"""tools/likings.py and what goes by it: comparisons on the scale of ratings, and more like what was liked."""

from __future__ import annotations

from pathlib import Path

import pytest

from prompts.errors import ToolError
from prompts.vocabulary import load_vocabulary
from tests.tools.given import PROMPTS, Trail, context, image_row, rated_trail
from tools.actions.evolve import EvolvePrompts, evolve_prompts
from tools.actions.feedback import GiveFeedback, give_feedback
from tools.likings import likings
from tools.records import AnswerRow, ComparisonRow


def compared(*pairs: tuple[int, int, bool]) -> Trail:
    """Four unrated pictures, and (win, lose, tie) of their numbers."""
    rows = [image_row(prompt, number) for number, prompt in enumerate(PROMPTS)]
    made = [
        ComparisonRow(win=rows[win].id, lose=rows[lose].id, tie=tie, rater="ann", created="")
        for win, lose, tie in pairs
    ]
    return Trail(rows, compared=made)


def values(trail: Trail) -> list[float | None]:
    found = likings(trail)
    return [found.get(row.id) for row in trail.rows]


def test_ratings_alone_are_as_they_are() -> None:
    trail = rated_trail([(9.0, PROMPTS[0]), (2.5, PROMPTS[1])])
    assert likings(trail) is trail.rated


def test_wins_lie_above_the_middle_and_losses_below_and_what_was_not_shown_nowhere() -> None:
    best, second, worst, none = values(compared((0, 1, False), (1, 2, False), (0, 2, False)))
    assert none is None and best is not None and worst is not None
    assert 10 >= best > 5 > worst >= 0 and second == pytest.approx(5.0, abs=0.01)


def test_a_cycle_and_ties_leave_everything_in_the_middle() -> None:
    assert values(compared((0, 1, False), (1, 2, False), (2, 0, False)))[:3] == [5.0, 5.0, 5.0]
    assert values(compared((0, 1, True)))[:2] == [5.0, 5.0]


def test_a_tie_says_half_of_a_win_of_either() -> None:
    alone, tied = values(compared((0, 1, False))), values(compared((0, 1, False), (0, 1, True)))
    assert alone[0] is not None and tied[0] is not None and 5.0 < tied[0] < alone[0]


def test_two_bad_pictures_lie_below_the_middle() -> None:
    trail = compared((0, 1, True), (2, 3, False))
    shown = [row.id for row in trail.rows[:2]]
    trail.answered = [AnswerRow(question=0, kind="ab", shown=shown, answer="both bad", rater="ann", created="")]
    bad, worse, good, _ = values(trail)
    assert bad == worse is not None and good is not None and bad < 5 < good


def test_beside_ratings_strengths_are_laid_around_their_mean() -> None:
    trail = compared((2, 3, False))
    trail.rated = {trail.rows[0].id: 9.0, trail.rows[1].id: 7.0}
    rated, other, win, lose = values(trail)
    assert (rated, other) == (9.0, 7.0) and win is not None and lose is not None and 7 < lose < 8 < win < 9


def test_a_run_that_only_compared_is_bred_from_and_told_in_words(tmp_path: Path) -> None:
    given = context(compared((0, 1, False), (0, 2, False), (0, 3, False)), tmp_path)
    found = evolve_prompts(EvolvePrompts(children=4, mutation=0.2, elites=1), given).result["prompts"]
    assert found[0] == PROMPTS[0] and len(set(found)) == 4
    assert give_feedback(GiveFeedback(words=4), given).result["evidence"]
    with pytest.raises(ToolError, match="two are needed"):
        evolve_prompts(EvolvePrompts(children=4, mutation=0.2, elites=1), context(Trail(), tmp_path))


def test_more_like_a_picture_keeps_its_words_but_one_or_two(tmp_path: Path) -> None:
    trail = rated_trail([(float(9 - number), prompt) for number, prompt in enumerate(PROMPTS)])
    args = EvolvePrompts(children=6, mutation=0.2, elites=1)
    before = evolve_prompts(args, context(trail, tmp_path)).result
    trail.more = [trail.rows[3].id]
    after = evolve_prompts(args, context(trail, tmp_path)).result
    words = load_vocabulary("bauhaus")
    genome = words.parse(PROMPTS[3])
    changed = [
        sum((words.parse(prompt) or {})[gene] != value for gene, value in (genome or {}).items())
        for prompt in after["prompts"]
    ]
    assert after["elites"] == before["elites"] == 1 and all(1 <= number <= 3 for number in changed[1:3])
    assert likings(trail)[trail.rows[3].id] == 9.0 and before["prompts"] != after["prompts"]
