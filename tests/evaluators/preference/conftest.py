"""A population of people who never were."""

import pytest

from evaluators.preference.population import Population
from tests.evaluators.preference.crowd import PICTURES, tastes


@pytest.fixture(scope="session")
def population():
    """Forty people on the first sixty pictures. Not to be changed."""
    return Population.fit(PICTURES[:60], tastes(40)[1][:, :60], seed=3)
