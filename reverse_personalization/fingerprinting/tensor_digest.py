"""Bytes that represent a tensor of any kind on any device: plain, packed, quantised, or not yet in memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_RUNS = 4
_RUN = 16
"""A sample is `_RUNS` runs of `_RUN` neighbours, so that few pages of a file mapped into memory are read."""


def tensor_bytes(tensor: Tensor, *, whole: bool) -> bytes:
    """A tensor's shape, dtype and elements as bytes.

    Args:
        tensor: any; a subclass counts by the tensors that it is made of, or else by its stored elements.
        whole: whether to take every element, not a sample of up to 64.

    Returns:
        Bytes that are equal for equal tensors, on any device.
    """
    if type(tensor) in (Tensor, nn.Parameter):
        return _plain_bytes(tensor.detach(), whole)
    with torch._C.DisableTorchFunctionSubclass():  # otherwise a subclass returns the values that it represents
        flatten = getattr(type(tensor), "__tensor_flatten__", None)
        if flatten is None:
            return _plain_bytes(Tensor.detach(tensor).as_subclass(Tensor), whole)
        names, _ = flatten(tensor)
        inner = [name.encode() + tensor_bytes(getattr(tensor, name), whole=whole) for name in names]
        return f"{type(tensor).__qualname__}{tuple(tensor.shape)}{tensor.dtype}".encode() + b"".join(inner)


def _plain_bytes(tensor: Tensor, whole: bool) -> bytes:
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    elif tensor.is_quantized:
        tensor = tensor.int_repr()
    count = tensor.numel()
    form = f"{tuple(tensor.shape)}{tensor.dtype}".encode()
    if tensor.is_meta:  # the host fills it with zeros when it loads the model
        return form + bytes(tensor.element_size() * (count if whole else min(count, _RUNS * _RUN)))
    if not whole and count > _RUNS * _RUN:
        tensor = _sample(tensor, count)
    return form + tensor.cpu().reshape(-1).view(torch.uint8).numpy().tobytes()


def _sample(tensor: Tensor, count: int) -> Tensor:
    step = (count - _RUN) // (_RUNS - 1)
    if tensor.is_contiguous():
        return tensor.as_strided((_RUNS, _RUN), (step, 1), tensor.storage_offset())
    # In the order of the indices, not of the memory: the host may store the same weight as channels-last.
    flat = (torch.arange(_RUNS)[:, None] * step + torch.arange(_RUN)).flatten()
    places = torch.unravel_index(flat, tensor.shape)
    if tensor.element_size() == 1:  # torch cannot index every kind of float8
        tensor = tensor.view(torch.uint8)
    return tensor[tuple(place.to(tensor.device) for place in places)]
