"""OpenID Connect: the code flow with PKCE (RFC 7636), a state and a nonce; authlib carries it out.

The identity provider's word is taken for who somebody is and which groups they are in; it is signed by a key of its
own (never a shared secret, never unsigned), meant for this client, fresh, and an answer to this very question.
"""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from noout.domain.errors import Broken, Refused, Retryable

DISCOVERY = "/.well-known/openid-configuration"
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
LEEWAY_S = 60
TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Leaving:
    """Where to send the browser, and what must be kept until it comes back (single use)."""

    url: str
    state: str
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)


class Provider:
    """One identity provider."""

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: str | None,
        *,
        tls: ssl.SSLContext | None = None,
        scopes: Sequence[str] = ("openid", "profile", "email"),
        name_claim: str = "preferred_username",
        groups_claim: str = "groups",
    ) -> None:
        self.issuer = issuer.rstrip("/")
        self._client_id, self._secret = client_id, client_secret
        self._tls, self._scope = tls, " ".join(scopes)
        self._name_claim, self._groups_claim = name_claim, groups_claim
        self._metadata: Mapping[str, Any] | None = None

    async def leave(self, back_to: str) -> Leaving:
        """``back_to``: our own address, which the provider knows as one of this client's."""
        metadata = await self._known()
        verifier, nonce = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
        async with self._client(back_to) as client:
            url, state = client.create_authorization_url(
                metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce
            )
        return Leaving(url, state, nonce, verifier)

    async def back(self, leaving: Leaving, answer: Mapping[str, str], back_to: str) -> tuple[str, frozenset[str]]:
        """``answer``: the query with which the browser came back. Who it is, and their groups; Refused when not."""
        if not secrets.compare_digest(answer.get("state", "").encode(), leaving.state.encode()):
            raise Refused("that is no answer to this sign-in", remedy="begin again")
        if "code" not in answer:
            raise Refused(f"the identity provider said no ({answer.get('error', 'no reason given')[:60]})")
        metadata = await self._known()
        try:
            async with self._client(back_to) as client:
                token = await client.fetch_token(
                    metadata["token_endpoint"], grant_type="authorization_code", code=answer["code"],
                    code_verifier=leaving.verifier,
                )  # fmt: skip
        except AuthlibBaseError as error:
            raise Refused(f"the identity provider said no ({str(error)[:100]})") from None
        except (httpx2.HTTPError, ValueError) as error:
            raise Retryable(f"the identity provider does not answer: {error!r}") from None
        return self._read(token, await self._get(metadata["jwks_uri"]), leaving.nonce)

    def _read(self, token: Mapping[str, Any], keys: Any, nonce: str) -> tuple[str, frozenset[str]]:
        try:
            signed = jwt.decode(
                str(token.get("id_token")), KeySet.import_key_set(keys),
                registry=jws.JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False),
            )  # fmt: skip
            claims = CodeIDToken(
                signed.claims,
                signed.header,
                {"iss": {"essential": True, "value": self.issuer_said}, "aud": {"essential": True}},
                {"nonce": nonce, "client_id": self._client_id, "access_token": token.get("access_token")},
            )
            claims.validate(leeway=LEEWAY_S)
        except (JoseError, AuthlibBaseError, ValueError, TypeError, KeyError) as error:
            raise Refused(f"what the identity provider signed does not hold: {error}") from None
        audience = claims["aud"]
        if self._client_id not in (audience if isinstance(audience, list) else [audience]):
            raise Refused("what the identity provider signed is meant for another program")
        name = claims.get(self._name_claim)
        if not isinstance(name, str) or not name.strip():
            raise Refused(
                f"the identity provider named nobody (no claim {self._name_claim})",
                remedy="set access.oidc.name_claim to a claim that it sends",
            )
        groups = claims.get(self._groups_claim) or ()
        listed = [groups] if isinstance(groups, str) else groups
        return name, frozenset(each for each in listed if isinstance(each, str))

    @property
    def issuer_said(self) -> str:
        """As the provider itself writes it: with or without a slash at its end."""
        return str((self._metadata or {}).get("issuer", self.issuer))

    async def _known(self) -> Mapping[str, Any]:
        if self._metadata is not None:
            return self._metadata
        found = await self._get(self.issuer + DISCOVERY)
        wanted = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")
        if not isinstance(found, dict) or not all(isinstance(found.get(key), str) for key in wanted):
            raise Broken(f"{self.issuer}{DISCOVERY} is no description of an identity provider")
        if found["issuer"].rstrip("/") != self.issuer:
            raise Broken(
                f"{self.issuer} calls itself {found['issuer']}", remedy="set access.oidc.issuer to what it says"
            )
        if self.issuer.startswith("https:") and any(urlsplit(found[key]).scheme != "https" for key in wanted):
            raise Broken(f"{self.issuer} names an address that is not https")
        self._metadata = found
        return found

    async def _get(self, url: str) -> Any:
        try:
            async with httpx2.AsyncClient(verify=self._verify(), trust_env=False, timeout=TIMEOUT_S) as client:
                return (await client.get(url)).raise_for_status().json()
        except (httpx2.HTTPError, ValueError) as error:
            raise Retryable(f"the identity provider {self.issuer} does not answer: {error!r}") from None

    def _client(self, back_to: str) -> AsyncOAuth2Client:
        return AsyncOAuth2Client(
            self._client_id, self._secret, scope=self._scope, redirect_uri=back_to, code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_basic" if self._secret else "none",
            verify=self._verify(), trust_env=False, timeout=TIMEOUT_S,
        )  # fmt: skip

    def _verify(self) -> ssl.SSLContext | bool:
        return self._tls if self._tls is not None else True
