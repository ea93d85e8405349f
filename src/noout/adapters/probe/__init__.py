"""Asking the customers' services whether they answer."""

from noout.adapters.probe.direct import DirectProber
from noout.adapters.probe.instants import InstantProber
from noout.adapters.probe.limits import Limits

__all__ = ["DirectProber", "InstantProber", "Limits"]
