"""Is the node that came back the one that went? What it says of itself from inside, compared with before.

What was known before and is different or unknown now is a finding. What was not known before cannot be compared: that
is a note, never taken for equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from noout.domain.inventory import InstalledDisk, Link, NodeInventory, Passage

CLOCK_OFF_S = 0.5  # by how much its clock may have moved against noout's
MEMORY_LESS = 0.015  # share of the memory that the kernel may keep more of from one boot to the next; a DIMM is more
NAMED_MAX = 8  # CPU flags named in one sentence

Said = Iterator[tuple[bool, str]]  # (is it a finding, the sentence)


@dataclass(frozen=True, slots=True)
class Comparison:
    """``findings``: differences that keep the node out. ``notes``: what could not be compared, or is merely new."""

    findings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def differences(before: NodeInventory, after: NodeInventory) -> Comparison:
    """Everything that is not as it was."""
    said = [
        *_links(before, after),
        *_passages(before, after),
        *_clock(before, after),
        *_machine(before, after),
        *_disks(before, after),
        *_software(before, after),
    ]
    notes = [f"{each.what} could not be read before the work: {each.why}" for each in before.unread]
    notes += [f"{each.what} could not be read now: {each.why}" for each in after.unread]
    return Comparison(
        tuple(dict.fromkeys(text for finding, text in said if finding)),
        tuple(dict.fromkeys([*notes, *(text for finding, text in said if not finding)])),
    )


# --- links ----------------------------------------------------------------------------------------------------


def _links(before: NodeInventory, after: NodeInventory) -> Said:
    if not before.links:
        yield False, "network links: not compared, they were not known before"
        return
    if not after.links:
        yield True, "network links: known before, nothing is said of them now"
        return
    if before.links_from == after.links_from:
        if before.links_from != "ip":
            yield False, "whether links are up is not compared: noout has no shell that says so"
        yield from _each_link(before, after)
    elif before.links_from == "ip":
        yield True, "network links: the kernel's own list could be read before, and cannot now"
    else:
        yield False, "network links: not compared, only their configuration was known before"


def _each_link(before: NodeInventory, after: NodeInventory) -> Said:
    now = {link.name: link for link in after.links}
    known = {link.name for link in before.links}
    fresh = [link for link in after.links if link.name not in known]
    for old in before.links:
        if old.name in now:
            yield from _one_link(old, now[old.name])
            continue
        same = next((link for link in fresh if link.kind == "eth" and old.kind == "eth" and link.mac == old.mac), None)
        renamed = f"; {same.name} has its address {old.mac}" if same is not None and old.mac else ""
        yield True, f"{old.name}: there before, not there now{renamed}"
    for link in fresh:
        yield False, f"{link.name}: new, not there before"


def _one_link(old: Link, new: Link) -> Said:
    if old.up and not new.up:
        of = f" of {old.part_of}" if old.part_of else ""
        yield True, f"{old.name}{of}: up before, without a link now"
    if old.part_of != new.part_of:
        yield True, f"{old.name}: in {old.part_of or 'nothing'} before, in {new.part_of or 'nothing'} now"
    if old.mtu != new.mtu and old.mtu is not None:
        yield True, f"{old.name}: MTU {old.mtu} before, {new.mtu or 'unknown'} now"
    if old.kind == "eth" and old.mac and old.mac != new.mac:
        yield True, f"{old.name}: hardware address {old.mac} before, {new.mac or 'unknown'} now"
    gone = sorted(set(old.addresses) - set(new.addresses))
    for address in gone:
        yield True, f"{old.name}: address {address} before, not there now"


def _passages(before: NodeInventory, after: NodeInventory) -> Said:
    """A packet of so many bytes with DF, each way between the node and every other; what is alike is said once."""
    if not before.passages:
        yield False, "whether large packets pass was not tried before the work: not compared"
    now = {(each.source, each.target, each.address): each for each in after.passages}
    alike: dict[tuple[bool, bool, str, str], list[Passage]] = {}
    for old in before.passages:
        new = now.get((old.source, old.target, old.address))
        if not old.packet_bytes:
            said = "could not be tried" if old.packet_bytes is None else "no packet passed"
            finding, text = False, f"{said} before the work: not compared"
        elif new is None:
            finding, text = False, "not tried now, that node is away"
        elif (new.packet_bytes or 0) < old.packet_bytes:
            finding, text = True, f"packets of {old.packet_bytes} bytes passed uncut before, {_at_most(new)} now"
        else:
            continue
        alike.setdefault((finding, old.source == before.node.name, old.use, text), []).append(old)
    for (finding, outward, use, text), ways in alike.items():
        others = ", ".join(sorted({each.target if outward else each.source for each in ways}))
        way = f"{before.node.name} to {others}" if outward else f"{others} to {before.node.name}"
        addresses = {each.address for each in ways}
        yield finding, f"{way} ({', '.join([use, *(addresses if len(addresses) == 1 else ())])}): {text}"


def _at_most(passage: Passage) -> str:
    if passage.packet_bytes is None:
        return "it cannot be tried"
    return f"only {passage.packet_bytes} do" if passage.packet_bytes else "nothing does"


# --- the rest -------------------------------------------------------------------------------------------------


def _clock(before: NodeInventory, after: NodeInventory) -> Said:
    """Its own error: if noout's clock is the one that is wrong, it was so before as well."""
    if after.clock_ahead_s is None:
        yield before.clock_ahead_s is not None, "its clock cannot be read"
        return
    off, doubt = after.clock_ahead_s, after.clock_doubt_s
    moved = off if before.clock_ahead_s is None else off - before.clock_ahead_s
    doubt_moved = doubt + (before.clock_doubt_s if before.clock_ahead_s is not None else 0.0)
    if abs(off) - doubt > CLOCK_OFF_S and abs(moved) - doubt_moved > CLOCK_OFF_S:
        yield True, f"its clock is {'ahead' if off > 0 else 'behind'}, by more than {CLOCK_OFF_S:g} s"


def _machine(before: NodeInventory, after: NodeInventory) -> Said:
    if before.kvm is None:
        yield False, "KVM: not compared, it was not known before"
    elif before.kvm and not after.kvm:
        yield True, "KVM: usable before, not now (is virtualisation switched off in the firmware?)"
    yield from _same("CPU", before.cpu_model, after.cpu_model)
    yield from _same("logical CPUs", str(before.cpus or ""), str(after.cpus or ""))
    lost, gained = sorted(before.cpu_flags - after.cpu_flags), sorted(after.cpu_flags - before.cpu_flags)
    if not before.cpu_flags:
        yield False, "CPU flags: not compared, they were not known before"
    elif lost:
        yield True, f"CPU flags that are gone: {_named(lost)}"
    elif gained:
        yield False, f"CPU flags that are new: {_named(gained)}"
    if before.memory_bytes is None:
        yield False, "memory: not compared, it was not known before"
    elif (after.memory_bytes or 0) < before.memory_bytes * (1 - MEMORY_LESS):
        yield True, f"memory: {_gib(before.memory_bytes)} before, {_gib(after.memory_bytes)} now"


def _named(flags: list[str]) -> str:
    more = f" and {len(flags) - NAMED_MAX} more" if len(flags) > NAMED_MAX else ""
    return ", ".join(flags[:NAMED_MAX]) + more


def _gib(size: int | None) -> str:
    return "unknown" if size is None else f"{size / 1024**3:.1f} GiB"


def _disks(before: NodeInventory, after: NodeInventory) -> Said:
    if before.disks is None:
        yield False, "disks: not compared, they were not known before"
        return
    if after.disks is None:
        yield True, "disks: known before, nothing is said of them now"
        return
    was, now = {disk.id: disk for disk in before.disks}, {disk.id: disk for disk in after.disks}
    yield from ((True, f"disk {_disk(was[key])}: there before, not there now") for key in sorted(was.keys() - now))
    yield from ((False, f"disk {_disk(now[key])}: new, not there before") for key in sorted(now.keys() - was))


def _disk(disk: InstalledDisk) -> str:
    return f"{disk.path} ({disk.model} {disk.id}, {disk.size_bytes / 1e9:.0f} GB)"


def _software(before: NodeInventory, after: NodeInventory) -> Said:
    if before.kernel and after.kernel and before.kernel != after.kernel == before.kernel_next:
        yield False, f"kernel: {before.kernel} before, {after.kernel} now, which was installed before the work"
    else:
        yield from _same("kernel", before.kernel, after.kernel)
    if not before.packages:
        yield False, "package versions: not compared, they were not known before"
    for name, version in sorted(before.packages.items()):
        yield from _same(name, version, after.packages.get(name, ""))


def _same(what: str, before: str, after: str) -> Said:
    if not before:
        yield False, f"{what}: not compared, it was not known before"
    elif before != after:
        yield True, f"{what}: {before} before, {after or 'unknown'} now"
