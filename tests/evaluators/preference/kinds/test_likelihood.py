"""evaluators/preference/kinds/likelihood.py: conditioning on ratings is exact, and on comparisons at the mode."""

import numpy as np
import pytest

from evaluators.preference.kinds.likelihood import Told, condition


def test_ratings_alone_are_conditioned_on_exactly():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(6, 6))
    covariance, prior, values = root @ root.T, rng.normal(size=6), rng.normal(size=4)
    rated, none = np.array([0, 2, 3, 5]), np.zeros(0, dtype=int)
    told = Told(rated, values, np.zeros((4, 4)), none, none, np.zeros(0), 1.0)
    found = condition(prior, covariance, told, gain=2.0, noise=0.5)
    inverse = np.linalg.inv(covariance[np.ix_(rated, rated)] + 0.5 * np.eye(4))
    apart = values / 2.0 - prior[rated]
    assert covariance @ found.alpha == pytest.approx(covariance[:, rated] @ inverse @ apart)
    assert covariance @ found.middle @ covariance == pytest.approx(covariance[:, rated] @ inverse @ covariance[rated])
    evidence = -0.5 * apart @ inverse @ apart + 0.5 * np.linalg.slogdet(inverse)[1] - 4 * np.log(2.0)
    assert found.evidence == pytest.approx(evidence)


def test_comparisons_are_conditioned_on_at_the_mode():
    covariance, prior = np.array([[1.0, 0.2], [0.2, 0.8]]), np.array([0.3, -0.1])
    none = np.zeros(0, dtype=int)
    told = Told(none, np.zeros(0), np.zeros((0, 0)), np.array([0, 0]), np.array([1, 1]), np.array([1.0, 0.5]), 0.8)
    found = condition(prior, covariance, told, gain=1.0, noise=0.5)
    steep = np.pi / np.sqrt(3.0)

    def belief(liking):
        d = steep * (liking[0] - liking[1])
        odds = np.exp(d) + 0.8 * np.exp(d / 2) + 1
        apart = liking - prior
        return (
            np.log(np.exp(d) / odds)
            + np.log(0.8 * np.exp(d / 2) / odds)
            - 0.5 * apart @ np.linalg.solve(covariance, apart)
        )

    mode = prior + covariance @ found.alpha
    around = [mode + 1e-3 * np.array(step) for step in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1))]
    assert all(belief(mode) > belief(one) for one in around)
