"""What noout's token must be allowed, asked before it is relied on.

Proxmox VE leaves out of a list what the token may not see, without a word: a node would look empty of guests. So
noout looks at its own privileges first, and before a maintenance also at those for its effects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from noout.domain.errors import Forbidden
from noout.domain.maintenance import Plan
from noout.ports import Hypervisor

# The path below which each privilege must hold.
LOOK: Mapping[str, tuple[str, ...]] = {
    "/nodes": ("Sys.Audit",),
    "/pool": ("Pool.Audit",),
    "/storage": ("Datastore.Audit",),
    "/vms": ("VM.Audit",),
}
ACT: Mapping[str, tuple[str, ...]] = {
    "/": ("Sys.Modify", "Sys.Console"),  # Ceph services; moving HA guests
    "/nodes": ("Sys.PowerMgmt",),
    "/vms": ("VM.Migrate", "VM.PowerMgmt"),
}

# Only for a plan that takes local ISOs out of their drives, by consent, and puts them back.
EJECT: Mapping[str, tuple[str, ...]] = {"/vms": ("VM.Config.CDROM",)}
# For guests that must not start at power-on. Nobody is refused for want of it: it is said, and the run goes on.
ONBOOT: Mapping[str, tuple[str, ...]] = {"/vms": ("VM.Config.Options",)}
# For guests that are probed at an address that only they can tell. Without it they are not measured, which is said.
AGENT: Mapping[str, tuple[str, ...]] = {"/vms": ("VM.GuestAgent.Audit",)}


def acts_of(plan: Plan) -> tuple[Mapping[str, tuple[str, ...]], ...]:
    """What this plan's effects need."""
    return (ACT, EJECT) if any(move.ejects for move in plan.moves) else (ACT,)


def missing(granted: Mapping[str, frozenset[str]], wanted: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, str]]:
    """(privilege, path) of everything wanted that does not hold at its path, or is taken away somewhere below it."""
    for path, privileges in wanted.items():
        inside = path.rstrip("/") + "/"
        below = [each for each in granted if path != "/" and each.startswith(inside)]
        for privilege in privileges:
            for place in (path, *sorted(below)):
                if privilege not in granted.get(place, frozenset()):
                    yield privilege, place
                    break


async def require(hypervisor: Hypervisor, *wanted: Mapping[str, tuple[str, ...]]) -> None:
    """Forbidden, naming every missing privilege and its path."""
    granted = await hypervisor.permissions()
    lacking = [each for table in wanted for each in missing(granted, table)]
    if not lacking:
        return
    names = ", ".join(f"{privilege} on {path}" for privilege, path in lacking)
    privilege, path = lacking[0]
    raise Forbidden(
        f"{hypervisor.name}: noout's token lacks {names}",
        privilege=privilege,
        path=path,
        remedy=f"give it a role with {'it' if len(lacking) == 1 else 'them'}: pveum acl modify {path} "
        "-user noout@pve -role noout (docs/how-to/connect-a-cluster.md)",
    )
