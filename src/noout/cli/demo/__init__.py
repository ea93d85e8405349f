"""``noout demo``: the whole story on the embedded lab, from the first flap to the customers' reports."""

from noout.cli.demo.command import demo

__all__ = ["demo"]
