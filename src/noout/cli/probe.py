"""``noout probe``: a vantage point for another noout, without a configuration, a store or any access of its own."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from noout.app.vantage import vantage_point
from noout.cli.options import out, wait
from noout.domain.errors import UsageError
from noout.settings import read_secret
from noout.web.vantage import vantage_app


def probe(
    token_file: Annotated[Path, typer.Option("--token-file", metavar="FILE", help="Who has this token may ask.")],
    listen: Annotated[str, typer.Option("--listen", metavar="HOST:PORT", help="Where.")] = "127.0.0.1:8443",
    certificate: Annotated[
        Path | None, typer.Option("--certificate", metavar="FILE", help="PEM; needed beyond this machine.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", metavar="FILE", help="The certificate's key.")] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NETWORK", help="Ask addresses within only; may be repeated."),
    ] = None,
    contact: Annotated[str, typer.Option("--contact", metavar="TEXT", help="Told to whoever wonders who asks.")] = "",
    per_s: Annotated[int, typer.Option("--per-s", min=1, help="Questions a second at the most.")] = 1000,
    per_host_per_s: Annotated[int, typer.Option("--per-host-per-s", min=1, help="And to one address.")] = 20,
) -> None:
    """Ask customers' services from here for another noout, until Ctrl-C: one of its `[probes.vantage]`."""
    host, port = _place(listen)
    if certificate is None and not ipaddress.ip_address(host).is_loopback:
        raise UsageError(
            f"--listen {listen}: the token would be sent in plain text", remedy="give --certificate and --key"
        )
    if (certificate is None) != (key is None):
        raise UsageError("--certificate and --key belong together", remedy="give both")
    for network in only or []:
        try:
            ipaddress.ip_network(network)
        except ValueError:
            raise UsageError(f"--only {network}: is no network", remedy="for example 192.0.2.0/24") from None
    token = read_secret(token_file, "--token-file")

    async def work() -> None:
        async with vantage_point(per_s, per_host_per_s, contact, only or []) as (prober, clock):
            settings = uvicorn.Config(
                vantage_app(prober, clock, token), host=host, port=port, log_config=None, access_log=False,
                server_header=False, ssl_certfile=certificate, ssl_keyfile=key,
            )  # fmt: skip
            out.print(f"asking for whoever has the token, at {listen}. Stop with Ctrl-C.")
            await uvicorn.Server(settings).serve()

    wait(work(), lasting=True)


def _place(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    try:
        return str(ipaddress.ip_address(host.strip("[]"))), int(port)
    except ValueError:
        raise UsageError(f"--listen {listen}: is not ADDRESS:PORT", remedy="for example 127.0.0.1:8443") from None
