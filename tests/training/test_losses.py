"""Losses against the sums of their definitions in float64, and how a configuration chooses them."""

import math

import pytest
import torch
from torch.nn import functional as F

from ser_lightning.config.compose import compose
from ser_lightning.config.schema import Training
from ser_lightning.errors import ConfigError
from ser_lightning.training.losses import CrossEntropy, Focal

LOGITS = [[2.0, -1.0, 0.5], [0.0, 0.3, -0.2], [-1.0, 4.0, 1.0], [0.7, 0.6, 0.5]]
LABELS = [0, 2, 1, 1]
WEIGHTS = [0.5, 2.0, 1.25]


def focal_by_hand(gamma: float, weights: list[float], smoothing: float) -> float:
    """Sums over utterances and classes, as the module's docstring has them."""
    total = norm = 0.0
    for logits, label in zip(LOGITS, LABELS, strict=True):
        partition = sum(math.exp(x) for x in logits)
        for k, x in enumerate(logits):
            p = math.exp(x) / partition
            target = (1 - smoothing) * (k == label) + smoothing / 3
            total -= weights[k] * target * (1 - p) ** gamma * math.log(p)
        norm += weights[label]
    return total / norm


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_by_hand(gamma: float, smoothing: float, weights: list[float] | None) -> None:
    chosen = None if weights is None else torch.tensor(weights)
    found = Focal(gamma)(torch.tensor(LOGITS), torch.tensor(LABELS), chosen, smoothing)
    assert found.item() == pytest.approx(focal_by_hand(gamma, weights or [1.0] * 3, smoothing), rel=1e-5)


@pytest.mark.parametrize("weights", [None, torch.tensor(WEIGHTS)])
def test_focal_without_focus_is_cross_entropy(weights: torch.Tensor | None) -> None:
    inputs = torch.tensor(LOGITS), torch.tensor(LABELS), weights, 0.1
    torch.testing.assert_close(Focal(0.0)(*inputs), CrossEntropy()(*inputs))
    assert torch.equal(
        CrossEntropy()(*inputs), F.cross_entropy(*inputs[:2], weight=weights, label_smoothing=0.1)
    )  # the very numbers of before


def test_one_utterance_by_the_paper() -> None:
    # Lin et al. 2017, section 3.2: "with gamma = 2, an example classified with p = 0.9 would have 100x lower loss".
    logits, label = torch.tensor([[math.log(9.0), 0.0]]), torch.tensor([0])
    ratio = CrossEntropy()(logits, label, None, 0.0) / Focal(2.0)(logits, label, None, 0.0)
    assert ratio.item() == pytest.approx(100, rel=1e-4)


@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0, 2.0])
def test_gradients_stay_finite_where_an_utterance_is_certain(gamma: float) -> None:
    logits = torch.tensor([[200.0, 0.0], [0.0, 200.0]], requires_grad=True)
    Focal(gamma)(logits, torch.tensor([0, 0]), None, 0.0).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    # The lost utterance: (1 - p)^gamma is 1, so the gradient is that of half a cross-entropy, (p - 1) / 2.
    assert logits.grad[1, 0].item() == pytest.approx(-0.5, rel=1e-4)


def test_a_negative_gamma_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"training\.loss\.gamma=-1\.0: must be 0 or more"):
        Focal(-1.0)


def chosen(*words: str) -> dict[str, object]:
    return compose(["corpus=demo", *words]).config.training.loss


def test_a_configuration_chooses() -> None:
    assert chosen() == Training().loss == {"name": "cross_entropy"}
    assert chosen("training.loss.name=focal") == {"name": "focal", "gamma": 2.0}
    assert chosen("training.loss.name=focal", "training.loss.gamma=1") == {"name": "focal", "gamma": 1.0}
    assert chosen("training.loss={name: focal, gamma: 0.5}") == {"name": "focal", "gamma": 0.5}


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("training.loss=focal", r"write training\.loss\.name=focal or training\.loss=\{name: focal\}$"),
        ("training.loss=other", r"\(NAME: cross_entropy, focal\)"),
        ("training.loss.name=focl", "unknown loss `focl`; did you mean `focal`"),
        ("training.loss.gamma=1", r"unknown key `training\.loss\.gamma`"),
        ("training.loss={name: focal, gamma: high}", r"training\.loss\.gamma"),
        ("training.loss=null", "is a mapping"),
    ],
)
def test_a_wrong_choice_is_refused(word: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        chosen(word)
