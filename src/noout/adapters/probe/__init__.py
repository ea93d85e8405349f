"""Asking the customers' services whether they answer."""

from noout.adapters.probe.instants import InstantProber
from noout.adapters.probe.tcp import TcpProber

__all__ = ["InstantProber", "TcpProber"]
