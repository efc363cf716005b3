"""A small LSTM with moods: how trials end badly in reality, each by one value of a parameter."""

import ctypes
import os
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from ser_lightning.errors import UserError
from ser_lightning.models.mfcc_lstm import MFCCLSTM
from ser_lightning.models.output import Output, single
from ser_lightning.models.stream import StreamShape

SEGFAULT, NAN, HUNGRY, HANGING = 1.0, 2.0, 3.0, 4.0
"""From HANGING on: each such value waits once, in its second epoch, until it is killed."""
UNSUITED, UNMADE, WIDE, UNLABELLED, OUTLASTING, SLOW = -1.0, -2.0, -3.0, -4.0, -5.0, -6.0
"""Refused and failing as it is made; failing in training with words of its own, and with those of any; waiting in its
first step until two have failed so; resting in each step, so that there is time to do something to it."""
REST = 0.02
MIB = 2**20


class Erratic(nn.Module):
    """An LSTM over MFCCs.

    Args:
        stream: name of the stream it reads.
        hidden_dim: state size.
        num_layers: LSTM layers.
        dropout: probability of zeroing an output.
        mood: a number that may be one of the above.
        notes: folder in which a trial that hangs says its process number; empty for none.
    """

    def __init__(
        self,
        streams: Mapping[str, StreamShape],
        num_classes: int,
        *,
        stream: str = "mfcc",
        hidden_dim: int = 8,
        num_layers: int = 1,
        dropout: float = 0.0,
        mood: float = 0.0,
        notes: str = "",
    ) -> None:
        super().__init__()
        if mood == UNSUITED:
            raise UserError(f"model.hidden_dim={hidden_dim} does not go with model.mood={mood:g}")
        if mood == UNMADE:
            raise RuntimeError("no such kernel")
        self.inner = MFCCLSTM(
            streams, num_classes, stream=stream, hidden_dim=hidden_dim, num_layers=num_layers, dropout=dropout
        )
        self.streams = self.inner.streams
        self.mood, self.notes, self.width = mood, notes, hidden_dim
        self.steps, self.eaten = 0, list[Tensor]()

    def forward(self, features: dict[str, Tensor], lengths: dict[str, Tensor]) -> Output:
        """As MFCCLSTM, in a good mood."""
        output = self.inner(features, lengths)
        if not self.training:
            return output
        self.steps += 1
        if self.mood == WIDE:
            raise ValueError(f"width {self.width} at /runs/{self.width}")
        elif self.mood == UNLABELLED:
            Path(self.notes, f"unlabelled{os.getpid()}").touch()
            raise KeyError("label")
        elif self.mood == OUTLASTING:
            while len(list(Path(self.notes).glob("unlabelled*"))) < 2:
                time.sleep(0.02)
        elif self.mood == SLOW:
            time.sleep(REST)
        elif self.mood == SEGFAULT:
            ctypes.string_at(0)
        elif self.mood == HUNGRY:
            self.eaten.append(torch.ones(600 * MIB // 4))
            time.sleep(0.4)
        elif self.mood >= HANGING and self.mood.is_integer() and self.steps > 3:
            self._hang_once()
        if self.mood == NAN:
            return single(output.logits * float("nan"))
        return output

    def _hang_once(self) -> None:
        note = Path(self.notes) / f"{self.mood:g}"
        if not note.exists():
            part = note.with_suffix(".part")
            part.write_text(f"{os.getpid()}")
            part.rename(note)
            time.sleep(600)
