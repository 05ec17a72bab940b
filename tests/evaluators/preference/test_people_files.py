"""Other people's ratings: read, refused in words, and their ceiling, on people that were made up."""

import numpy as np
import pytest

from evaluators.preference.people import People, ceiling, load_people, reliability
from prompts.errors import InputError


def crowd(raters=8, images=24, noise=0.5, seed=0):
    """People in two camps, who rate twice with noise on a scale of 0..1."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(images, 5))
    camps = np.stack([features[:, 0] + features[:, 1], features[:, 0] - features[:, 1]])
    likings = camps[np.arange(raters) % 2]
    blocks = 0.5 + 0.1 * (likings[:, None, :] + noise * rng.normal(size=(raters, 2, images)))
    return People(tuple(f"r{n}" for n in range(raters)), tuple(f"{n}.png" for n in range(images)), blocks, features)


def written(folder, lines, files=("a.jpg", "b.jpg", "c.jpg")):
    (folder / "ratings.csv").write_text("\n".join(lines))
    np.savez(folder / "features.npz", X=np.eye(len(files)), files=np.array([f"some/where/{file}" for file in files]))
    return folder / "ratings.csv", folder / "features.npz"


def test_people_are_read_with_what_is_missing(tmp_path):
    lines = ["rater,image,rating,block,trial", "x,a.png,0.5,1,1", "x,b.png,0.7,1,2", "x,a.png,0.3,2,3", "y,b.jpg,1,1,1"]
    people = load_people(*written(tmp_path, [*lines, "y,unknown.png,1,1,2"]))
    assert people.raters == ("x", "y") and people.images == ("a.jpg", "b.jpg") and people.blocks.shape == (2, 2, 2)
    assert people.ratings[0] == pytest.approx([0.4, 0.7]) and np.isnan(people.ratings[1, 0])
    assert people.without([0]).only([1]).ratings == pytest.approx(np.array([[np.nan, 1.0]]), nan_ok=True)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["rater,image,rating", "x,a.png,1"], "no column 'block'"),
        (["rater,image,rating,block", "x,a.png,good,1"], "'good'"),
        (["rater,image,rating,block", "x,a.png,nan,1"], "not finite"),
        (["rater,image,rating,block", "x,z.png,1,1"], "names agree"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_in_words(lines, words, tmp_path):
    with pytest.raises(InputError, match=words):
        load_people(*written(tmp_path, lines))


def test_the_ceiling_is_what_a_perfect_model_reaches():
    people = crowd(raters=40, images=400, noise=1.0)
    camps = np.stack([people.features[:, 0] + people.features[:, 1], people.features[:, 0] - people.features[:, 1]])
    reached = [np.corrcoef(camps[n % 2], mine)[0, 1] for n, mine in enumerate(people.ratings)]
    limit, known = ceiling(people.blocks)
    assert known == 40 and limit == pytest.approx(np.mean(reached), abs=0.01)
    assert np.isnan(reliability(people.blocks[:, :1])).all() and people.noise == pytest.approx(0.2, abs=0.1)
