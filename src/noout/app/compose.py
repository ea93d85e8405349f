"""The only wiring: from a configuration to an installation with all its doors open."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from noout.adapters.alerts import Naming, PrometheusExporters
from noout.adapters.bmc import IpmiBmc, RedfishBmc
from noout.adapters.ceph.cluster import CephCli
from noout.adapters.ceph.survey import CephShells
from noout.adapters.clock import LabClock, SystemClock
from noout.adapters.http import Server
from noout.adapters.machine import machine_uuid
from noout.adapters.probe.direct import DirectProber
from noout.adapters.probe.instants import InstantProber
from noout.adapters.probe.limits import Limits
from noout.adapters.probe.remote import RemoteProber, Together
from noout.adapters.pve.client import PveClient
from noout.adapters.pve.hypervisor import PveHypervisor
from noout.adapters.pve.inventory import PveInspector
from noout.adapters.pve.login import TicketLogin
from noout.adapters.pve.nodes import PveNodes
from noout.adapters.pve.survey import PveSurveyor
from noout.adapters.shell.ssh import SshHost, SshShell
from noout.adapters.store.leases import Alone, SqlLeases
from noout.adapters.store.papers import MemoryPapers, SqlPapers
from noout.adapters.store.photos import MemoryPhotos, SqlPhotos
from noout.adapters.store.sittings import MemorySittings, SqlSittings
from noout.adapters.store.sql import SqlStore
from noout.adapters.tls import context_for, when_needed
from noout.app.checklists import read_checklists
from noout.app.mapping import customers_of
from noout.app.naming import resolve
from noout.app.news import News
from noout.app.privileges import LOOK, require
from noout.app.wording import read_wording
from noout.domain.cluster import GuestId, NodeId
from noout.domain.customers import Customer
from noout.domain.errors import UsageError
from noout.domain.workorder import Location
from noout.plan.groups import PARTS, Part
from noout.plan.policy import GBIT_BYTES_S, GIB, Policy
from noout.ports import (
    Bmc,
    CephCluster,
    CephSurveyor,
    Clock,
    EventSource,
    Exporters,
    Hypervisor,
    Inspector,
    Journal,
    Leases,
    Measurements,
    Papers,
    Photos,
    Prober,
    Shell,
    Sittings,
    Surveyor,
)
from noout.run.record import Known
from noout.settings import BmcSettings, ClusterSettings, Settings, secret
from noout.settings_kinds import NamingSettings, PrometheusSettings
from noout.settings_probes import DIRECT, VantageSettings
from noout.tell.checklist import SHIPPED, Template
from noout.tell.say import reword

# A lab's time may run fast, this machine does not: what is due every minute is not done sixty times a second.
KEEP_S, KEEP_WALL_S = 60.0, 5.0  # how long guests' configurations are kept
LASTS_SHARE = 0.6  # of the time a take-over may take, a lease lasts; the rest is for whoever takes it over to begin


@dataclass
class Installation:
    """Everything noout can reach, by name. Made by ``installation``; tests make one with other doors."""

    settings: Settings
    clock: Clock
    journal: Journal
    measurements: Measurements
    hypervisors: Mapping[str, Hypervisor]
    cephs: Mapping[str, CephCluster]
    bmcs: Mapping[NodeId, Bmc]
    prober: Prober
    policy: Policy = field(default_factory=Policy)
    store_path: Path | None = None  # of a SQLite store; the engine's own tables and the lock lie beside it
    surveyors: Mapping[str, Surveyor] = field(default_factory=dict)  # for the doctor alone
    ceph_surveyors: Mapping[str, CephSurveyor] = field(default_factory=dict)
    inspectors: Mapping[str, Inspector] = field(default_factory=dict)
    exporters: Mapping[str, Exporters] = field(default_factory=dict)
    event_sources: Mapping[NodeId, EventSource] = field(default_factory=dict)
    leases: Leases = field(default_factory=Alone)
    sittings: Sittings = field(default_factory=MemorySittings)
    papers: Papers = field(default_factory=MemoryPapers)
    photos: Photos = field(default_factory=MemoryPhotos)
    checklists: Mapping[str, Template] = field(default_factory=lambda: SHIPPED)

    customers: tuple[Customer, ...] = field(init=False)
    known: Known = field(init=False)  # the maintenances as last folded
    news: News = field(init=False)  # the same for whoever only watches, looked up for all at once

    def __post_init__(self) -> None:
        self.customers = customers_of(self.settings)
        wording = self.settings.tell.wording_file
        reword(read_wording(self.settings.file(wording) if wording else None, "tell.wording_file"))
        self.known = Known(self.journal)
        self.news = News(self.journal, self.known, self.clock)

    def hypervisor(self, node: NodeId) -> Hypervisor:
        return self.hypervisors[node.cluster]

    def bmc(self, node: NodeId) -> Bmc:
        """The node's BMC; UsageError when the configuration has none."""
        if node not in self.bmcs:
            raise UsageError(
                f"{node} has no BMC in the configuration", remedy=f"add [clusters.{node.cluster}.bmc.{node.name}]"
            )
        return self.bmcs[node]

    def policy_for(self, cluster: str) -> Policy:
        """The policy, with the customers and what the configuration says of this cluster's network of migrations."""
        known = self.settings.clusters.get(cluster)
        if known is None:
            return replace(self.policy, customers=self.customers)
        network = known.network
        rate = network.nic_gbit * GBIT_BYTES_S
        policy = replace(self.policy, customers=self.customers)
        return replace(policy, nic_bytes_s=rate, encrypted=network.encrypted, shared=network.shared)

    def crush_host(self, node: NodeId) -> str | None:
        """The CRUSH host of a node: its own name unless the configuration says otherwise; None without Ceph."""
        if node.cluster not in self.cephs:
            return None
        return self.settings.clusters[node.cluster].ceph.hosts.get(node.name, node.name)

    def location(self, node: NodeId) -> Location:
        known = self.settings.clusters[node.cluster].nodes.get(node.name)
        return Location() if known is None else Location(**known.model_dump())

    async def resolve(self, text: str) -> NodeId:
        """A node by ``CLUSTER/NODE``, or its bare name where unique; UsageError names what there is.

        Asks the clusters, all of them for a bare name: whether it is unique, one that does not answer cannot say.
        """
        cluster, slash, _ = text.partition("/")
        if slash and cluster not in self.hypervisors:
            raise UsageError(f"there is no cluster {cluster}", remedy=f"known: {', '.join(self.hypervisors)}")
        asked = [self.hypervisors[cluster]] if slash else list(self.hypervisors.values())
        nodes: list[NodeId] = []
        for hypervisor in asked:
            await require(hypervisor, LOOK)
            nodes += [each.id for each in (await hypervisor.observe()).nodes]
        return resolve(nodes, text)


def in_clock_s(clock: Clock, wall_s: float) -> float:
    """Clock seconds that pass in ``wall_s`` seconds of this machine: more than those where a lab's time runs fast."""
    return wall_s / clock.wall_s(1.0)


def policy_of(settings: Settings) -> Policy:
    chosen = settings.policy
    return Policy(
        streams=chosen.streams,
        network_share=chosen.network_share,
        os_reserve_bytes=int(chosen.os_reserve_gib * GIB),
        osd_reserve_bytes=int(chosen.osd_reserve_gib * GIB),
        relocate_tag=chosen.relocate_tag,
        shutdown_tag=chosen.shutdown_tag,
        eject_tag=chosen.eject_tag,
        pin_tag=chosen.pin_tag,
        prefer_tag=chosen.prefer_tag,
        tolerant_tag=chosen.tolerant_tag,
        eject_isos=chosen.eject_isos,
        lock_wait_s=chosen.lock_wait_s,
        cpu_ratio=chosen.cpu_ratio,
        noout_guests=frozenset(GuestId.parse(each) for each in settings.self.guests),
        parts=parts_of(settings),
        machine_uuid=machine_uuid(),
    )


def parts_of(settings: Settings) -> tuple[Part, ...]:
    """The parts that several nodes of a cluster share, as the configuration names them."""
    found: dict[tuple[str, str, str], set[NodeId]] = {}
    for cluster, known in settings.clusters.items():
        for name, place in known.nodes.items():
            for kind in PARTS:
                if label := getattr(place, kind):
                    found.setdefault((cluster, kind, label), set()).add(NodeId(cluster, name))
    return tuple(
        Part(kind, label, frozenset(some)) for (_, kind, label), some in sorted(found.items()) if len(some) > 1
    )


def clock_of(settings: Settings) -> Clock:
    lab = settings.lab
    return SystemClock() if lab is None else LabClock(lab.epoch, lab.started, lab.speed)


@asynccontextmanager
async def installation(settings: Settings) -> AsyncIterator[Installation]:
    """Open the doors that the configuration names; nothing is asked of anybody yet, nothing written anywhere."""
    clock = clock_of(settings)
    folder = settings.workorders.checklists
    checklists = read_checklists(settings.file(folder) if folder is not None else None)
    async with AsyncExitStack() as stack:
        store, path = store_of(settings, clock)
        stack.push_async_callback(store.close)
        hypervisors: dict[str, Hypervisor] = {}
        cephs: dict[str, CephCluster] = {}
        bmcs: dict[NodeId, Bmc] = {}
        surveyors: dict[str, Surveyor] = {}
        ceph_surveyors: dict[str, CephSurveyor] = {}
        inspectors: dict[str, Inspector] = {}
        exporters: dict[str, Exporters] = {}
        for name, cluster in settings.clusters.items():
            shell = _shell(settings, name, cluster)
            client = _pve(settings, name, cluster, clock)
            stack.push_async_callback(client.close)
            keep_s = max(KEEP_S, in_clock_s(clock, KEEP_WALL_S))
            hypervisors[name] = PveHypervisor(client, shell, keep_s=keep_s)
            surveyors[name] = PveSurveyor(client)
            exporters[f"Proxmox VE of {name}"] = PveNodes(client, smart=settings.watch.smart)
            nodes = [NodeId(name, node) for node in cluster.shell.hosts or cluster.nodes] if cluster.shell else []
            if shell is not None:
                ceph_surveyors[name] = CephShells(shell, nodes, user=cluster.ceph.user, has_ceph=cluster.ceph.enabled)
            ceph = (
                CephCli(shell, nodes, clock, user=cluster.ceph.user)
                if shell is not None and nodes and cluster.ceph.enabled
                else None
            )
            if ceph is not None:
                cephs[name] = ceph
            inspectors[name] = PveInspector(client, shell, ceph.osd_addresses if ceph is not None else None)
            for node, bmc in cluster.bmc.items():
                board = _bmc(settings, NodeId(name, node), bmc, clock)
                stack.push_async_callback(board.close)
                bmcs[board.node] = board
            if cluster.prometheus is not None:
                prometheus = _prometheus(settings, name, cluster.prometheus)
                stack.push_async_callback(prometheus.close)
                exporters[f"the exporters of {name}"] = prometheus
        prober = _prober(settings, clock)
        policy = policy_of(settings)
        yield Installation(
            settings, clock, store, store, hypervisors, cephs, bmcs, prober, policy, path, surveyors, ceph_surveyors,
            inspectors, exporters, {node: board for node, board in bmcs.items() if isinstance(board, RedfishBmc)},
            Alone() if path else SqlLeases(store, settings.store.takeover_s * LASTS_SHARE), SqlSittings(store),
            SqlPapers(store), SqlPhotos(store), checklists,
        )  # fmt: skip


def store_of(settings: Settings, clock: Clock) -> tuple[SqlStore, Path | None]:
    """The store, which is not opened yet, and its file where it is SQLite."""
    path = _store_path(settings)
    return SqlStore.at(f"sqlite:///{path}" if path else settings.store.url, clock), path


def _store_path(settings: Settings) -> Path | None:
    """The file of a SQLite store, taken from the configuration's folder when relative; None for another database."""
    prefix = "sqlite:///"
    url = settings.store.url
    return (settings.path.parent / url.removeprefix(prefix)).absolute() if url.startswith(prefix) else None


def servers_of(settings: Settings, cluster: ClusterSettings) -> list[Server]:
    """A cluster's entry points, trusted as the configuration says."""
    servers = []
    for url in cluster.entrypoints:
        address = urlsplit(url).netloc
        pin = cluster.fingerprints.get(address, cluster.fingerprint)
        ca = settings.file(cluster.ca) if cluster.ca else None
        servers.append(Server(url, when_needed(address, pin, ca)))
    return servers


def _pve(settings: Settings, name: str, cluster: ClusterSettings, clock: Clock) -> PveClient:
    servers = servers_of(settings, cluster)
    if cluster.user is not None:
        password = secret(settings, cluster.password, cluster.password_file, f"clusters.{name}.password_file")
        return PveClient(name, servers, TicketLogin(name, cluster.user, password, clock), clock)
    token = secret(settings, cluster.token, cluster.token_file, f"clusters.{name}.token_file")
    return PveClient(name, servers, token, clock)


def _shell(settings: Settings, name: str, cluster: ClusterSettings) -> Shell | None:
    if cluster.shell is None:
        return None
    names = {*cluster.shell.hosts, *cluster.nodes, *cluster.bmc}
    hosts = {
        NodeId(name, node): SshHost(cluster.shell.hosts.get(node, node), cluster.shell.ports.get(node, 22))
        for node in sorted(names)
    }
    return SshShell(
        hosts,
        key_file=settings.file(cluster.shell.key_file),
        known_hosts_file=settings.file(cluster.shell.known_hosts_file),
        user=cluster.shell.user,
    )


def _bmc(settings: Settings, node: NodeId, bmc: BmcSettings, clock: Clock) -> RedfishBmc | IpmiBmc:
    key = f"clusters.{node.cluster}.bmc.{node.name}.password_file"
    password = secret(settings, bmc.password, bmc.password_file, key)
    if bmc.url.startswith("ipmi:"):
        return IpmiBmc(node, bmc.url, bmc.user, password, clock, cipher_suite=bmc.cipher_suite)
    ca = settings.file(bmc.ca) if bmc.ca else None
    server = Server(bmc.url, when_needed(urlsplit(bmc.url).netloc, bmc.fingerprint, ca))
    return RedfishBmc(node, server, bmc.user, password, clock, session=bmc.session)


def naming_of(settings: Settings, name: str, named: NamingSettings) -> Naming:
    """How labels name the nodes of a cluster: those that its configuration names."""
    return Naming(name, nodes_of(settings.clusters[name]), named.label, named.nodes)


def nodes_of(cluster: ClusterSettings) -> frozenset[str]:
    """The nodes that the configuration names."""
    return frozenset({*cluster.bmc, *cluster.nodes, *(cluster.shell.hosts if cluster.shell else ())})


def _prometheus(settings: Settings, name: str, prometheus: PrometheusSettings) -> PrometheusExporters:
    headers: dict[str, str] = {}
    if prometheus.token is not None or prometheus.token_file is not None:
        key = f"clusters.{name}.prometheus.token_file"
        headers["Authorization"] = f"Bearer {secret(settings, prometheus.token, prometheus.token_file, key)}"
    ca = settings.file(prometheus.ca) if prometheus.ca else None
    secured = prometheus.url.startswith("https:")
    tls = context_for(urlsplit(prometheus.url).netloc, prometheus.fingerprint, ca) if secured else None
    naming = naming_of(settings, name, prometheus)
    return PrometheusExporters(Server(prometheus.url, tls), naming, lambda: headers)


def _prober(settings: Settings, clock: Clock) -> Prober:
    via = settings.probes.via
    own = InstantProber(Server(via), clock) if via != DIRECT else _direct(settings, clock)
    others = {name: _vantage(settings, name, each, clock) for name, each in settings.probes.vantage.items()}
    return Together({"": own, **others}) if others else own


def _direct(settings: Settings, clock: Clock) -> DirectProber:
    probes = settings.probes
    ca = settings.file(probes.ca) if probes.ca else None
    return DirectProber(
        clock,
        Limits(probes.per_s, probes.per_host_per_s),
        contact=probes.contact,
        networks=probes.networks,
        ca=ca,
        timeout_s=probes.timeout_s,
    )


def _vantage(settings: Settings, name: str, vantage: VantageSettings, clock: Clock) -> RemoteProber:
    token = secret(settings, vantage.token, vantage.token_file, f"probes.vantage.{name}.token_file")
    ca = settings.file(vantage.ca) if vantage.ca else None
    secured = vantage.url.startswith("https:")
    tls = context_for(urlsplit(vantage.url).netloc, vantage.fingerprint, ca) if secured else None
    return RemoteProber(name, Server(vantage.url, tls), token, clock)
