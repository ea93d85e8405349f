"""The lab's real Ceph behind the port that noout talks to: ``ceph.shell`` is every node's, for they are all here."""

from __future__ import annotations

from collections.abc import Sequence

from noout.domain.cluster import NodeId
from noout.domain.errors import Retryable, UnknownOutcome
from noout.lab.real import ceph as lab
from noout.ports import Completed


class LocalShell:
    """``ports.Shell`` on this machine. A command that outlives its time is killed."""

    def __init__(self, ceph: lab.RealCeph) -> None:
        self._ceph = ceph

    async def run(self, node: NodeId, argv: Sequence[str], *, timeout_s: float = 30.0) -> Completed:
        try:
            done = await self._ceph.run(argv, timeout_s=timeout_s)
        except TimeoutError:
            raise UnknownOutcome(f"{' '.join(argv[:3])} gave no answer within {timeout_s:g} s") from None
        except OSError as error:
            raise Retryable(f"{argv[0]} could not be started: {error}") from error
        return Completed(done.exit, done.stdout, done.stderr)


class RealCeph(lab.RealCeph):
    def __init__(self) -> None:
        super().__init__()
        self.shell = LocalShell(self)
