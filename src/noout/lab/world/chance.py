"""Chance without state: every "random" figure of the world is a hash of the seed and of what it is for.

So the order in which things are asked changes nothing, and one seed always tells one story.
"""

from __future__ import annotations

import hashlib
import math
from statistics import NormalDist

_NORMAL = NormalDist()


def share(seed: int, *key: object) -> float:
    """A figure in [0, 1), evenly spread, fixed by seed and key."""
    digest = hashlib.blake2b(repr((seed, *key)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def between(low: float, high: float, seed: int, *key: object) -> float:
    """Evenly spread in [low, high)."""
    return low + (high - low) * share(seed, *key)


def normal(seed: int, *key: object) -> float:
    """Normal with mean 0 and deviation 1, within ±4."""
    return _NORMAL.inv_cdf(min(max(share(seed, *key), 3.2e-5), 1 - 3.2e-5))


def lognormal(median: float, sigma: float, seed: int, *key: object) -> float:
    """Lognormal with the given median; ``sigma`` is the deviation of its logarithm."""
    return median * math.exp(sigma * normal(seed, *key))


def exponential(mean: float, seed: int, *key: object) -> float:
    return -mean * math.log(1 - share(seed, *key))


def hexdigits(count: int, seed: int, *key: object) -> str:
    return hashlib.blake2b(repr((seed, *key)).encode(), digest_size=32).hexdigest()[:count]


def uuid(seed: int, *key: object) -> str:
    """A version-4-looking UUID."""
    h = hexdigits(32, seed, "uuid", *key)
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{'89ab'[int(h[16], 16) % 4]}{h[17:20]}-{h[20:32]}"
