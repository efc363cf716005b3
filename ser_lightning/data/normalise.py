"""Zero mean and unit variance: of training statistics that travel in the checkpoint, or of those at hand."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

EPSILON = 1e-5
"""Smallest standard deviation divided by: a constant dimension becomes 0, not infinite."""


class Normaliser(nn.Module):
    """Streams (B, T, D) -> the same, normalised by stream: none, global, speaker or utterance.

    `global` statistics are a dimension's over all training frames; padding stays 0. Streams of `speaker` arrive
    normalised (own_speaker.py): a checkpoint knows nothing of speakers it will meet.
    """

    def __init__(self, modes: Mapping[str, str], dims: Mapping[str, int]) -> None:
        super().__init__()
        self.modes = dict(modes)
        for name, mode in self.modes.items():
            if mode == "global":
                self.register_buffer(f"{name}_mean", torch.zeros(dims[name]))
                self.register_buffer(f"{name}_std", torch.ones(dims[name]))

    @torch.no_grad()
    def fit(self, blocks: Mapping[str, Iterable[Tensor]]) -> None:
        """Take mean and deviation of each `global` stream from blocks (n, D) of training frames, in float64."""
        for name, mode in self.modes.items():
            if mode == "global":
                mean, std = moments(blocks[name])
                self.get_buffer(f"{name}_mean").copy_(mean)
                self.get_buffer(f"{name}_std").copy_(std.clamp_min(EPSILON))

    def forward(self, features: Mapping[str, Tensor], lengths: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: self._normalised(name, x, lengths[name]) for name, x in features.items()}

    def _normalised(self, name: str, x: Tensor, lengths: Tensor) -> Tensor:
        mode = self.modes[name]
        if mode in ("none", "speaker"):
            return x
        inside = (torch.arange(x.shape[1], device=x.device) < lengths[:, None])[..., None]
        if mode == "global":
            return (x - self.get_buffer(f"{name}_mean")) / self.get_buffer(f"{name}_std") * inside
        mean = (x * inside).sum(1, keepdim=True) / lengths[:, None, None]
        centred = (x - mean) * inside
        std = (centred.square().sum(1, keepdim=True) / lengths[:, None, None]).sqrt()
        return centred / std.clamp_min(EPSILON)


def moments(blocks: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and (population) standard deviation (D,) over all rows of `blocks` (n, D), merged block by block.

    Chan, Golub & LeVeque's pairwise update: no cancellation between large sums.
    """
    count, mean, squares = 0, torch.zeros(()), torch.zeros(())
    for block in blocks:
        block = block.double().cpu()
        centre = block.mean(0)
        total, delta = count + len(block), centre - mean
        squares = squares + (block - centre).square().sum(0) + delta.square() * (count * len(block) / total)
        mean, count = mean + delta * (len(block) / total), total
    return mean, (squares / count).sqrt()
