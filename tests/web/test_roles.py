"""Every route as every role: what is not in the table fails, and who may not is told so, and changes nothing.

The table says of each route what opens it. Everybody else tries it: each role, of this cluster and of another; with a
session and with a token; a technician with a good link, and with one that is expired, revoked or another device's; and
nobody. So does a customer: with another's link, with one that is over, and with one that was revoked. One who may is
let in, to see that the door opens at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import httpx2
import pytest
from fastapi import FastAPI

from noout.adapters.people import Passwords
from noout.app.access import Access, SignedIn, Tokens
from noout.app.access.audit import STREAM as RECORD
from noout.app.console import Showing
from noout.app.desk import Desk
from noout.app.drafting import Drafting
from noout.app.maintain import Maintenances
from noout.app.notice import reception_of, watcher_of
from noout.app.outbox import Outbox
from noout.app.portal import Portals
from noout.app.public.envelope import PATH
from noout.codec import encode
from noout.domain.access import Grant, Person, Right, Role, permits
from noout.domain.journal import Kind
from noout.domain.maintenance import Mode
from noout.domain.notices import Purpose
from noout.domain.workorder import Location
from noout.settings_access import AccessSettings
from noout.tell.checklist import make_work_order
from noout.web.app import WebServices, create_app
from noout.web.public import create_public_app
from noout.web.services import Console
from tests.sim.play import installation, settings_of
from tests.support.labsite import lab_site
from tests.support.virtual import run_virtual
from tests.unit.access.test_sign_in import HASH, PASSWORD, House
from tests.web.world import World

HERE, ELSEWHERE = "ams1", "rtm1"
SEE, OPERATE, APPROVE, ADMINISTER = Right
SESSION, TOKEN, LINK, OPEN, OTHERS = "a session", "a token", "a technician's link", "nothing", "its own secret"
CUSTOMER = "a customer's link"
WHY = {"reason": "x"}


@dataclass(frozen=True)
class Row:
    """``door``: what opens it. ``right``: which is needed; ``cluster`` None: in every cluster. ``lists``: whoever has a
    way in sees it, and in it what they may. ``json``, ``form``: a body that is as it has to be."""

    method: str
    path: str
    door: str
    right: Right = SEE
    cluster: str | None = HERE
    lists: bool = False
    json: Mapping[str, Any] | None = None
    form: Mapping[str, Any] | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    query: str = ""


def orders() -> Iterator[Row]:
    m = "/maintenances/{maintenance}"
    for kind, right in {
        "approve": APPROVE, "pause": OPERATE, "resume": OPERATE, "abort": OPERATE, "close-up": OPERATE,
        "let-heal": OPERATE, "force-off": OPERATE,
    }.items():  # fmt: skip
        yield Row("POST", f"/api/v1{m}/{kind}", TOKEN, right, json=WHY)
    for kind, right in {"approve": APPROVE, "pause": OPERATE, "abort": OPERATE}.items():
        yield Row("POST", f"{m}/{{kind}}", SESSION, right, form={"key": "k", "reason": "x"}, values={"kind": kind})


def technicians() -> Iterator[Row]:
    for base in ("/w/{token}", "/api/v1/technician/{token}"):
        page = base.startswith("/w")
        yield Row("GET", base, LINK)
        yield Row("GET", f"{base}/photo/{{digest}}", LINK)
        yield Row("POST", f"{base}/photo", LINK, query="" if page else "?check=x")
        for name, told in {
            "hands-on": {"serial": "WRONG123"}, "serial-again": {"serial": "WRONG123"}, "sign-off": {},
            "not-today": {"why": "x"}, "finding": {"check": "x", "answer": "done"},
        }.items():  # fmt: skip
            yield Row("POST", f"{base}/{name}", LINK, form=told | {"key": "k"} if page else None, json=told)


TABLE = (
    # Anybody, for they tell nothing of what noout does.
    *(Row("GET", path, OPEN) for path in ("/healthz", "/readyz", "/static/{name}", "/api/v1/openapi.json", "/sign-in")),
    Row("GET", "/sign-in/back", OPEN),
    Row("GET", "/w/worker.js", OPEN),
    Row("GET", "/w/{token}/offline", OPEN),
    Row("GET", "/metrics", OPEN),  # figures without a name
    Row("POST", "/sign-in", OPEN, form={"name": "x", "password": "x"}),
    Row("POST", "/sign-in/code", OPEN, form={"name": "x", "challenge": "x", "code": "123456"}),
    Row("POST", "/sign-in/leave", OPEN),
    Row("GET", "/status", OPEN),  # released, and about nobody
    Row("GET", "/status/{name}", OPEN),
    Row("POST", "/portal/leave", OPEN),
    # Customers: each their own.
    Row("GET", "/p/{token}", CUSTOMER),
    Row("GET", "/p/{token}/{name}", CUSTOMER, values={"name": "calendar.ics"}),
    Row("GET", "/portal", CUSTOMER),
    Row("GET", "/portal/verify", CUSTOMER),
    Row("GET", "/portal/message/{notice}", CUSTOMER),
    Row("POST", "/portal/message/{notice}/acknowledge", CUSTOMER),
    Row("GET", "/portal/report/{notice}.{kind}", CUSTOMER, values={"kind": "html"}),
    # Machines, each with a secret of its own.
    Row("POST", "/api/v1/alerts/{cluster}", OTHERS, json={}),
    Row("POST", "/api/v1/redfish-events", OTHERS, json={}),
    # Operators' pages.
    Row("GET", "/", SESSION, lists=True),
    Row("GET", "/maintenances", SESSION, lists=True),
    Row("GET", "/maintenances/{maintenance}", SESSION),
    Row("GET", "/maintenances/{maintenance}/now", SESSION),
    Row("GET", "/maintenances/{maintenance}/stream", SESSION),
    Row("GET", "/maintenances/{maintenance}/workorder", SESSION),
    Row("POST", "/maintenances/{maintenance}/workorder", SESSION, OPERATE, form={"technician": "ruben"}),
    Row("POST", "/maintenances/{maintenance}/workorder/revoke", SESSION, OPERATE, form={"link": "x"}),
    Row("GET", "/maintenances/{maintenance}/photos/{digest}", SESSION),
    Row("GET", "/maintenances/{maintenance}/{kind}", SESSION, values={"kind": "pause"}),
    Row("GET", "/nodes/{cluster}/{name}", SESSION),
    Row("GET", "/nodes/{cluster}/{name}/plan", SESSION),
    Row("POST", "/nodes/{cluster}/{name}/plan", SESSION, OPERATE, form={"plan": "plan-x", "mode": "step"}),
    Row("GET", "/nodes/{cluster}/{name}/not-now", SESSION),
    Row("POST", "/nodes/{cluster}/{name}/not-now", SESSION, OPERATE, form={"days": "7", "reason": "x"}),
    Row("GET", "/owned/{cluster}", SESSION),
    Row("POST", "/owned/{cluster}", SESSION, ADMINISTER, form={"kind": "noout", "subject": "pve3"}),
    Row("GET", "/standstill", SESSION, ADMINISTER, cluster=None),
    Row("POST", "/standstill", SESSION, ADMINISTER, cluster=None, form={"do": "stop", "reason": "x"}),
    Row("GET", "/record", SESSION, ADMINISTER, cluster=None),
    Row("POST", "/sign-out", SESSION, lists=True, form={}),
    # Programs.
    Row("GET", "/api/v1/maintenances", TOKEN, lists=True),
    Row("POST", "/api/v1/maintenances", TOKEN, OPERATE, json={"node": f"{HERE}/pve4"}),
    Row("GET", "/api/v1/maintenances/{maintenance}", TOKEN),
    Row("GET", "/api/v1/maintenances/{maintenance}/journal", TOKEN),
    Row("GET", "/api/v1/maintenances/{maintenance}/workorder", TOKEN),
    Row("POST", "/api/v1/maintenances/{maintenance}/confirm", TOKEN, OPERATE, json={"action": "x"}),
    Row("POST", "/api/v1/maintenances/{maintenance}/extend", TOKEN, OPERATE, json={"hours": 1}),
    Row("POST", "/api/v1/maintenances/{maintenance}/workorder/link", TOKEN, OPERATE, json={"technician": "ruben"}),
    Row("GET", "/api/v1/maintenances/{maintenance}/workorder/links", TOKEN),
    Row("DELETE", "/api/v1/maintenances/{maintenance}/workorder/links/{link}", TOKEN, OPERATE),
    Row("GET", "/api/v1/clusters/{cluster}/nodes/{node}/plan", TOKEN),
    Row("POST", "/api/v1/clusters/{cluster}/nodes/{node}/proposals/snooze", TOKEN, OPERATE, json=WHY),
    Row("POST", "/api/v1/clusters/{cluster}/nodes/{node}/proposals/decline", TOKEN, OPERATE, json=WHY),
    Row("GET", "/api/v1/proposals", TOKEN, lists=True),
    Row("GET", "/api/v1/ledger", TOKEN, lists=True),
    Row("POST", "/api/v1/ledger/release", TOKEN, ADMINISTER, json={"cluster": HERE, "kind": "noout", "subject": "x"}),
    Row("GET", "/api/v1/standstill", TOKEN, lists=True),
    Row("POST", "/api/v1/standstill/stop", TOKEN, ADMINISTER, cluster=None, json=WHY),
    Row("POST", "/api/v1/standstill/allow", TOKEN, ADMINISTER, cluster=None),
    Row("GET", "/api/v1/audit", TOKEN, ADMINISTER, cluster=None),
    Row("GET", "/api/v1/webhooks", TOKEN, ADMINISTER, cluster=None),
    *orders(),
    *technicians(),
    Row("GET", "/w/{token}/verdict", LINK),
    Row("GET", "/w/{token}/offline", LINK),
)  # fmt: skip


def routes_of(app: FastAPI) -> set[tuple[str, str]]:
    """(method, path) of every route, whichever way it came into the application."""
    found = set[tuple[str, str]]()
    for route in app.routes:
        each = list(route.effective_route_contexts()) if hasattr(route, "effective_route_contexts") else [route]
        for one in each:
            methods = set(getattr(one, "methods", None) or ()) - {"HEAD"}
            assert methods, f"{one!r}: a route of no known kind"
            found |= {(method, one.path) for method in methods}
    return found


@dataclass
class Actor:
    """Whoever tries. ``link``: of the technician; ``device``: theirs, "" for a new one."""

    name: str
    person: Person | None = None
    session: SignedIn | None = None
    token: str = ""
    link: str = "m.guessed"
    device: str = ""
    portal: str = "guessed"  # secret of a customer's link


class Passwordless:
    """Everybody's is right: how they are checked is tested elsewhere, and takes threads."""

    async def knows(self, name: str, password: str) -> bool:
        return password == PASSWORD


class Place:
    """An installation over a lab, with a maintenance whose work order is issued, and everybody who may want in."""

    async def make(self) -> Place:
        lab = lab_site()
        settings = settings_of(lab)
        tell = settings.tell.model_copy(update={"channels": ["portal", "calendar", "feed"]})
        self.found, self.store = installation(lab, settings.model_copy(update={"tell": tell}))
        watcher = watcher_of(self.found)
        self.mid = await Desk(self.found, watcher).begin(
            lab.node("pve3"), reason="whirring", mode=Mode.STEP, actor="operator:x", approves=False
        )
        m = await Maintenances(self.found).get(self.mid)
        order = make_work_order(m, Location("R2", "B07", "U14", "CZ2D5007K41"), "WO-1")
        await self.store.append(self.mid, m.seq, Kind.WORK_ORDER, {"work_order": encode(order)})
        names = {f"{role}-{cluster}": (role, cluster) for role in Role for cluster in (HERE, ELSEWHERE)}
        access = AccessSettings.model_validate({
            "users": {name: {"hash": HASH} for name in names} | {"admin": {"hash": HASH}},
            "grants": [
                {"who": name, "role": role.value, "clusters": [cluster]} for name, (role, cluster) in names.items()
            ] + [{"who": "admin", "role": "admin"}],
        })  # fmt: skip
        hashes = dict.fromkeys([*names, "admin"], HASH)
        passwords = cast(Passwords, Passwordless())
        self.access = Access(access, self.store, self.found.sittings, self.found.clock, passwords, {})
        self.tokens = Tokens(self.store, self.found.clock)
        self.work = Maintenances(self.found).field_work()
        services = WebServices(
            self.work, Maintenances(self.found).all, self.tokens.person, reception_of(self.found, watcher),
            console=Console(self.access, Showing(self.found, watcher)), portal=Portals(self.found),
        )  # fmt: skip
        self.app = create_app(services)
        network = httpx2.ASGITransport(self.app)
        self.client = httpx2.AsyncClient(transport=network, base_url="http://noout.test")  # opens nothing
        outside = await self.customers()  # first, for their links to be over by the time they are tried
        self.actors = [Actor("nobody"), *await self.technicians(), *outside]
        for name in hashes:
            signed = await self.access.sign_in(name, PASSWORD, "192.0.2.1")
            assert isinstance(signed, SignedIn)
            self.actors.append(Actor(f"session of {name}", signed.session.person, session=signed))
            token = await self.tokens.make(name, signed.session.person.grants, 1, "operator:x")
            self.actors.append(Actor(f"token of {name}", Person(name, signed.session.person.grants), token=token))
        return self

    async def customers(self) -> list[Actor]:
        """Who reads of the work, with a notice that is released to the first of them."""
        portals, outbox = Portals(self.found), Outbox(self.found)
        notice = next(iter(await Drafting(self.found).look()))
        await outbox.release(notice.id, "operator:x")
        self.notice, whose = notice.id, notice.customer
        others = [each.key for each in self.found.customers if each.key != whose]

        async def holding(name: str, customer: str, days: float = 1) -> Actor:
            return Actor(name, portal=await portals.make_link(customer, Purpose.PORTAL, "operator:x", days))

        made = [
            await holding("a customer", whose),
            await holding("a customer with a link that is over", whose, 1 / 86400),
            await holding("another customer", others[0]),
            await holding("a customer with a link that was revoked", others[1]),
        ]
        await portals.revoke(others[1], "operator:x")
        return made

    async def technicians(self) -> list[Actor]:
        good, _ = await self.work.make_link(self.mid, "ruben")
        self.device = (await self.work.enter(good, None)).device
        old, _ = await self.work.make_link(self.mid, "ruben", valid_s=1)
        revoked, _ = await self.work.make_link(self.mid, "ruben")
        await self.work.revoke_link(self.mid, (await self.work.links(self.mid))[-1].id, "operator:x")
        self.spare = (await self.work.links(self.mid))[-1].id
        await asyncio.sleep(5)
        return [
            Actor("a technician", link=good, device=self.device),
            Actor("a technician on another device", link=good, device="another"),
            Actor("a technician with a link that is over", link=old),
            Actor("a technician with a link that was revoked", link=revoked),
        ]

    async def kept(self) -> dict[str, Any]:
        """All that is written down, but who came in."""
        streams = [each for each in await self.store.streams() if each != RECORD]
        return dict(await self.store.heads(streams))

    async def tries(self, row: Row, actor: Actor) -> httpx2.Response | None:
        """The answer; None for one that has begun and does not end."""
        values = {
            "maintenance": self.mid, "cluster": HERE, "node": "pve4", "name": "pve4", "token": actor.link,
            "link": self.spare, "digest": "0" * 64, "notice": self.notice,
        } | dict(row.values) | ({"token": actor.portal} if row.door == CUSTOMER else {})  # fmt: skip
        if row.path.startswith("/static"):
            values["name"] = "tokens.css"
        form = None if row.form is None else dict(row.form)
        headers = {"authorization": f"Bearer {actor.token}"} if actor.token else {}
        cookies = [f"noout_device={actor.device}"] if actor.device else []
        cookies.append(f"noout_portal={actor.portal}")
        if actor.session is not None:
            cookies.append(f"noout_session={actor.session.secret}")
            if form is not None:
                form["csrf"] = actor.session.session.csrf
        headers |= {"cookie": "; ".join(cookies)} if cookies else {}
        path = row.path.format(**values) + row.query
        with suppress(TimeoutError):
            async with asyncio.timeout(30):
                answer = await self.client.request(
                    row.method, path, json=None if form else row.json, data=form, headers=headers
                )
                self.client.cookies.clear()
                return answer
        return None


def opens(row: Row, actor: Actor) -> bool:
    if row.door == OPEN:
        return True
    if row.door == LINK:
        return actor.name == "a technician"
    if row.door == CUSTOMER:
        return actor.name == "a customer" or (actor.name == "another customer" and "{notice}" not in row.path)
    if row.door == OTHERS or actor.person is None:
        return False
    if (actor.session is not None) is not (row.door == SESSION):
        return False
    return row.lists or actor.person.may(row.right, row.cluster)


def shut(row: Row, actor: Actor) -> set[int]:
    """With what it is said."""
    if row.door == LINK:
        return {403, 404} if actor.device == "another" else {404}
    if row.door == CUSTOMER:
        return {404}
    if row.door == OTHERS:
        return {401, 403, 404, 503}
    inside = actor.person is not None and (actor.session is not None) is (row.door == SESSION)
    if not inside:
        return {303} if row.door == SESSION else {401}
    assert actor.person is not None
    seen = row.cluster is None or actor.person.may(SEE, row.cluster)
    if row.door == SESSION:  # a page with a locked button says what opens it
        return {403, 404, 409} if seen else {404}
    return {403} if seen else {403, 404}


def lowest(place: Place, row: Row) -> Actor | None:
    """Of those who may, the one who may least."""
    may = [actor for actor in place.actors if opens(row, actor)]
    ranked = [each for each in may if each.person is None or HERE in each.name] or may
    role = next((role for role in Role if permits(role, row.right)), Role.ADMIN)
    return next((each for each in ranked if f"{role}-{HERE}" in each.name), ranked[0] if ranked else None)


async def _refused(place: Place, row: Row) -> Iterator[str]:
    """Everybody who may not tries it: what went wrong with that."""
    wrong = []
    for actor in (each for each in place.actors if not opens(row, each)):
        answer = await place.tries(row, actor)
        status = answer.status_code if answer is not None else 200
        said = f"{row.method} {row.path} {dict(row.values)} as {actor.name}: {status}"
        if status not in shut(row, actor):
            wrong.append(said)
        if answer is not None and ("whirring" in answer.text or "WO-1" in answer.text):
            sees = actor.person is not None and actor.person.may(SEE, HERE)
            wrong += [f"{said}, and tells of it"] if not sees else []
    return iter(wrong)


async def _let_in(place: Place, row: Row) -> Iterator[str]:
    """Who may tries it; where it lists what each may see, all of them."""
    wrong = []
    some = [lowest(place, row)] if not row.lists else [each for each in place.actors if opens(row, each)]
    for actor in (each for each in some if each is not None):
        answer = await place.tries(row, actor)
        status = answer.status_code if answer is not None else 200
        said = f"{row.method} {row.path} {dict(row.values)} as {actor.name}: {status}"
        not_there = row.door == OPEN or row.path.endswith(("{digest}", "/photo", "/acknowledge", ".{kind}"))
        if status in (401, 500) or (status in (403, 404, 422) and not not_there):
            wrong.append(said)
        sees = actor.person is not None and actor.person.may(SEE, HERE)
        if row.lists and answer is not None and not sees and HERE in answer.text.replace(actor.name, ""):
            wrong.append(f"{said}, and shows something of {HERE}")
    return iter(wrong)


def test_every_route_is_in_the_table_and_the_table_knows_no_other() -> None:
    console = Console(House().access, cast(Any, SimpleNamespace()))
    routes = routes_of(create_app(replace(World().services(), console=console, portal=cast(Any, SimpleNamespace()))))
    known = {(row.method, row.path) for row in TABLE}
    assert routes - known == set(), "say in the table who may"
    assert known - routes == set(), "these are gone"


def test_the_public_process_has_none_of_an_operators_routes() -> None:
    routes = routes_of(create_public_app(cast(Any, SimpleNamespace()), "")) - {("POST", PATH)}
    doors = {(row.method, row.path): row.door for row in TABLE}
    assert {doors[each] for each in routes} == {OPEN, LINK, CUSTOMER}
    assert {path for _, path in routes if path.startswith("/api/") and "/technician/" not in path} == set()


@pytest.mark.slow
def test_each_route_opens_to_those_in_the_table_and_to_nobody_else() -> None:
    async def main() -> None:
        place = await Place().make()
        before = await place.kept()
        wrong = [said for row in TABLE for said in await _refused(place, row)]
        assert not wrong, "\n".join(wrong)
        assert await place.kept() == before, "somebody who may not has changed something"
        wrong = [said for row in TABLE for said in await _let_in(place, row)]
        assert not wrong, "\n".join(wrong)

    run_virtual(main())


def test_a_grant_for_some_clusters_is_none_for_the_whole() -> None:
    person = Person("x", (Grant(Role.ADMIN, frozenset({HERE, ELSEWHERE})),))
    assert person.may(ADMINISTER, HERE) and not person.may(ADMINISTER, None)
    assert replace(person, grants=(Grant(Role.ADMIN),)).may(ADMINISTER, None)
