"""The demo's sound measured from outside: emotions move it as they should, and the classes overlap."""

from typing import Any

import numpy as np
import pytest

from ser_lightning.corpora.demo_synthesis import EMOTIONS, RATE, synthesise

SPEAKERS, TAKES = range(1, 5), range(1, 7)
Signals = dict[tuple[int, str, int], Any]


@pytest.fixture(scope="module")
def signals() -> Signals:
    return {(s, e, t): synthesise(0, s, e, t) for s in SPEAKERS for e in EMOTIONS for t in TAKES}


def pitch(signal: Any) -> float:
    """Median over frames of the autocorrelation's highest peak between 60 and 500 Hz."""
    frames = np.lib.stride_tricks.sliding_window_view(signal, 1024)[::512]
    frames = frames[(frames**2).mean(axis=1) > np.median((frames**2).mean(axis=1))]
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(1024), 2048)) ** 2
    correlation = np.fft.irfft(spectrum)[:, RATE // 500 : RATE // 60]
    return float(np.median(RATE / (correlation.argmax(axis=1) + RATE // 500)))


def level(signal: Any) -> float:
    return float(10 * np.log10(np.mean(signal**2)))


def mean(signals: Signals, measure: Any, emotion: str) -> float:
    return float(np.mean([measure(signal) for (_, e, _), signal in signals.items() if e == emotion]))


def test_length_and_range(signals: Signals) -> None:
    seconds = [len(signal) / RATE for signal in signals.values()]
    assert min(seconds) > 1.0 and max(seconds) < 3.5
    assert all(0.01 < np.abs(signal).max() < 1.0 for signal in signals.values())


def test_anger_is_louder_higher_and_faster_than_sadness(signals: Signals) -> None:
    assert mean(signals, level, "ang") > mean(signals, level, "sad") + 6
    assert mean(signals, pitch, "ang") > 1.15 * mean(signals, pitch, "sad")
    assert 1.2 * mean(signals, len, "ang") < mean(signals, len, "sad")


def higher(values: dict[tuple[int, str, int], float]) -> float:
    """Share of pairs in which the angry utterance has more than the sad one."""
    angry = [value for (_, emotion, _), value in values.items() if emotion == "ang"]
    sad = [value for (_, emotion, _), value in values.items() if emotion == "sad"]
    return float(np.mean(np.subtract.outer(angry, sad) > 0))


def test_pitch_tells_more_about_emotion_once_the_speaker_is_known(signals: Signals) -> None:
    semitones = {key: 12 * np.log2(pitch(signal)) for key, signal in signals.items()}
    usual = {s: np.mean([value for key, value in semitones.items() if key[0] == s]) for s in SPEAKERS}
    centred = {key: value - usual[key[0]] for key, value in semitones.items()}
    assert np.std(list(usual.values())) > 2
    assert 0.6 < higher(semitones) < higher(centred) < 1


def test_a_linear_classifier_lands_between_chance_and_perfect(signals: Signals) -> None:
    linear = pytest.importorskip("sklearn.svm").LinearSVC
    bands = np.array_split(np.arange(1, 257), np.unique(np.geomspace(2, 256, 16).astype(int))[:-1])

    def features(signal: Any) -> Any:
        frames = np.lib.stride_tricks.sliding_window_view(signal, 512)[::160]
        power = np.abs(np.fft.rfft(frames * np.hanning(512))) ** 2
        logs = np.log(1e-6 + np.stack([power[:, band].mean(axis=1) for band in bands], axis=1))
        return np.concatenate([logs.mean(axis=0), logs.std(axis=0)])

    x = np.array([features(signal) for signal in signals.values()])
    y = np.array([emotion for _, emotion, _ in signals])
    speakers = np.array([speaker for speaker, _, _ in signals])
    right = []
    for speaker in SPEAKERS:
        inside, outside = speakers != speaker, speakers == speaker
        centre, scale = x[inside].mean(axis=0), x[inside].std(axis=0)
        model = linear(C=0.01, max_iter=10_000).fit((x[inside] - centre) / scale, y[inside])
        right += list(model.predict((x[outside] - centre) / scale) == y[outside])
    assert 0.4 < np.mean(right) < 0.9
