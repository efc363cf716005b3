"""A saved workspace and a report in W&B, made with wandb-workspaces."""
