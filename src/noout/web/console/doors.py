"""Who is at the browser: the session's cookie, what every form has to bring along, and the pages to sign in."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from noout.app.access import Access, Challenge, SignedIn
from noout.domain.access import Session
from noout.domain.errors import NooutError, Refused
from noout.web.api.who import address
from noout.web.console.view import render

COOKIE, AWAY_COOKIE = "noout_session", "noout_away"
BACK_PATH = "/sign-in/back"
AWAY_S, CHARS_MAX = 600, 4000
Text = Annotated[str, Form(max_length=200)]
Secret = Annotated[str, Form(max_length=1000)]


class NotSignedIn(Exception):
    """``to``: where somebody wanted to go."""

    def __init__(self, to: str) -> None:
        self.to = to


class Foreign(Exception):
    """A form that was not sent from our own page by the session's own browser."""


class Doors:
    """``base_url``: what this noout is called from outside; "" where requests come to it directly."""

    def __init__(self, access: Access, base_url: str) -> None:
        self.access, self.base_url = access, base_url.rstrip("/")

    def is_secure(self, request: Request) -> bool:
        return (self.base_url or str(request.base_url)).startswith("https:")

    def cookie(self, request: Request, name: str) -> str:
        """Where it is encrypted, a name that no other host of the domain can set (RFC 6265bis, 4.1.3.2)."""
        return f"__Host-{name}" if self.is_secure(request) else name

    async def session(self, request: Request) -> Session:
        """Raises NotSignedIn."""
        secret = request.cookies.get(self.cookie(request, COOKIE), "")
        session = await self.access.session(secret) if secret else None
        if session is None:
            raise NotSignedIn(request.url.path if request.method == "GET" else "/")
        return session

    async def acting(self, request: Request) -> Session:
        """The session of a form that was sent from our own page; raises Foreign for another's."""
        session = await self.session(request)
        self.from_here(request)
        form = await request.form()
        if not secrets.compare_digest(str(form.get("csrf", "")).encode(), session.csrf.encode()):
            raise Foreign
        return session

    def from_here(self, request: Request) -> None:
        """By the browser's own word (Fetch Metadata, else Origin); a client that says neither is no browser."""
        site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
        if site is not None and site not in ("same-origin", "none"):
            raise Foreign
        ours = {urlsplit(self.base_url).netloc, request.headers.get("host")} - {""}
        if site is None and origin is not None and urlsplit(origin).netloc not in ours:
            raise Foreign

    def back_to(self, request: Request) -> str:
        return (self.base_url or str(request.base_url).rstrip("/")) + BACK_PATH

    def enter(self, request: Request, found: SignedIn, to: str) -> Response:
        answer = RedirectResponse(local(to), 303)
        answer.set_cookie(
            self.cookie(request, COOKIE), found.secret, httponly=True, samesite="lax", path="/",
            secure=self.is_secure(request),
        )  # fmt: skip
        return answer


def local(path: str) -> str:
    """A path of ours, whatever was asked for."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if plain else "/"


Trying = Callable[[], Awaitable[SignedIn | Challenge]]


def _page(access: Access, status: int, to: str, **more: object) -> Response:
    shown = {
        "to": local(to), "clusters": access.clusters, "users": bool(access.settings.users), "error": None,
        "label": access.settings.oidc.label if access.settings.oidc else "", "name": "", "challenge": "",
    }  # fmt: skip
    return HTMLResponse(render("sign-in.html", **(shown | more)), status)


async def _tried(doors: Doors, request: Request, to: str, name: str, trying: Trying) -> Response:
    """Inside, or the page again with what is still wanted, or was wrong."""
    try:
        found = await trying()
    except Refused as error:
        return _page(doors.access, 403, to, name=name, error=error)
    except NooutError as error:
        return _page(doors.access, 503, to, name=name, error=error)
    if isinstance(found, Challenge):
        return _page(doors.access, 200, to, name=name, challenge=found.text)
    return doors.enter(request, found, to)


def sign_in_pages(doors: Doors) -> APIRouter:
    """``/sign-in`` and what follows it, ``/sign-out``."""
    routes = APIRouter(include_in_schema=False)
    _add_passwords(routes, doors)
    _add_provider(routes, doors)

    @routes.post("/sign-out")
    async def sign_out(request: Request) -> Response:
        await doors.access.sign_out(await doors.acting(request))
        answer = RedirectResponse("/sign-in", 303)
        answer.delete_cookie(doors.cookie(request, COOKIE), path="/", secure=doors.is_secure(request))
        return answer

    return routes


def _add_passwords(routes: APIRouter, doors: Doors) -> None:
    access = doors.access

    @routes.get("/sign-in")
    async def sign_in(to: str = "/") -> Response:
        return _page(access, 200, to)

    @routes.post("/sign-in")
    async def by_password(request: Request, name: Text, password: Secret, to: Text = "/") -> Response:
        doors.from_here(request)
        return await _tried(doors, request, to, name, lambda: access.sign_in(name.strip(), password, address(request)))

    @routes.post("/sign-in/code")
    async def by_code(
        request: Request, name: Text, challenge: Annotated[str, Form(max_length=4000)], code: Text, to: Text = "/"
    ) -> Response:
        doors.from_here(request)

        async def trying() -> SignedIn:
            return await access.second_factor(name, challenge, code.strip(), address(request))

        return await _tried(doors, request, to, name, trying)


def _add_provider(routes: APIRouter, doors: Doors) -> None:
    access = doors.access

    @routes.post("/sign-in/leave")
    async def leave(request: Request) -> Response:
        doors.from_here(request)
        try:
            url, secret = await access.leave(doors.back_to(request))
        except NooutError as error:
            return _page(access, 503, "/", error=error)
        answer = RedirectResponse(url, 303)
        answer.set_cookie(
            doors.cookie(request, AWAY_COOKIE), secret, httponly=True, samesite="lax", path="/", max_age=AWAY_S,
            secure=doors.is_secure(request),
        )  # fmt: skip
        return answer

    @routes.get(BACK_PATH)
    async def back(request: Request) -> Response:
        secret = request.cookies.get(doors.cookie(request, AWAY_COOKIE), "")
        told = {key: value[:CHARS_MAX] for key, value in request.query_params.items()}

        async def trying() -> SignedIn:
            return await access.back(secret, told, doors.back_to(request), address(request))

        answer = await _tried(doors, request, "/", "", trying)
        answer.delete_cookie(doors.cookie(request, AWAY_COOKIE), path="/", secure=doors.is_secure(request))
        return answer


def to_sign_in(to: str) -> Response:
    return RedirectResponse(f"/sign-in?to={quote(local(to))}", 303)
