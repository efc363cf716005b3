"""Feature extraction: extractors by name, and the store that keeps what they computed."""

EXTRACTORS: dict[str, str] = {
    "mfcc": "ser_lightning.features.mfcc:MFCC",
    "log_mel": "ser_lightning.features.log_mel:LogMel",
}
"""Name in a configuration -> "module:Class"."""
