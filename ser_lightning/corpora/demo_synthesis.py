"""Speech-like sound from a source and a filter: pulses and breath through moving formant resonators.

The source-filter view is Fant's (Acoustic Theory of Speech Production, 1960), the cascade of resonators
Klatt's (J. Acoust. Soc. Am. 67, 971, 1980). How emotions move the voice follows the directions in Juslin and
Laukka (Psychological Bulletin 129, 770, 2003); their sizes are chosen so that classes overlap.
"""

import numpy as np
from scipy.signal import lfilter, sosfilt

from ser_lightning.corpora.demo_voices import EMOTIONS, Delivery, deliver, generator, sentence, voice

__all__ = ["EMOTIONS", "RATE", "synthesise"]

Signal = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

RATE = 16_000
"""Samples a second."""
HOP = 80
"""Samples (5 ms) for which the resonators stand still."""
EDGE = 0.12
"""Seconds of quiet before and after the speech."""
BANDWIDTHS = np.array([70.0, 100.0, 150.0, 220.0])
"""Of the four formants, in Hz."""


def synthesise(seed: int, speaker: int, emotion: str, take: int) -> Signal:
    """Return one utterance (samples at RATE, inside -1..1); depends on nothing but the arguments.

    The take fixes the sentence, the speaker the voice, and all four together how it is spoken this time.
    """
    who, vowels = voice(seed, speaker), sentence(seed, take)
    rng = generator(seed, "take", speaker, EMOTIONS.index(emotion), take)
    how = deliver(who, emotion, rng)
    onsets, length = _rhythm(len(vowels), how, rng)
    envelope = _envelope(onsets, length, how, rng)
    source = _source(_contour(onsets, length, how, rng), envelope, how, rng)
    speech = _resonate(source, _formants(vowels * how.mouth / who.tract, onsets, length))
    speech *= 10 ** (how.level / 20) / np.sqrt(np.mean(speech**2))
    speech += 10 ** (who.room / 20) * rng.standard_normal(length)
    return np.asarray(0.99 * np.tanh(speech))


def _rhythm(syllables: int, how: Delivery, rng: np.random.Generator) -> tuple[Signal, int]:
    """Return where syllables begin and the last one ends, in samples, and the utterance's length."""
    durations = np.exp(rng.normal(0.0, 0.15, syllables)) / how.tempo
    durations[-1] *= 1.3  # the lengthening before a pause
    onsets = RATE * (EDGE + np.concatenate([[0.0], np.cumsum(durations)]))
    return onsets, int(onsets[-1] + RATE * EDGE)


def _envelope(onsets: Signal, length: int, how: Delivery, rng: np.random.Generator) -> Signal:
    """Return the loudness of the voice (length,): a hump a syllable, with stress on some of them."""
    envelope = np.zeros(length)
    for start, end in zip(onsets[:-1].astype(int), onsets[1:].astype(int), strict=True):
        hump = np.sin(np.pi * np.linspace(0.0, 1.0, end - start)) ** 0.6
        envelope[start:end] = hump * 10 ** (rng.normal(0.0, how.stress) / 20)
    return envelope


def _contour(onsets: Signal, length: int, how: Delivery, rng: np.random.Generator) -> Signal:
    """Return the fundamental frequency in Hz (length,): a falling line and an accent on each syllable."""
    position = np.linspace(0.0, 1.0, length)
    accents = rng.normal(0.0, how.span, len(onsets))
    semitones = np.interp(np.arange(length), onsets, accents) + how.slope * (position - 0.5)
    return np.asarray(how.pitch * 2 ** (semitones / 12))


def _source(f0: Signal, envelope: Signal, how: Delivery, rng: np.random.Generator) -> Signal:
    """Return glottal pulses with jitter and shimmer, mixed with breath, both shaped by the envelope."""
    pulses = np.zeros(len(f0) + 1)
    time = 0.0
    while time < len(f0) - 1:
        at, part = int(time), time % 1.0
        strength = 1.0 + how.shimmer * rng.standard_normal()
        # Shared between two samples: rounding to one would be a jitter of its own.
        pulses[at : at + 2] += strength * np.array([1.0 - part, part])
        period = RATE / f0[at] * (1.0 + how.jitter * rng.standard_normal())
        time += max(period, RATE / 600)
    voiced = lfilter([1.0], [1.0, -how.tilt], pulses[:-1])
    voiced = lfilter([1.0, -1.0], [1.0, -0.99], voiced)
    voiced /= np.sqrt(np.mean(voiced**2))
    breath = rng.standard_normal(len(f0))
    return np.asarray(envelope * (voiced + how.breath * breath))


def _formants(vowels: Signal, onsets: Signal, length: int) -> Signal:
    """Return formant frequencies in Hz (frames, 4) that glide from the middle of a syllable to the next."""
    middles = (onsets[:-1] + onsets[1:]) / 2
    frames = np.arange(0, length, HOP)
    tracks = [np.interp(frames, middles, vowels[:, i]) for i in range(vowels.shape[1])]
    return np.stack(tracks, axis=1)


def _resonate(source: Signal, formants: Signal) -> Signal:
    """Return the source (length,) through a cascade of resonators that change every HOP samples."""
    radius = np.exp(-np.pi * BANDWIDTHS / RATE)
    state = np.zeros((len(BANDWIDTHS), 2))
    out = np.empty_like(source)
    for frame, frequencies in enumerate(formants):
        a1, a2 = -2 * radius * np.cos(2 * np.pi * frequencies / RATE), radius**2
        zeros, ones = np.zeros_like(a1), np.ones_like(a1)
        sections = np.stack([1 + a1 + a2, zeros, zeros, ones, a1, a2], axis=1)
        part = slice(frame * HOP, (frame + 1) * HOP)
        out[part], state = sosfilt(sections, source[part], zi=state)
    return out
