"""How long utterances are, and which are far from the others."""

import math
from collections.abc import Iterator, Sequence
from statistics import median

from ser_lightning.corpora.utterance import Problem, Utterance

FEWEST = 20
"""Utterances below which none is called unlike the others."""
FACTOR, DEVIATIONS = 3.0, 5.0
TO_SIGMA = 1.4826
"""Standard deviation of normal values, over the median of their departures from the median."""


def summary(utterances: Sequence[Utterance]) -> str:
    """Shortest, median and longest, and all together; at least one utterance."""
    seconds = [utterance.seconds for utterance in utterances]
    return (
        f"lengths: shortest {min(seconds):.3f} s, median {median(seconds):.3f} s, longest {max(seconds):.3f} s, "
        f"total {sum(seconds):.1f} s"
    )


def outliers(utterances: Sequence[Utterance]) -> Iterator[Problem]:
    """Yield a warning for each utterance whose length is unlike that of the others.

    Lengths of speech are skewed, so their logarithms are compared: an outlier is more than three times as long as the
    median, or as short, and more than five robust standard deviations away (1.4826 times the median departure from the
    median, which a share of outliers below a half does not move).
    """
    if len(utterances) < FEWEST:
        return
    middle = median(utterance.seconds for utterance in utterances)
    departures = [abs(math.log(utterance.seconds / middle)) for utterance in utterances]
    far = max(math.log(FACTOR), DEVIATIONS * TO_SIGMA * median(departures))
    for utterance, departure in zip(utterances, departures, strict=True):
        if departure > far:
            yield Problem("length", utterance.path, f"{utterance.seconds:.3f} s long; the median is {middle:.3f} s")
