"""``python -m noout`` is ``noout``."""

from noout.cli.main import run

run()
