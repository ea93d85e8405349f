"""What a person types to let noout in, step by step, each with its reason. Pure; nothing of it is carried out here."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from urllib.parse import urlsplit

from noout.adapters.ceph.caps import USER, create_user
from noout.adapters.shell.forced import PLACE, authorized_keys_line
from noout.app.connect.found import Connection
from noout.app.privileges import ACT, EJECT, LOOK, ONBOOT

PUBLIC_KEY = "PUBLIC-KEY"
ROLE, LOGIN, TOKEN = "noout", "noout@pve", "control"


@dataclass(frozen=True, slots=True)
class Step:
    """``commands`` are to be typed where ``title`` says; ``why`` in one or two sentences."""

    title: str
    why: str
    commands: tuple[str, ...]


def privileges(read_only: bool) -> list[str]:
    """The least that is enough; for looking alone also what Proxmox VE wants for asking whether a guest could move."""
    tables = (LOOK,) if read_only else (LOOK, ACT, EJECT, ONBOOT)
    wanted = {privilege for table in tables for each in table.values() for privilege in each}
    return sorted(wanted | {"VM.Migrate"})


def steps(found: Connection, folder: str, script: str, *, read_only: bool = False) -> tuple[Step, ...]:
    """``folder``: where the configuration lies; ``script``: where noout-shell lies on this machine."""
    every = [_token(found, folder, read_only), _key(found, folder), _hosts(found, folder)]
    if not read_only:
        every.insert(2, _forced(found, folder, script))
        every += [_ceph()] if found.has_ceph else []
        every.append(_boards(found, folder))
    return tuple(every)


def _token(found: Connection, folder: str, read_only: bool) -> Step:
    why = "The least that noout needs to look and plan; it can change nothing."
    if not read_only:
        why = (
            "The least that a whole maintenance needs. Sys.Console, for moving HA guests, also opens the nodes' shells "
            "to whoever holds the token. VM.Config.CDROM is for taking ISOs out of drives, by consent: leave it out if "
            "noout shall not. VM.Config.Options keeps guests that stay from starting before the repair is accepted. "
            "With --read-only: rights to look alone."
        )
    file = shlex.quote(f"{folder}/{found.name}.token")
    return Step(
        "A role, a user and a token (on any node, as root)",
        why,
        (
            f'pveum role add {ROLE} --privs "{" ".join(privileges(read_only))}"',
            f"pveum user add {LOGIN} --comment 'noout, maintenance of nodes'",
            f"pveum acl modify / --users {LOGIN} --roles {ROLE}",
            f"pveum user token add {LOGIN} {TOKEN} --privsep 0    # shows the secret once",
            f"# where noout runs; paste {LOGIN}!{TOKEN}=SECRET, Enter, Ctrl-D: it is in no command line and no history",
            f"(umask 077; cat > {file})",
            '# or with systemd, and token_file = "credential:NAME":',
            f"systemd-creds encrypt --name={found.name}.token - /etc/credstore.encrypted/{found.name}.token",
        ),
    )


def _key(found: Connection, folder: str) -> Step:
    file = shlex.quote(f"{folder}/{found.name}.key")
    return Step(
        "An SSH key of noout's own (where noout runs)",
        "Host-scoped Ceph flags and HA maintenance mode are in no API: they are commands on a node.",
        (f"ssh-keygen -t ed25519 -N '' -C noout -f {file}",),
    )


def _forced(found: Connection, folder: str, script: str) -> Step:
    hosts = [node.crush_host for node in found.cluster.nodes if node.crush_host] if found.cluster else []
    user = USER if found.has_ceph else None
    try:
        line = authorized_keys_line(PUBLIC_KEY, ceph_user=user, hosts=hosts)
    except ValueError:  # a CRUSH name that cannot be written there: the key is not limited to names then
        line = authorized_keys_line(PUBLIC_KEY, ceph_user=user)
    options = line.removesuffix(PUBLIC_KEY).strip()
    first = found.nodes[0] if found.nodes else (urlsplit(found.url).hostname or "NODE")
    public = shlex.quote(f"{folder}/{found.name}.key.pub")
    return Step(
        "What that key may do on the nodes (where noout runs, logged in to the nodes as root)",
        "The key can run noout's few commands, word by word, and nothing else: no login, no shell, no forwarding. "
        "authorized_keys is one file for the whole cluster on Proxmox VE; the command is needed on every node.",
        (
            *(
                f"scp {shlex.quote(script)} root@{node}:{PLACE} && ssh root@{node} chmod 0755 {PLACE}"
                for node in found.nodes or ("NODE",)
            ),
            f"{{ printf '%s ' {shlex.quote(options)}; cat {public}; }} | "
            f"ssh root@{first} 'cat >> /etc/pve/priv/authorized_keys'",
        ),
    )


def _hosts(found: Connection, folder: str) -> Step:
    known = shlex.quote(f"{folder}/{found.name}.known_hosts")
    addresses = [node.ip or node.name for node in found.cluster.nodes] if found.cluster else ["NODE"]
    return Step(
        "The nodes' own SSH keys (where noout runs)",
        "noout speaks to a node only if it shows the key in this file. Compare what is read here with what each node "
        "says of itself (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub).",
        (f"ssh-keyscan -t ed25519 {' '.join(addresses)} > {known}", f"ssh-keygen -lf {known}"),
    )


def _ceph() -> Step:
    return Step(
        "A Ceph user for noout (on any node, as root)",
        "It can read, set and unset noout and noup of a host, and fail a mgr over; nothing else. /etc/pve is the same "
        "on every node, and Proxmox VE's ceph.conf looks for keyrings there.",
        (f"{shlex.join(create_user())} -o /etc/pve/priv/ceph.{USER}.keyring",),
    )


def _boards(found: Connection, folder: str) -> Step:
    node = found.nodes[0] if found.nodes else "pve1"
    file = shlex.quote(f"{folder}/bmc-{node}.password")
    return Step(
        "The BMCs (each node's; its web page, or the vendor's tool)",
        "A user that may read sensors and logs, switch the locate LED and the power (often called Operator). Set the "
        "power restore policy to AlwaysOff. Then fill in [clusters…bmc…] and its fingerprint.",
        (
            f"(umask 077; cat > {file})    # paste the password, Enter, Ctrl-D",
            f"openssl s_client -connect bmc-{node}.example.net:443 </dev/null 2>/dev/null"
            " | openssl x509 -noout -fingerprint -sha256",
        ),
    )
