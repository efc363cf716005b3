"""Each speaker's frames normalised by that speaker's own statistics.

Statistics of a speaker who was not trained on need many of that speaker's utterances at once, unlabelled: what is made
of them is transductive, and the split's proof says so.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from ser_lightning.data.normalise import EPSILON, moments
from ser_lightning.data.ragged import Rows


@dataclass(frozen=True)
class OwnSpeaker:
    """One part's utterances by row, with mean 0 and deviation 1 a dimension over all frames of a speaker there.

    Of that part alone: other parts change nothing, whether they are loaded or not.
    """

    rows: Rows
    speakers: Sequence[str]
    statistics: Mapping[str, tuple[Tensor, Tensor]]
    """Speaker -> mean and deviation (D,)."""

    @classmethod
    def of(cls, rows: Rows, speakers: Sequence[str]) -> "OwnSpeaker":
        """`speakers` (N,) of the rows; statistics are taken here, in float64, from frames as stored."""
        own = defaultdict(list)
        for row, speaker in enumerate(speakers):
            own[speaker].append(row)
        found = {speaker: moments(rows[row] for row in theirs) for speaker, theirs in own.items()}
        return cls(rows, speakers, {name: (m.float(), s.float().clamp_min(EPSILON)) for name, (m, s) in found.items()})

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> Tensor:
        """float32 (T, D)."""
        mean, std = self.statistics[self.speakers[row]]
        return (self.rows[row] - mean) / std
