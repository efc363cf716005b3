"""run.log: what a training said, with times, the reason of its end last."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ser_lightning.training.device import LIGHTNING, quieten

LOGGERS = ("ser_lightning", *LIGHTNING, "py.warnings")


@contextmanager
def logged_to(path: Path) -> Iterator[None]:
    """Append the library's log records and warnings to `path`; an exception is the last thing written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    quieten()
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.captureWarnings(True)
    own = logging.getLogger("ser_lightning")
    own.setLevel(logging.INFO)
    for name in LOGGERS:
        logging.getLogger(name).addHandler(handler)
    try:
        own.info("started")
        yield
        own.info("finished")
    except BaseException as error:
        own.error("ended: %s: %s", type(error).__name__, error)
        raise
    finally:
        logging.captureWarnings(False)
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(handler)
        handler.close()
