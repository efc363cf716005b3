"""What a model must know of a feature stream before it has seen any of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ser_lightning.errors import UserError


@dataclass(frozen=True)
class StreamShape:
    """The shape of one resolution: a sequence of frames of `dim` values, `hop` seconds apart."""

    dim: int
    """Values a frame."""

    hop: float
    """Seconds from one frame to the next, before any resampling to a fixed number of frames."""

    frames: int | None
    """Frames of every utterance where each is resampled to that many; None where lengths vary."""

    spectrogram: bool = False
    """Whether the values of a frame lie along frequency."""


def pick(streams: Mapping[str, StreamShape], names: Sequence[str]) -> list[StreamShape]:
    """The named streams, in the order of `names`.

    Raises:
        UserError: a name is not among `streams`.
    """
    missing = [name for name in names if name not in streams]
    if missing:
        raise UserError(
            f"the model reads the stream(s) {', '.join(missing)}, but the features have only "
            f"{', '.join(sorted(streams)) or 'none'}; choose features that make them, or name other streams "
            "in the model's configuration"
        )
    return [streams[name] for name in names]
