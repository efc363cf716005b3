"""What `ser wandb view` reads from the folders of studies, cross-validations and runs."""
