"""Corpora: a folder on disk becomes a table of utterances. One file a corpus, one scan for all."""

CORPORA: dict[str, str] = {
    "emodb": "ser_lightning.corpora.emodb:EmoDB",
    "ravdess": "ser_lightning.corpora.ravdess:RAVDESS",
    "table": "ser_lightning.corpora.table:Table",
    "demo": "ser_lightning.corpora.demo:Demo",
}
"""Adapters by the name that selects them (`corpus.name`), as "module:Class"."""
