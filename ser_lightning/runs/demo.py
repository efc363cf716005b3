"""`ser demo`: the main job on speech that the project makes itself."""

from ser_lightning.config.schema import Config
from ser_lightning.console import say
from ser_lightning.runs import summary
from ser_lightning.runs.evaluate import evaluate
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.train import train

NEXT = """
Next:
  ser config experiment=emodb_fused corpus.root=PATH      every setting, and where it comes from
  ser train  experiment=emodb_fused corpus.root=PATH      the same on EMO-DB (folder with wav/)
  ser train  experiment=demo_fused model=mfcc_lstm        another model, the same split
  ser train --help                                        all groups and choices"""


def demo(config: Config) -> RunFolder:
    """Synthesise the corpus, train, choose on validation speakers, score unseen ones."""
    return evaluate(train(config), config)


def show(run: RunFolder) -> None:
    """Scores, places, and what to type next."""
    summary.show(run)
    say(NEXT)
