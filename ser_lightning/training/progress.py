"""How a training shows where it is: a bar in a terminal, a line an epoch in a log."""

import lightning as L
from lightning.pytorch.callbacks import RichProgressBar

from ser_lightning.console import console, say


def progress() -> L.Callback:
    return RichProgressBar(leave=False, console_kwargs={"stderr": True}) if console.is_terminal else EpochLines()


class EpochLines(L.Callback):
    """One line an epoch."""

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        seen = {name: float(value) for name, value in trainer.callback_metrics.items() if "/" in name}
        parts = (
            f"{part}: loss {seen[f'{part}/loss']:.3f} UAR {seen[f'{part}/uar']:.3f}" for part in ("train", "validation")
        )
        epoch = f"epoch {trainer.current_epoch} ({trainer.current_epoch + 1} of {trainer.max_epochs})"
        say("   ".join([epoch, *parts]))
