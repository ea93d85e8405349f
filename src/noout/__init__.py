"""noout: hardware maintenance of Proxmox VE + Ceph clusters that no customer notices."""

__version__ = "0.1.0"
