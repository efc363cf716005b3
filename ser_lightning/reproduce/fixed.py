"""What a published table fixes: a word that sets it otherwise would make another table under the same title."""

from collections.abc import Iterator, Sequence

from ser_lightning.config.overrides import parse
from ser_lightning.errors import ConfigError
from ser_lightning.reproduce.recipe import Recipe


def refuse_fixed(chosen: Recipe, words: Sequence[str]) -> None:
    """Raises ConfigError: one of the words sets what a protocol or a row sets, or a part of it."""
    for given in parse(words):
        for owner, key in _fixed(chosen):
            if _overlap(given.key, key):
                raise ConfigError(
                    f"`{given.key}={given.text}`: {owner} of `ser reproduce {chosen.name}` sets {key} itself; leave it "
                    "out, or write a recipe of your own under conf/reproduce/"
                )


def _fixed(chosen: Recipe) -> Iterator[tuple[str, str]]:
    """Who sets it, and the key."""
    for protocol in chosen.protocols:
        yield from ((f"protocol `{protocol.name}`", one.key) for one in parse(protocol.words))
    for row in chosen.rows:
        yield from ((f"row `{row.name}`", one.key) for one in parse(row.words))


def _overlap(a: str, b: str) -> bool:
    """Whether two dotted keys are equal, or one lies below the other."""
    shorter, longer = sorted((a, b), key=len)
    return f"{longer}.".startswith(f"{shorter}.")
