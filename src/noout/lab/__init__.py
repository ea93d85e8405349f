"""The lab: simulated Proxmox VE + Ceph clusters that speak the real wire.

Nothing here imports any other part of noout: a parser shared by the client and the lab would hide a
misunderstanding shared by both.
"""
