"""Loss, class weights, schedules and scores against plain recomputation."""

import pytest
import torch
from torch import nn

from ser_lightning.config.schema import Training
from ser_lightning.data.batching import Batch
from ser_lightning.data.mixup import Mixup
from ser_lightning.data.normalise import Normaliser
from ser_lightning.models.output import Output
from ser_lightning.training.module import NonFiniteLossError, SERModule
from ser_lightning.training.optimisation import class_weights, optimizer, schedule


class TwoHeads(nn.Module):
    """The mean of the frames, taken as one head's logits and, doubled, as the other's."""

    def forward(self, features: dict[str, torch.Tensor], lengths: dict[str, torch.Tensor]) -> Output:
        logits = features["x"].mean(1)
        return Output(logits, ((0.3, logits), (0.7, 2 * logits)))


def module(settings: Training | None = None, weights: torch.Tensor | None = None) -> SERModule:
    return SERModule(
        TwoHeads(),
        Normaliser({"x": "none"}, {"x": 3}),
        settings or Training(),
        ["a", "b", "c"],
        weights=weights,
        ids={"train": ["u0", "u1", "u2", "u3"]},
    )


def batch(x: torch.Tensor) -> Batch:
    return Batch(
        {"x": x},
        {"x": torch.full((len(x),), x.shape[1])},
        torch.tensor([0, 1, 2, 2])[: len(x)],
        torch.arange(len(x)),
    )


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor, smoothing: float) -> torch.Tensor:
    """torch's documented formula with weights and label smoothing, written out."""
    logs = logits.double() - logits.double().logsumexp(1, keepdim=True)
    hard = -(weights[labels] * logs[range(len(labels)), labels]).sum()
    soft = -(weights * logs).sum()
    return ((1 - smoothing) * hard + smoothing / logits.shape[1] * soft) / weights[labels].sum()


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_loss_is_the_weighted_sum_of_the_heads_cross_entropies(smoothing: float, weighted: bool) -> None:
    weights = torch.tensor([0.5, 1.0, 2.0]) if weighted else None
    one = batch(torch.randn(4, 5, 3))
    ser = module(Training(label_smoothing=smoothing), weights)
    logits, used = one.features["x"].mean(1), (weights if weighted else torch.ones(3)).double()
    expected = 0.3 * cross_entropy(logits, one.labels, used, smoothing) + 0.7 * cross_entropy(
        2 * logits, one.labels, used, smoothing
    )
    assert ser.loss(ser(one), one.labels).item() == pytest.approx(expected.item(), rel=1e-5)


def test_balanced_class_weights_by_hand() -> None:
    found = class_weights([0, 0, 0, 1, 2, 2], 3, Training(class_weights="balanced"))
    assert found is not None
    assert found.tolist() == pytest.approx([6 / 9, 6 / 3, 6 / 6])
    assert class_weights([0, 1], 2, Training()) is None


def rates(settings: Training) -> list[float]:
    over = optimizer([nn.Parameter(torch.zeros(1))], settings)
    steps = schedule(over, settings)
    found = []
    for _ in range(settings.max_epochs):
        found.append(over.param_groups[0]["lr"])
        over.step()
        if steps:
            steps.step()
    return found


def test_schedules_by_hand() -> None:
    assert rates(Training(max_epochs=3, learning_rate=0.1)) == [0.1] * 3
    paper = Training(max_epochs=6, learning_rate=0.8, schedule="steps", milestones=[1, 2, 4], gamma=0.5)
    assert rates(paper) == pytest.approx([0.8, 0.4, 0.2, 0.2, 0.1, 0.1])
    cosine = rates(Training(max_epochs=4, learning_rate=1.0, schedule="cosine"))
    assert cosine == pytest.approx([1.0, 0.5 + 0.5 * 0.5**0.5, 0.5, 0.5 - 0.5 * 0.5**0.5])


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_optimisers_move_downhill(name: str) -> None:
    parameter = nn.Parameter(torch.ones(1))
    over = optimizer([parameter], Training(optimizer=name, learning_rate=0.1))  # type: ignore[arg-type]
    parameter.square().sum().backward()
    over.step()
    assert parameter.item() < 1


def test_a_non_finite_loss_names_its_utterances() -> None:
    broken = batch(torch.full((2, 5, 3), float("nan")))._replace(rows=torch.tensor([3, 1]))
    with pytest.raises(NonFiniteLossError, match="utterances u3, u1"):
        module().training_step(broken, 0)


def test_spec_augment_is_for_training_only() -> None:
    settings = Training()
    settings.spec_augment.time_masks, settings.spec_augment.time_fraction = 2, 0.9
    ser = SERModule(TwoHeads(), Normaliser({"x": "none"}, {"x": 3}), settings, ["a", "b", "c"], masked=["x"])
    one = batch(torch.ones(4, 50, 3))
    torch.manual_seed(0)
    assert not torch.equal(ser.train()(one).logits, torch.ones(4, 3))
    assert torch.equal(ser.eval()(one).logits, torch.ones(4, 3))


def test_mixup_is_for_training_only_and_weighs_the_loss() -> None:
    ser, one = module(Training(mixup=0.4)), batch(torch.randn(4, 5, 3))
    torch.manual_seed(7)
    mix = Mixup.draw(4, 0.4)
    logits = mix.share * one.features["x"].mean(1) + (1 - mix.share) * one.features["x"].mean(1)[mix.partners]
    ones = torch.ones(3).double()
    expected = sum(
        part * weight * cross_entropy(scale * logits, labels, ones, 0.0)
        for part, labels in ((mix.share, one.labels), (1 - mix.share, one.labels[mix.partners]))
        for weight, scale in ((0.3, 1), (0.7, 2))
    )
    ser.log = lambda *_, **__: None  # type: ignore[method-assign]
    torch.manual_seed(7)
    assert ser.training_step(one, 0).item() == pytest.approx(float(expected), rel=1e-5)
    plain = ser.loss(ser(one), one.labels)
    assert ser.validation_step(one, 0).item() == pytest.approx(plain.item())


def test_the_gradient_norm_is_that_of_all_parameters_before_clipping_over_the_epochs_steps() -> None:
    ser, weights = module(), [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))]
    over = torch.optim.SGD(weights, lr=1.0)
    logged: list[float] = []
    ser.log = lambda name, value, **_: logged.append(float(value))  # type: ignore[method-assign]
    for first, second in (([3.0, 0.0], 4.0), ([0.0, 12.0], 5.0), ([float("inf"), 0.0], 1.0)):
        weights[0].grad, weights[1].grad = torch.tensor(first), torch.tensor([second])
        ser.configure_gradient_clipping(over, 6.5, "norm")
    ser._log_gradient_norm()
    ser._log_gradient_norm()
    assert logged == [(5.0 + 13.0) / 2]


@pytest.mark.parametrize("most", [None, 0.5, 100.0])
def test_gradients_are_clipped_as_torch_does(most: float | None) -> None:
    mine, reference = ([nn.Parameter(torch.zeros(n)) for n in (3, 50)] for _ in range(2))
    for one, other in zip(mine, reference, strict=True):
        one.grad = torch.randn(one.shape)
        other.grad = one.grad.clone()
    module().configure_gradient_clipping(torch.optim.SGD(mine, lr=1.0), most, "norm")
    if most is not None:
        torch.nn.utils.clip_grad_norm_(reference, most)
    for one, other in zip(mine, reference, strict=True):
        assert one.grad is not None and other.grad is not None
        assert torch.equal(one.grad, other.grad)


def test_with_class_weights_the_ranks_mean_gradient_is_that_of_one_mean_over_all_their_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two ranks of unequal batches and classes, their gradients averaged as by DDP, against float64 of all rows."""
    weights, labels = torch.tensor([0.5, 1.0, 4.0]), torch.tensor([0, 0, 1, 0, 2])
    x, shift = torch.randn(5, 2, 3), torch.zeros(3, requires_grad=True)
    ranks = [slice(0, 3), slice(3, 5)]
    total = float(weights[labels].sum())  # 6.5: 2.0 on the first rank, 4.5 on the second

    def summed(own: torch.Tensor) -> None:
        assert own.item() in [weights[labels[rank]].sum().item() for rank in ranks]
        own.fill_(total)

    monkeypatch.setattr("ser_lightning.training.module.distributed.all_reduce", summed)
    found, logged, weighed = torch.zeros(3), 0.0, 0.0
    for rank in ranks:
        ser = module(Training(devices=2), weights)
        shifted = {"x": x[rank] + shift}
        one = Batch(shifted, {"x": torch.full((len(labels[rank]),), 2)}, labels[rank], torch.arange(len(labels[rank])))
        loss = ser.training_step(one, 0)
        (gradient,) = torch.autograd.grad(loss, shift)
        found += gradient / 2
        metric = ser.losses["train_"]
        logged, weighed = logged + metric.mean_value.item(), weighed + metric.weight.item()

    moved = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    logits = x.double().mean(1) + moved
    ones = weights.double()
    expected = 0.3 * cross_entropy(logits, labels, ones, 0.0) + 0.7 * cross_entropy(2 * logits, labels, ones, 0.0)
    (reference,) = torch.autograd.grad(expected, moved)
    torch.testing.assert_close(found, reference.float())
    assert logged / weighed == pytest.approx(expected.item(), rel=1e-5), "the logged loss is that of one process, too"
