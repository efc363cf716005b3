"""Splits and their proof, batching, normalisation, augmentation, the LightningDataModule."""
