"""The one LightningModule: any model from features to logits, its loss, its scores."""

from collections.abc import Mapping, Sequence
from typing import Any

import lightning as L
import torch
from torch import Tensor, distributed, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassConfusionMatrix

from ser_lightning.config.components import build
from ser_lightning.config.schema import Training
from ser_lightning.data.augment import Masks, spec_augment
from ser_lightning.data.batching import Batch
from ser_lightning.data.mixup import Mixup
from ser_lightning.data.normalise import Normaliser
from ser_lightning.errors import UserError
from ser_lightning.evaluation.metrics import scores
from ser_lightning.models.output import Output
from ser_lightning.processes.endings import CODES, NOT_FINITE
from ser_lightning.training.losses import Loss
from ser_lightning.training.optimisation import optimizer, schedule


class NonFiniteLossError(UserError):
    """The loss is NaN or infinite; the message names the batch's utterances."""

    exit_code = CODES[NOT_FINITE]


class SERModule(L.LightningModule):
    """Normalise, augment (in training), run `model`, and train on the weighted sum of its heads' losses.

    Of several ranks the loss of a step is one mean over the utterances of all their batches, as it is of one process.
    Logged an epoch: `<part>/loss`, a mean over its utterances, each as much as its class weighs; `uar`, `wa`,
    `macro_f1` and `recall_<class>`, from accumulated counts; and `gradient_norm`: the mean over its optimiser steps of
    the norm of all gradients together, before clipping (steps whose gradients are not finite, which mixed precision
    skips, are left out).
    """

    def __init__(
        self,
        model: nn.Module,
        normaliser: Normaliser,
        settings: Training,
        classes: Sequence[str],
        masked: Sequence[str] = (),
        weights: Tensor | None = None,
        ids: Mapping[str, Sequence[str]] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.model, self.normaliser, self.settings = model, normaliser, settings
        self.classes, self.masked, self.ids, self.seed = list(classes), tuple(masked), ids or {}, seed
        self.criterion: Loss = build("loss", settings.loss)
        self.register_buffer("weights", weights, persistent=False)
        parts = ("train_", "validation_")
        self.counts = nn.ModuleDict({part: MulticlassConfusionMatrix(len(classes)) for part in parts})
        self.losses = nn.ModuleDict({part: MeanMetric() for part in parts})
        self.norms = list[Tensor]()

    def forward(self, batch: Batch, mixup: Mixup | None = None) -> Output:
        features, lengths = self.normaliser(batch.features, batch.lengths), batch.lengths
        if mixup:
            features, lengths = mixup.apply(features, lengths)
        if self.training and self.masked:
            features |= self._augmented(features, lengths)
        return self.model(features, lengths)  # type: ignore[no-any-return]

    def _augmented(self, features: Mapping[str, Tensor], lengths: Mapping[str, Tensor]) -> dict[str, Tensor]:
        chosen = {name: features[name] for name in self.masked}
        utterances = len(next(iter(features.values())))
        return spec_augment(chosen, lengths, Masks.draw(utterances, **vars(self.settings.spec_augment)))

    def loss(self, output: Output, labels: Tensor) -> Tensor:
        """Sum of weight * loss over the heads (ds_lstm: p * CE(raw) + (1 - p) * CE(mfcc))."""
        terms = [
            weight * self.criterion(logits.float(), labels, self.weights, self.settings.label_smoothing)  # type: ignore[arg-type]
            for weight, logits in output.heads
        ]
        return torch.stack(terms).sum()

    def on_train_batch_start(self, batch: Batch, index: int) -> None:
        # Dropout and augmentation depend on seed, epoch and rank alone: a resumed training repeats them. At the first
        # batch, because what goes before it draws random numbers in a whole training and not in a resumed one.
        if index == 0:
            torch.manual_seed(self.seed * 1_000_003 + self.current_epoch + self.global_rank * 500_009)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        alpha = self.settings.mixup
        loss = self._step(batch, "train", Mixup.draw(len(batch.labels), alpha) if alpha else None)
        return loss * self._share(batch.labels)

    def validation_step(self, batch: Batch, index: int) -> Tensor:
        return self._step(batch, "validation")

    def predict_step(self, batch: Batch, index: int) -> Tensor:
        return self(batch).logits.float().cpu()  # type: ignore[no-any-return]

    def _step(self, batch: Batch, part: str, mixup: Mixup | None = None) -> Tensor:
        output = self(batch, mixup)

        def of(labels: Tensor) -> Tensor:
            return self.loss(output, labels)

        loss = mixup.loss(of, batch.labels) if mixup else of(batch.labels)
        if not torch.isfinite(loss):
            raise NonFiniteLossError(self._non_finite(batch, part, loss))
        self.counts[f"{part}_"].update(output.logits, batch.labels)  # type: ignore[operator]
        self.losses[f"{part}_"].update(loss.detach(), self._weight(batch.labels))  # type: ignore[operator]
        return loss

    def _weight(self, labels: Tensor) -> Tensor:
        """What a batch's loss is a mean over: its utterances, each as much as its class weighs."""
        if isinstance(self.weights, Tensor):
            return self.weights[labels].sum()
        return torch.tensor(float(len(labels)), device=labels.device)

    def _share(self, labels: Tensor) -> Tensor | float:
        """This rank's share in the weight of all ranks' batches, times their number.

        DDP takes the mean of the ranks' gradients; with this factor it is that of one mean over all their utterances.
        """
        if self.settings.ranks == 1:
            return 1.0
        own = self._weight(labels)
        every = own.clone()
        distributed.all_reduce(every)
        return own * self.settings.ranks / every

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        # In the two halves of clip_grad_norm_, which is what Lightning calls, to have the norm for nothing.
        found = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        norm = get_total_norm([p.grad for p in found if p.grad is not None])
        if gradient_clip_val is not None:
            clip_grads_with_norm_(found, gradient_clip_val, norm)
        self.norms.append(norm)

    def on_validation_epoch_end(self) -> None:
        # All here: callbacks that write an epoch's metrics run before this module's on_train_epoch_end.
        self._log_scores("validation")
        self._log_scores("train")
        self._log_gradient_norm()

    def _log_scores(self, part: str) -> None:
        # Computed from the counts of all ranks, so every rank logs the same numbers.
        confusion, loss = (self._total(metrics[f"{part}_"]) for metrics in (self.counts, self.losses))
        found = scores(confusion.numpy(), self.classes)
        # Without the loggers, which the history tells the very row that it writes.
        self.log_dict({f"{part}/loss": loss, f"{part}/uar": found.uar}, prog_bar=True, sync_dist=True, logger=False)
        recalls = {f"{part}/recall_{name}": r for name, r in found.recall.items() if r is not None}
        more = {f"{part}/wa": found.wa, f"{part}/macro_f1": found.macro_f1}
        self.log_dict(more | recalls, sync_dist=True, logger=False)

    def _log_gradient_norm(self) -> None:
        norms = torch.stack(self.norms) if self.norms else torch.zeros(0)
        self.norms.clear()
        if len(finite := norms[norms.isfinite()]):
            self.log("gradient_norm", finite.mean(), sync_dist=True, logger=False)

    def _total(self, metric: Any) -> Tensor:
        total: Tensor = metric.compute().cpu()
        metric.reset()
        return total

    def _non_finite(self, batch: Batch, part: str, loss: Tensor) -> str:
        names = [self.ids[part][row] for row in batch.rows.tolist()] if part in self.ids else batch.rows.tolist()
        return (
            f"{part} loss is {loss.item()} in epoch {self.current_epoch} "
            f"for the utterances {', '.join(map(str, names))}; "
            "look at their audio, or lower training.learning_rate, or set training.gradient_clip_val"
        )

    def configure_optimizers(self) -> Any:
        chosen = optimizer(self.parameters(), self.settings, self.trainer.world_size)
        steps = schedule(chosen, self.settings)
        return {"optimizer": chosen} | ({"lr_scheduler": steps} if steps else {})
