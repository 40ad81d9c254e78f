"""The light autoencoder, trained narrower than its file.

TAESD has 64 channels at every size and does most of its work at full size, where it costs a CPU the most and gains a
picture the least. So the encoder's first two stages only gather pixels, and the decoder's last two use few of their
channels. Unused weights are zeros in the file (`taesd_tensors`), which the host runs like any other.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTH = 64
"""Channels of TAESD."""

DECODER_WIDTHS = (64, 48, 32, 16)
"""Channels that the decoder uses at an eighth, a quarter, half and full size."""

ENCODER_BLOCKS = (7, 11, 12, 13)
"""Residual blocks that the encoder uses."""

GATHERED = 48
"""Values of 4 x 4 pixels of three colours."""

COMPONENTS = WIDTH // 2
"""Principal components of 8 x 8 pixels that the encoder starts from; each needs a channel for either sign."""

OPPONENT = ((0.333, 0.333, 0.333), (0.8, -0.8, 0.0), (0.4, 0.4, -0.8))
"""Brightness and two colour differences of red, green and blue, weighted above their share of the variance, because
wrong colours spoil the likeness."""

BRANCH_GAIN = 0.3
"""Initial gain of a residual branch's last layer."""


class Clamp(nn.Module):
    """Soft limit of the latent to +-3, as in TAESD."""

    def forward(self, x: Tensor) -> Tensor:
        """Limit."""
        return torch.tanh(x / 3) * 3


class Block(nn.Module):
    """TAESD's residual block, of any width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        convolutions = [nn.Conv2d(width, width, 3, padding=1) for _ in range(3)]
        self.conv = nn.Sequential(convolutions[0], nn.ReLU(), convolutions[1], nn.ReLU(), convolutions[2])
        for layer in convolutions:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(_bias(layer))
        with torch.no_grad():
            convolutions[2].weight *= BRANCH_GAIN

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, width, H, W] to the same shape."""
        return F.relu(self.conv(x) + x)


def _bias(layer: nn.Conv2d) -> Tensor:
    bias = layer.bias
    assert bias is not None
    return bias


def _convolution(layer: nn.Module) -> nn.Conv2d:
    assert isinstance(layer, nn.Conv2d)
    return layer


def _branch_end(block: nn.Module) -> nn.Conv2d:
    assert isinstance(block, Block)
    return _convolution(block.conv[4])


def gathered(image: Tensor) -> Tensor:
    """Gather [N, 3, H, W] as [N, 48, H / 4, W / 4]: the encoder's fixed stages, before padding to 64 channels."""
    return F.pixel_unshuffle(F.pixel_unshuffle(image, 2), 2)


class LeanTAESD(nn.Module):
    """Encoder and decoder; images are [N, 3, H, W] in [0, 1], sides divisible by 8, latents [N, 4, H / 8, W / 8].

    Layers have the same numbers as in TAESD.
    """

    def __init__(self, latent_channels: int = 4) -> None:
        super().__init__()
        self.encoder = nn.ModuleDict({str(n): Block(WIDTH) for n in ENCODER_BLOCKS})
        self.encoder["10"] = nn.Conv2d(WIDTH, WIDTH, 3, 2, 1, bias=False)
        self.encoder["14"] = nn.Conv2d(WIDTH, latent_channels, 3, padding=1)
        layers: dict[str, nn.Module] = {"1": nn.Conv2d(latent_channels, DECODER_WIDTHS[0], 3, padding=1)}
        for stage, width in enumerate(DECODER_WIDTHS):
            first = 3 + 5 * stage
            if stage:
                layers[str(first - 1)] = nn.Conv2d(DECODER_WIDTHS[stage - 1], width, 3, padding=1, bias=False)
            blocks = 3 if width != DECODER_WIDTHS[-1] else 1
            layers |= {str(first + n): Block(width) for n in range(blocks)}
        layers["19"] = nn.Conv2d(DECODER_WIDTHS[-1], 3, 3, padding=1)
        self.decoder = nn.ModuleDict(layers)

    def encode(self, image: Tensor) -> Tensor:
        """Encode an image as a latent."""
        x = F.pad(gathered(image), (0, 0, 0, 0, 0, WIDTH - GATHERED))
        for number in (*ENCODER_BLOCKS[:1], 10, *ENCODER_BLOCKS[1:], 14):
            x = self.encoder[str(number)](x)
        return x

    def decode(self, latent: Tensor) -> Tensor:
        """Decode a latent to an image, which may exceed [0, 1] slightly."""
        x = F.relu(self.decoder["1"](Clamp()(latent)))
        for stage in range(len(DECODER_WIDTHS)):
            first = 3 + 5 * stage
            if stage:
                x = self.decoder[str(first - 1)](F.interpolate(x, scale_factor=2))
            for number in range(first, first + 3):
                if str(number) in self.decoder and number < 19:
                    x = self.decoder[str(number)](x)
        return self.decoder["19"](x)

    @torch.no_grad()
    def start_from(self, images: Tensor) -> None:
        """Initialise the encoder to output principal components of patches with unit variance.

        The last latent channel carries two components: one that changes from patch to patch (a brightness slope) and
        one that hardly does (the last of the three mean colours), so the decoder can tell them apart.

        Args:
            images: [N, 3, H, W] in [0, 1], a few hundred faces.
        """
        patches = F.pixel_unshuffle(gathered(images), 2).permute(0, 2, 3, 1).flatten(0, 2).double()
        colours = torch.tensor(OPPONENT, dtype=torch.float64)
        seen = torch.einsum("oc,ncp->nop", colours, patches.unflatten(1, (3, -1))).flatten(1)
        vectors = torch.linalg.eigh(torch.cov(seen.T))[1].flip(1)[:, :COMPONENTS]
        basis = torch.einsum("oc,opk->cpk", colours, vectors.unflatten(0, (3, -1))).flatten(0, 1)
        down, last = _convolution(self.encoder["10"]), _convolution(self.encoder["14"])
        down.weight.zero_()
        components = basis.T.reshape(COMPONENTS, GATHERED, 2, 2)
        down.weight[:COMPONENTS, :GATHERED, 1:, 1:] = components
        down.weight[COMPONENTS:, :GATHERED, 1:, 1:] = -components
        for number in ENCODER_BLOCKS:
            _branch_end(self.encoder[str(number)]).weight.zero_()
        values = patches @ basis
        count = last.out_channels
        mixed = torch.zeros(count, COMPONENTS, dtype=torch.float64)
        mixed[:, : count + 1] = torch.eye(count, count + 1) / values.std(0)[: count + 1]
        mixed[-1, count] = 1 / values.std(0)[count]
        mixed[-1] /= 2**0.5
        last.weight.zero_()
        last.weight[:, :COMPONENTS, 1, 1] = mixed
        last.weight[:, COMPONENTS:, 1, 1] = -mixed
        _bias(last).copy_(-(mixed @ values.mean(0)))
        latents = (values - values.mean(0)) @ mixed.T
        means = patches.unflatten(1, (3, -1)).mean(2)
        self._start_decoder(torch.linalg.lstsq(latents, means - means.mean(0)).solution.T.float(), means.mean(0))

    def _start_decoder(self, colours: Tensor, mean: Tensor) -> None:
        """Initialise the decoder to smoothly interpolate each patch's mean colour, `colours` @ latent + `mean`."""
        count = colours.shape[1]
        smooth = torch.tensor([0.25, 0.5, 0.25])
        for number in ("1", "7", "12", "17"):
            layer = _convolution(self.decoder[number])
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            layer.weight[: 2 * count] = 0
            for k in range(2 * count):
                if number == "1":
                    layer.weight[k, k % count, 1, 1] = 1.0 if k < count else -1.0
                    _bias(layer)[k] = 0
                else:
                    layer.weight[k, k] = torch.outer(smooth, smooth)
        for block in self.decoder.values():
            if isinstance(block, Block):
                _branch_end(block).weight[: 2 * count] = 0
        last = _convolution(self.decoder["19"])
        last.weight *= 0.1
        last.weight[:, : 2 * count] = 0
        last.weight[:, :count, 1, 1] = colours
        last.weight[:, count : 2 * count, 1, 1] = -colours
        _bias(last).copy_(mean)


def gathering_tensors() -> Iterator[tuple[str, Tensor]]:
    """Yield the layers of TAESD's encoder that `LeanTAESD` lacks, with weights that only compute `gathered`."""
    first = torch.zeros(WIDTH, 3, 3, 3)
    first[range(3), range(3), 1, 1] = 1
    yield "0.weight", first
    yield "0.bias", torch.zeros(WIDTH)
    for block in (1, 3, 4, 5, 8, 9):
        for part in (0, 2, 4):
            yield f"{block}.conv.{part}.weight", torch.zeros(WIDTH, WIDTH, 3, 3)
            yield f"{block}.conv.{part}.bias", torch.zeros(WIDTH)
    for layer, channels in ((2, 3), (6, 12)):
        down = torch.zeros(WIDTH, WIDTH, 3, 3)
        for c in range(channels):
            for row in range(2):
                for column in range(2):
                    # With stride 2 and padding 1, the kernel's last two rows and columns see the two by two pixels.
                    down[c * 4 + row * 2 + column, c, 1 + row, 1 + column] = 1
        yield f"{layer}.weight", down


def padded(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Pad the tensor with trailing zeros to `shape`."""
    whole = torch.zeros(shape, dtype=tensor.dtype)
    whole[tuple(slice(size) for size in tensor.shape)] = tensor
    return whole


def taesd_tensors(model: LeanTAESD) -> dict[str, Tensor]:
    """Return the model as tensors of the host's `TAESD`, float32, without its scale and shift."""
    tensors = {f"taesd_encoder.{name}": tensor for name, tensor in gathering_tensors()}
    tensors |= {f"taesd_encoder.{name}": tensor for name, tensor in model.encoder.state_dict().items()}
    for name, tensor in model.decoder.state_dict().items():
        layer, _, kind = name.rpartition(".")
        rows = 3 if layer == "19" else WIDTH
        columns = tensor.shape[1] if layer == "1" and kind == "weight" else WIDTH
        shape = (rows,) if kind == "bias" else (rows, columns, 3, 3)
        tensors[f"taesd_decoder.{name}"] = padded(tensor, shape)
    return {name: tensor.detach().float().contiguous() for name, tensor in tensors.items()}
