"""run.log: what a training said, with times, the reason of its end last."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LIGHTNING = ("lightning.pytorch", "lightning.fabric")
LOGGERS = ("ser_lightning", *LIGHTNING, "py.warnings")


def quieten() -> None:
    """Keep Lightning's information out of the terminal; warnings stay, and run.log has all."""
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # Lightning's own use of torch
    warnings.filterwarnings("ignore", message=".*`srun` command is available.*")  # it is no rank that srun should start
    for name in LIGHTNING:
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
                handler.setLevel(logging.WARNING)


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
