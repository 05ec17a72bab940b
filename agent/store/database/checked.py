"""What a person gives, checked before it is kept: ratings and answers to questions. It knows no SQL."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from prompts.errors import InputError
from tools.records import NO_PICTURE


def checked_rating(image: str, value: object) -> float:
    """A rating as a number. Raises InputError for what is none from 0 to 10."""
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not 0 <= number <= 10:  # NaN is neither
        raise InputError(f"rating {value!r} of image {image!r} cannot be used: give a number from 0 to 10.")
    return float(number)


def answer_row(questions: Sequence[Mapping[str, Any]], number: int, answer: str) -> dict[str, Any]:
    """An answer as a row's first values. Raises InputError for an unknown question, or an answer that was not on offer."""
    if not 0 <= number < len(questions):
        raise InputError(f"there is no question {number!r} in this step: it has {len(questions)}, counted from 0.")
    kind, shown = questions[number]["kind"], list(questions[number]["images"])
    if len(set(shown)) < len(shown) or len(shown) < 2:
        raise InputError(f"question {number!r} shows {shown!r}: a picture cannot be compared with itself.")
    if answer not in (*shown, *NO_PICTURE) or (answer == "tie" and kind != "ab"):
        words = [word for word in NO_PICTURE if word != "tie" or kind == "ab"]
        raise InputError(
            f"answer {answer!r} to question {number!r} was not on offer: give one of {[*shown, *words]!r}."
        )
    return {"question": number, "kind": kind, "shown": shown, "answer": answer}
