"""``noout init``: write a configuration for a cluster and explain how noout is let in. Changes nothing there."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.markup import escape
from rich.padding import Padding

from noout.app.connect.file import configuration
from noout.app.connect.found import Connection, certificate, connect, entry_point, spelt
from noout.app.connect.steps import steps
from noout.cli.options import err, out, print_plain, wait, working
from noout.domain.errors import UsageError
from noout.settings import SEARCHED, read_secret


def init(
    url: Annotated[
        str | None, typer.Argument(metavar="URL", help="A node's API, for example https://pve1.example.net:8006.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="What to call the cluster; else as it calls itself.")
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file", metavar="FILE", help="A file with user@realm!name=secret: to look into the cluster."
        ),
    ] = None,
    fingerprint: Annotated[
        str | None,
        typer.Option(
            "--fingerprint", metavar="SHA256", help="The certificate that URL must show; else trust on first use."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Trust the certificate that is shown, without asking.")] = False,
    read_only: Annotated[bool, typer.Option("--read-only", help="Explain rights to look and plan alone.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over a configuration that is there.")] = False,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Where to write it (else NOOUT_CONFIG, ./noout.toml)."),
    ] = None,
) -> None:
    """Write noout.toml for a cluster, and explain each command that lets noout in.

    Changes nothing on the cluster. Pins the certificate that URL shows; with --token-file it looks into the cluster
    and fills in nodes, CRUSH names, pools and tags. Run it again then, with --force.
    """
    path = config or Path(os.environ.get("NOOUT_CONFIG") or SEARCHED[0])
    if path.exists() and not force:
        raise UsageError(f"{path} is there already", remedy="--force writes over it; --config FILE writes another")
    wanted = entry_point(url or _asked())
    with working(f"asking {wanted} for its certificate"):
        pin = wait(certificate(wanted, fingerprint))
    _say_certificate(wanted, pin, named=fingerprint is not None)
    if token_file is None:
        found = Connection(name or _called(wanted), wanted, {urlsplit(wanted).netloc: pin})
    else:
        token = read_secret(token_file, "--token-file")
        if fingerprint is None and not yes:
            _confirm()
        with working("looking into the cluster"):
            found = replace(wait(connect(wanted, pin, token, name)), token_file=_seen_from(path, token_file))
        assert found.cluster is not None
        seen = found.cluster
        ceph = "with" if found.has_ceph else "without"
        said = f"{found.name}: {len(seen.nodes)} nodes, {seen.guests} guests, {ceph} Ceph"
        print_plain([f"{said}; {len(found.pins)} entry points answer"])
    _write(path, configuration(found), force)
    print_plain([f"wrote {path}", ""])
    _explain(found, path, read_only)


def _seen_from(config: Path, file: Path) -> str:
    """A file as the configuration names it: from its own folder where it lies there."""
    here, there = config.absolute().parent, file.absolute()
    return str(there.relative_to(here)) if there.is_relative_to(here) else str(there)


def _asked() -> str:
    if not sys.stdin.isatty():
        raise UsageError("which cluster?", remedy="noout init https://pve1.example.net:8006")
    return str(typer.prompt("A node's API", default="https://pve1.example.net:8006", show_default=True))


def _called(url: str) -> str:
    """A name for a cluster that was not asked: the first label of its host, or "cluster" for a bare address."""
    label = (urlsplit(url).hostname or "").partition(".")[0]
    return label if label and not label.isdigit() and ":" not in label else "cluster"


def _say_certificate(url: str, pin: str, *, named: bool) -> None:
    print_plain([f"{urlsplit(url).netloc} shows the certificate", f"  {spelt(pin)}"])
    if named:
        print_plain(["  which is the one you named."])
        return
    print_plain(
        [
            "  This is trust on first use: nobody vouches for it but the network between here and there. Compare it",
            "  with what the node says of itself:",
            "  openssl x509 -in /etc/pve/local/pve-ssl.pem -noout -fingerprint -sha256",
        ]
    )


def _confirm() -> None:
    if not sys.stdin.isatty():
        raise UsageError(
            "the token would be sent to a server that nobody has vouched for",
            remedy="name its certificate with --fingerprint, or say --yes",
        )
    if not typer.confirm("Is it the node's own?"):
        raise UsageError("then nothing is sent to it", remedy="find out who answers there")


def _write(path: Path, text: str, force: bool) -> None:
    """Readable by all: it holds no secret. Never over another file by accident, never half."""
    try:
        if not force:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            return
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        fresh.write_text(text, encoding="utf-8")
        fresh.chmod(0o644)
        os.replace(fresh, path)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", remedy="choose another place with --config"
        ) from None


def _explain(found: Connection, path: Path, read_only: bool) -> None:
    folder = str(path.absolute().parent)
    script = str(files("noout").joinpath("data", "noout-shell"))
    for number, step in enumerate(steps(found, folder, script, read_only=read_only), 1):
        out.print(f"[bold]{number}. {escape(step.title)}[/]")
        out.print(Padding.indent(escape(step.why), 3))
        print_plain([f"     {command}" for command in step.commands])
        out.print()
    where = "" if path.name == "noout.toml" and path.parent == Path() else f" --config {path}"
    if found.cluster is None:
        err.print("With the token in its file, `noout init … --token-file FILE --force` fills in nodes and names.")
    print_plain([f"Next: noout check{where}"])
