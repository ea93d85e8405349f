"""A Ceph cluster through its own command line on one of the nodes."""

from noout.adapters.ceph.cluster import CephCli

__all__ = ["CephCli"]
