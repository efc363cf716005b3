"""The LightningModule, its callbacks, and the learner: what fits on parts, predicts logits, saves and loads itself."""
