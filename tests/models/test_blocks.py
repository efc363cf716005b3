import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ser_lightning.models.blocks import MaskedLSTM, length_mask, masked_batch_norm, masked_mean

LENGTHS = torch.tensor([5, 1, 3])


def test_length_mask_by_hand() -> None:
    expected = [[1, 1, 1, 1, 1, 0], [1, 0, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0]]
    assert length_mask(LENGTHS, 6).int().tolist() == expected


def test_masked_mean_is_the_mean_of_the_cut_sequences() -> None:
    sequence = torch.randn(3, 6, 4)
    expected = torch.stack([row[:n].mean(0) for row, n in zip(sequence, LENGTHS, strict=True)])
    torch.testing.assert_close(masked_mean(sequence, LENGTHS), expected)


def test_masked_lstm_equals_a_packed_lstm() -> None:
    model = MaskedLSTM(7, 5, num_layers=2, dropout=0.0)
    sequence = torch.randn(3, 5, 7)
    packed = pack_padded_sequence(sequence, LENGTHS, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(model.lstm(packed)[0], batch_first=True)
    torch.testing.assert_close(model(sequence, LENGTHS), expected)


def test_masked_lstm_of_one_layer_has_no_dropout_and_of_two_has() -> None:
    sequence = torch.randn(3, 5, 7)
    one, two = MaskedLSTM(7, 5, 1, 0.5), MaskedLSTM(7, 5, 2, 0.5)
    assert torch.equal(one(sequence, LENGTHS), one(sequence, LENGTHS))
    assert not torch.equal(two(sequence, LENGTHS), two(sequence, LENGTHS))


@pytest.mark.parametrize("shift", [0.0, 50.0])
def test_masked_batch_norm_equals_batch_norm_of_the_valid_frames(shift: float) -> None:
    image = (torch.randn(3, 4, 6, 5) * 3 + shift).requires_grad_()
    mask = length_mask(LENGTHS, 6)
    upstream = torch.randn(int(LENGTHS.sum()), 4, 5)
    ours, reference = nn.BatchNorm2d(4), nn.BatchNorm1d(4)
    for norm in (ours, reference):
        nn.init.uniform_(norm.weight, generator=torch.Generator().manual_seed(1))
        nn.init.uniform_(norm.bias, generator=torch.Generator().manual_seed(2))

    result = masked_batch_norm(ours, image, mask[:, None, :, None]).transpose(1, 2)[mask]
    expected = reference(image.transpose(1, 2)[mask])
    torch.testing.assert_close(result, expected, atol=2e-5, rtol=1e-5)
    ours_grad = torch.autograd.grad((result * upstream).sum(), [image, ours.weight, ours.bias])
    grad = torch.autograd.grad((expected * upstream).sum(), [image, reference.weight, reference.bias])
    torch.testing.assert_close(ours_grad, grad, atol=2e-4, rtol=1e-4)
    torch.testing.assert_close(ours.state_dict(), reference.state_dict())


def test_masked_batch_norm_uses_the_running_statistics_in_evaluation() -> None:
    norm = nn.BatchNorm1d(2).eval()
    norm.running_mean = torch.tensor([1.0, -2.0])
    norm.running_var = torch.tensor([4.0, 0.25])
    frames = torch.randn(3, 2, 6)
    expected = (frames - torch.tensor([[1.0], [-2.0]])) / torch.tensor([[2.0], [0.5]])
    result = masked_batch_norm(norm, frames, length_mask(LENGTHS, 6)[:, None])
    torch.testing.assert_close(result, expected, atol=1e-4, rtol=1e-4)
