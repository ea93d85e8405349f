"""The Proxmox VE REST API of a simulated node: ``pve_app(laws, cluster_name, node_name) -> Starlette``."""

from noout.lab.wire.pve.app import pve_app

__all__ = ["pve_app"]
