"""What tests of studies share: a PostgreSQL server, and a small study that searches one number."""

from collections.abc import Callable
from typing import Any

import pytest

from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.settings import StudySettings

from .postgres import postgres

__all__ = ["postgres"]

RATE = "training.learning_rate"


@pytest.fixture
def small() -> Callable[..., Frozen]:
    """`small(trials=8, start=[...], **settings)`: a study over the learning rate."""

    def build(
        trials: int = 8,
        start: list[dict[str, Any]] | None = None,
        space: dict[str, Any] | None = None,
        **settings: Any,
    ) -> Frozen:
        searched = space or {RATE: {"float": [1e-4, 1e-2], "log": True}}
        study = StudySettings(**{"name": "small", "trials": trials, "stale": 1.0} | settings)
        return Frozen(study, {"training": {"learning_rate": 1e-3}}, {}, searched, {}, start or [], [])

    return build
