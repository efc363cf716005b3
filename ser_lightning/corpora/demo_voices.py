"""Who speaks in the demo corpus, what, and how an emotion changes the way it is spoken."""

import zlib
from dataclasses import dataclass

import numpy as np

Signal = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

VOWELS = np.array(
    [
        [270.0, 2290.0, 3010.0, 3700.0],
        [390.0, 1990.0, 2550.0, 3600.0],
        [530.0, 1840.0, 2480.0, 3500.0],
        [730.0, 1090.0, 2440.0, 3400.0],
        [570.0, 840.0, 2410.0, 3300.0],
        [300.0, 870.0, 2240.0, 3300.0],
        [640.0, 1190.0, 2390.0, 3400.0],
    ]
)
"""Formants in Hz of men's /i I E a O u A/, close to Peterson and Barney, J. Acoust. Soc. Am. 24, 175, 1952;
the fourth column is a round number for a 17 cm vocal tract."""

TRAITS = ("pitch", "span", "slope", "tempo", "level", "stress", "breath", "tilt", "jitter", "mouth")

SHIFTS: dict[str, tuple[float, ...]] = {
    #       pitch  span slope tempo level stress breath tilt jitter mouth
    "ang": (+0.7, +0.4, -0.4, +0.6, +1.0, +0.7, -0.5, -1.0, +0.6, +0.0),
    "hap": (+1.0, +1.0, +0.6, +0.3, +0.5, +0.3, +0.2, -0.3, -0.4, +1.0),
    "neu": (-0.6, -0.6, -0.1, +0.2, -0.2, -0.3, -0.3, +0.1, -0.3, +0.0),
    "sad": (-0.4, -0.5, -0.4, -0.9, -1.0, -0.4, +0.9, +0.9, +0.4, -0.6),
}
"""Direction in which an emotion moves each trait, in units of SCALES."""

EMOTIONS = tuple(SHIFTS)

SCALES = np.array([3.0, 0.40, 3.0, 0.12, 4.0, 0.30, 0.50, 0.50, 0.45, 0.05])
"""Size of a shift of one: semitones, log, semitones, log, dB, log, log, logit, log, log."""
STRENGTH, SPREAD, HABIT = 1.9, 0.6, 0.4
"""How hard the corpus is: how far emotions lie apart, against the deviation of one speaker's takes of one
emotion, and the deviation of speakers' ways to show it."""


@dataclass(frozen=True)
class Voice:
    """A speaker: the usual value of each trait, and a manner of moving them in each emotion."""

    tract: float
    """Length of the vocal tract; 1 is 17 cm."""
    room: float
    """Noise of the room, in dB of full scale."""
    usual: Signal
    manner: Signal


@dataclass(frozen=True)
class Delivery:
    """How one take is spoken.

    pitch in Hz; span, the deviation of accents, and slope, over the utterance, in semitones; tempo in
    syllables a second; level in dB of full scale; stress, the deviation of syllables' level, in dB; breath,
    noise against voice; tilt, the pole of the glottal low-pass; jitter and shimmer, the relative deviation of
    periods and pulses; mouth, a factor on the formants, above one for a smile.
    """

    pitch: float
    span: float
    slope: float
    tempo: float
    level: float
    stress: float
    breath: float
    tilt: float
    jitter: float
    shimmer: float
    mouth: float


MIDDLE = (np.log(2.0), -4.0, np.log(5.1), -24.0, np.log(3.0), np.log(0.10), 2.2, np.log(0.012), 0.0)
"""Usual values over speakers of every trait but the pitch."""
DEVIATION = np.array([2.0, 0.25, 1.0, 0.10, 3.0, 0.20, 0.35, 0.40, 0.30, 0.0])
"""Deviation of speakers' usual values; the size of the mouth is the vocal tract's."""


def generator(seed: int, what: str, *which: int) -> np.random.Generator:
    """Return random numbers that belong to one thing, whatever else is made before it."""
    return np.random.default_rng([seed, zlib.crc32(what.encode()), *which])


def sentence(seed: int, take: int) -> Signal:
    """Return the vowels of a sentence as formants in Hz (syllables, 4); 7 to 9 syllables."""
    rng = generator(seed, "sentence", take)
    return np.asarray(VOWELS[rng.integers(len(VOWELS), size=rng.integers(7, 10))])


def voice(seed: int, speaker: int) -> Voice:
    """Return a speaker; odd ones have a man's, even ones a woman's pitch and vocal tract."""
    rng = generator(seed, "voice", speaker)
    pitch, tract = (112.0, 1.0) if speaker % 2 else (200.0, 0.86)
    middle = np.array([12 * np.log2(pitch), *MIDDLE])
    usual = middle + DEVIATION * rng.standard_normal(len(TRAITS))
    manner = HABIT * rng.standard_normal((len(EMOTIONS), len(TRAITS)))
    return Voice(tract * np.exp(rng.normal(0.0, 0.04)), rng.normal(-62.0, 3.0), usual, manner)


def deliver(who: Voice, emotion: str, rng: np.random.Generator) -> Delivery:
    """Return one take of an emotion: the speaker's usual traits, moved by the emotion, and chance."""
    index = EMOTIONS.index(emotion)
    chance = SPREAD * rng.standard_normal(len(TRAITS))
    moved = STRENGTH * np.array(SHIFTS[emotion]) + who.manner[index] + chance
    pitch, span, slope, tempo, level, stress, breath, tilt, jitter, mouth = who.usual + SCALES * moved
    return Delivery(
        pitch=2 ** (pitch / 12),
        span=np.exp(span),
        slope=slope,
        tempo=np.exp(tempo),
        level=min(level, -12.0),
        stress=np.exp(stress),
        breath=np.exp(breath),
        tilt=1 / (1 + np.exp(-tilt)),
        jitter=np.exp(jitter),
        shimmer=2 * np.exp(jitter),
        mouth=np.exp(mouth),
    )
