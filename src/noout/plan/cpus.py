"""May a running guest go on with another node's CPU? What it was promised when it started must be there as well."""

from __future__ import annotations

from noout.domain.cluster import Guest, Node

# What each level of x86-64 adds to the one before, in the names of /proc/cpuinfo (x86-64 psABI).
_LEVELS = (
    ("x86-64-v2", "cx16 lahf_lm popcnt sse4_1 sse4_2 ssse3"),
    ("x86-64-v3", "abm avx avx2 bmi1 bmi2 f16c fma movbe xsave"),
    ("x86-64-v4", "avx512bw avx512cd avx512dq avx512f avx512vl"),
)
_ANY_NODE = frozenset({"", "kvm64", "kvm32", "qemu64", "qemu32"})  # models every node can give


def why_not_there(guest: Guest, home: Node, node: Node) -> str | None:
    """Why the guest cannot move live from ``home`` to ``node``; None when nothing is known against it.

    ``host`` and ``max`` hand over the node's own CPU: the other must be the same model with no flag less. A custom
    model (``custom-...``) cannot be read by noout and is held to be the same. For the others it counts which flags
    they need, as far as those are there at home; a vendor's model does not go to another vendor's CPU.
    """
    lost = home.cpu_flags - node.cpu_flags if home.cpu_flags and node.cpu_flags else frozenset[str]()
    if guest.cpu_type in ("host", "max") or guest.cpu_type.startswith("custom-"):
        if home.cpu_model and node.cpu_model and home.cpu_model != node.cpu_model:
            return f"has another CPU ({node.cpu_model}), and the guest has CPU type {guest.cpu_type}"
        if lost:
            return f"has a CPU without {_some(lost)}, and the guest has CPU type {guest.cpu_type}"
        return None
    if missing := needed(guest) & lost:
        return f"has a CPU without {_some(missing)}, which the guest's CPU type {guest.cpu_type} asks for"
    named = guest.cpu_type not in _ANY_NODE and not guest.cpu_type.startswith("x86-64-")
    if named and home.cpu_vendor and node.cpu_vendor and home.cpu_vendor != node.cpu_vendor:
        return f"has a CPU of another maker ({node.cpu_vendor}), and the guest has CPU type {guest.cpu_type}"
    return None


def needed(guest: Guest) -> frozenset[str]:
    """The flags of /proc/cpuinfo that the guest's CPU type and extra flags ask for, as far as noout knows them."""
    flags = {flag.replace("-", "_").replace(".", "_") for flag in guest.cpu_flags}
    for level, names in _LEVELS if guest.cpu_type.startswith("x86-64-v") else ():
        flags |= set(names.split())
        if guest.cpu_type.startswith(level):
            break
    return frozenset(flags | ({"aes"} if guest.cpu_type.endswith("-AES") else set()))


def _some(flags: frozenset[str]) -> str:
    first = sorted(flags)[:4]
    return ", ".join(first) + (f" and {len(flags) - 4} more flags" if len(flags) > 4 else "")
