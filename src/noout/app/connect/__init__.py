"""Connecting a cluster: what `noout init` finds out, the configuration it writes, and the commands it explains."""
