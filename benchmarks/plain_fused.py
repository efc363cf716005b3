"""The fused system of the paper as one would write it straight away: the training step's peer.

Convolution, batch norm, ReLU and pooling one after the other on channels-first maps; the recurrence step by step, every
step joining its inputs and the state and projecting all of them, as the authors' does; torch's LSTM for the MFCCs.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ser_lightning.models.ds_lstm.cell import DualSequenceLayer
from ser_lightning.models.frontend import ConvBlock, FrontEnd
from ser_lightning.models.fused import Fused
from ser_lightning.models.mfcc_lstm import MFCCLSTM


def plain_block(block: ConvBlock) -> nn.Sequential:
    """The four layers of a block with fixed frames, its weights copied."""
    conv = nn.Conv2d(block.conv.in_channels, block.conv.out_channels, block.kernel, padding=block.conv.padding)
    conv.load_state_dict(block.conv.state_dict())
    return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels), nn.ReLU(), nn.MaxPool2d(2))


class PlainFront(nn.Module):
    def __init__(self, front: FrontEnd) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(plain_block(block) for block in front.blocks if isinstance(block, ConvBlock)))

    def forward(self, spectrogram: Tensor) -> Tensor:
        """(B, T, F) -> (B, T', C*F')."""
        maps: Tensor = self.blocks(spectrogram[:, None])
        return maps.transpose(1, 2).flatten(2)


class PlainCell(nn.Module):
    """One step of one layer, gates normalised after the sigmoid, weights copied from `layer`."""

    def __init__(self, layer: DualSequenceLayer, steps: int) -> None:
        super().__init__()
        x, y, h = layer.weight_x.detach(), layer.weight_y.detach(), layer.weight_h.detach()
        self.hidden = n = h.shape[1]
        self.gates = joined(torch.cat([x[: 4 * n], y[: 4 * n], h[: 4 * n]], 1), layer.bias[: 4 * n])
        self.candidate_x = joined(torch.cat([x[4 * n :], h[4 * n : 5 * n]], 1), layer.bias[4 * n : 5 * n])
        self.candidate_y = joined(torch.cat([y[4 * n :], h[5 * n :]], 1), layer.bias[5 * n :])
        self.scale, self.shift = nn.Parameter(torch.full((4 * n,), 0.1)), nn.Parameter(torch.zeros(4 * n))
        self.register_buffer("mean", torch.zeros(steps, 4 * n))
        self.register_buffer("var", torch.ones(steps, 4 * n))
        self.norm = nn.BatchNorm1d(n)

    def forward(self, x: Tensor, y: Tensor, h: Tensor, c: Tensor, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """(B, Dx), (B, Dy), states (B, H) -> normalised output, states."""
        sigmoid = self.gates(torch.cat([x, y, h], 1)).sigmoid()
        mean, var = self.get_buffer("mean")[step], self.get_buffer("var")[step]
        gates = functional.batch_norm(sigmoid, mean, var, self.scale, self.shift, self.training)
        forget, input_x, output, input_y = gates.chunk(4, 1)
        of_x = self.candidate_x(torch.cat([x, h], 1)).tanh()
        of_y = self.candidate_y(torch.cat([y, h], 1)).tanh()
        c = forget * c + input_x * of_x + input_y * of_y
        h = output * c.tanh()
        return self.norm(h), h, c


def joined(weight: Tensor, bias: Tensor) -> nn.Linear:
    linear = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        linear.weight.copy_(weight)
        linear.bias.copy_(bias)
    return linear


class PlainFused(nn.Module):
    """Starts from the weights of `model`, whose frames are fixed and whose norms are the authors'."""

    def __init__(self, model: Fused) -> None:
        super().__init__()
        spectral, cepstral = model.spectral, model.cepstral
        self.front_x, self.front_y = PlainFront(spectral.front_x), PlainFront(spectral.front_y)
        self.steps = spectral.align.frames or 0
        layers = [layer for layer in spectral.lstm.layers if isinstance(layer, DualSequenceLayer)]
        self.cells = nn.ModuleList(PlainCell(layer, self.steps) for layer in layers)
        self.head = joined(spectral.classifier.weight, spectral.classifier.bias)
        self.lstm = plain_lstm(cepstral)
        self.head_mfcc = joined(cepstral.classifier.weight, cepstral.classifier.bias)

    def forward(self, features: dict[str, Tensor], lengths: dict[str, Tensor]) -> list[Tensor]:
        """As Fused's heads: logits (B, K) of both branches."""
        x = functional.avg_pool1d(self.front_x(features["fine"]).transpose(1, 2), 3, 2).transpose(1, 2)
        y = self.front_y(features["coarse"])
        states = [(x.new_zeros(len(x), cell.hidden),) * 2 for cell in self.cells]
        outputs = []
        for step in range(self.steps):
            below = x[:, step]
            for level, cell in enumerate(self.cells):
                below, *state = cell(below, y[:, step], *states[level], step)
                states[level] = (state[0], state[1])
            outputs.append(below)
        frames = self.lstm(features["mfcc"])[0]
        inside = torch.arange(frames.shape[1]) < lengths["mfcc"][:, None]
        mean = (frames * inside[..., None]).sum(1) / lengths["mfcc"][:, None]
        return [self.head(torch.stack(outputs, 1).mean(1)), self.head_mfcc(mean)]


def plain_lstm(branch: MFCCLSTM) -> nn.LSTM:
    ours = branch.lstm.lstm
    lstm = nn.LSTM(ours.input_size, ours.hidden_size, ours.num_layers, batch_first=True)
    lstm.load_state_dict(ours.state_dict())
    return lstm
