"""What the server of child processes loads, once, before it forks them: what a training with its evaluation takes."""

from ser_lightning.loading import only_modules_made, torchmetrics_alone

with only_modules_made():
    torchmetrics_alone()
    import ser_lightning.runs.evaluate
    import ser_lightning.runs.train
    import ser_lightning.training.lightning_learner  # noqa: F401
