"""Plain nn.Modules from features to logits; found by name in MODELS, imported only when built."""

MODELS: dict[str, str] = {
    "mfcc_lstm": "ser_lightning.models.mfcc_lstm:MFCCLSTM",
    "cnn_lstm": "ser_lightning.models.cnn_lstm:CNNLSTM",
    "ds_lstm": "ser_lightning.models.ds_lstm.model:DSLSTM",
    "fused": "ser_lightning.models.fused:Fused",
}
