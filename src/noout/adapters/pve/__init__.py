"""Proxmox VE's HTTP API as the Hypervisor port."""

from noout.adapters.pve.client import PveClient
from noout.adapters.pve.hypervisor import PveHypervisor

__all__ = ["PveClient", "PveHypervisor"]
