"""Plain nn.Modules from features to logits, no Lightning: shared blocks, one file a published system."""
