"""Pseudonyms: one and the same stranger for a person in every photograph, and another one under another key.

A person's embedding is another one in every photograph, so no digest of it could be the same twice. What can be kept is
nearness. The key gives an orthogonal matrix Q, and the target of an embedding e is Q e:

    cos(Q e, Q e') = cos(e, e')

Targets of one person are as near to one another as the embeddings are, and those of strangers as far apart. Q is one of
the orthogonal matrices with Q Q = -1. They turn *every* vector by a right angle:

    cos(Q e, e) = (Q e) . e = 0,  because Q^T = Q^-1 = -Q

so that nobody is drawn towards themselves, whatever the key. Every such Q is P J P^T with an orthogonal P and J of
2 x 2 blocks ((0, -1), (1, 0)); the key draws P evenly. Under two keys, the targets of one embedding have a cosine of
mean 0 and standard deviation 1 / sqrt(K) in K dimensions. Where the recogniser's statistics are known, K are their
axes, so that targets are identities that it could see; their mean is taken away before the turn.

Quantising, to make targets of one person equal, was measured and left out (docs/targets.md): whoever falls on the other
side of a border becomes another person altogether.

What it does not hide. Whoever has many results under one key sees which are of one person: that is its purpose. Whoever
has the key can turn a target back, since Q^-1 = -Q; and so can whoever knows the embeddings of about as many people as
there are dimensions, with their targets. A result is only in part what its target says, but that is no protection.
"""

from __future__ import annotations

import hashlib
import hmac
import math

import numpy as np
import torch
from torch import Tensor

from .identity_statistics import IdentityStatistics

_PURPOSE = b"reverse_personalization pseudonym 1"


def pseudonyms(own: Tensor, key: bytes, statistics: IdentityStatistics) -> Tensor:
    """The target of each face under a key.

    Args:
        own: embeddings of the faces, float32 [F, 512] of unit length.
        key: secret bytes.
        statistics: of the recogniser's embeddings.

    Returns:
        float32 [F, 512], of unit length.
    """
    places = statistics.coordinates(own)
    return statistics.identities(places @ quarter_turn(places.shape[1], key).T)


def quarter_turn(width: int, key: bytes) -> Tensor:
    """Q of a key: orthogonal, with Q Q = -1; float64 [width, width].

    Args:
        width: K, even.
        key: secret bytes.
    """
    basis, triangle = np.linalg.qr(_normals(width * width, key).reshape(width, width))
    # With positive signs the decomposition is unique, and the basis of a normal matrix evenly distributed.
    basis = basis * np.sign(np.diagonal(triangle))
    even, odd = basis[:, 0::2], basis[:, 1::2]
    return torch.from_numpy(odd @ even.T - even @ odd.T)


def _normals(count: int, key: bytes) -> np.ndarray:
    """Standard normal numbers of a key, the same in every version of NumPy: float64 [count], by Box and Muller."""
    seed = hmac.new(key, _PURPOSE, hashlib.sha256).digest()
    bits = np.frombuffer(hashlib.shake_256(seed).digest(16 * count), "<u8").reshape(2, count)
    radius, angle = ((bits >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53
    normals: np.ndarray = np.sqrt(-2.0 * np.log(radius)) * np.cos(2.0 * math.pi * angle)
    return normals
