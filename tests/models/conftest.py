from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor

from ser_lightning.models.stream import StreamShape

Batch = tuple[dict[str, Tensor], dict[str, Tensor]]


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def paper_streams() -> dict[str, StreamShape]:
    return {
        "mfcc": StreamShape(39, 0.01, None),
        "fine": StreamShape(128, 256 / 16000, 230),
        "coarse": StreamShape(256, 512 / 16000, 120),
    }


@pytest.fixture
def streams() -> dict[str, StreamShape]:
    return {
        "mfcc": StreamShape(13, 0.01, None),
        "fine": StreamShape(18, 256 / 16000, None),
        "coarse": StreamShape(21, 512 / 16000, None),
    }


@pytest.fixture
def make_batch() -> Callable[..., Batch]:
    """Utterances of the given durations in every stream, zero-padded; fixed streams at their own length."""

    def make(streams: Mapping[str, StreamShape], seconds: list[float], seed: int = 0) -> Batch:
        generator = torch.Generator().manual_seed(seed)
        features, lengths = {}, {}
        for name, shape in streams.items():
            counts = torch.tensor([shape.frames or 1 + int(s / shape.hop) for s in seconds])
            values = torch.randn(len(seconds), int(counts.max()), shape.dim, generator=generator)
            valid = torch.arange(values.shape[1]) < counts[:, None]
            features[name], lengths[name] = values * valid[..., None], counts
        return features, lengths

    return make


@pytest.fixture
def assert_alone_equals_batched() -> Callable[..., None]:
    """An utterance's logits are the same alone as in a padded batch."""

    def check(model: torch.nn.Module, batch: Batch) -> None:
        features, lengths = batch
        model.eval()
        with torch.no_grad():
            together = model(features, lengths).logits
            for row in range(len(together)):
                own = {name: lengths[name][row : row + 1] for name in lengths}
                cut = {name: features[name][row : row + 1, : int(own[name])] for name in features}
                torch.testing.assert_close(model(cut, own).logits[0], together[row], atol=1e-5, rtol=0)
        assert (together[0] - together[1]).abs().max() > 1e-4

    return check
