"""Commands on the nodes, over SSH."""

from noout.adapters.shell.ssh import SshHost, SshShell

__all__ = ["SshHost", "SshShell"]
