"""Mail: text and a page of tables and attributes alone (no style, no image, no tracker), handed to one mail server."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from functools import cache

import aiosmtplib
from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape

from noout.domain.errors import Refused, Retryable
from noout.domain.notices import Text

WHOLE_S = 60.0


@dataclass(frozen=True, slots=True)
class Envelope:
    """``id``: the same however often this message is sent to this reader, so that a second one can be recognised.
    ``attached``: file name -> (media type with parameters, content)."""

    id: str
    sender: str
    sender_name: str
    to: str
    to_name: str
    reply_to: str
    attached: Mapping[str, tuple[str, bytes]]


def compose(text: Text, envelope: Envelope) -> EmailMessage:
    """Both parts say the same."""
    message = EmailMessage(policy=SMTP.clone(max_line_length=78))
    message["Subject"] = " ".join(text.subject.split())
    message["From"] = _address(envelope.sender_name, envelope.sender)
    message["To"] = _address(envelope.to_name, envelope.to)
    if envelope.reply_to:
        message["Reply-To"] = _address("", envelope.reply_to)
    message["Message-ID"] = f"<{envelope.id}@{envelope.sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(plain(text, envelope.to_name))
    message.add_alternative(_template().render(text=text, name=envelope.to_name), subtype="html")
    for name, (kind, content) in envelope.attached.items():
        main, _, sub = kind.partition(";")[0].partition("/")
        message.add_attachment(content, maintype=main, subtype=sub, filename=name)
    message["Content-Language"] = text.language  # last: what is added moves such headers into a part
    return message


def plain(text: Text, name: str = "") -> str:
    """As text: what a reader without a browser gets."""
    lines = [*([f"{name},", ""] if name else []), text.lede, ""]
    for line in text.lines:
        lines += [line.label, f"  {line.text}", ""]
    return "\n".join([*lines, *text.closing]) + "\n"


class Mailer:
    """One server, and how it is reached. ``tls``: "starttls" (wanted, not tried), "implicit" or "none"."""

    def __init__(
        self, host: str, port: int, tls: str, context: ssl.SSLContext | None, user: str | None, password: str | None
    ) -> None:
        self._host, self._port, self._tls, self._context = host, port, tls, context
        self._user, self._password = user, password

    async def send(self, message: EmailMessage) -> None:
        """Once. Retryable where it may be taken later; Refused where it never will be."""
        try:
            await aiosmtplib.send(
                message, hostname=self._host, port=self._port, username=self._user, password=self._password,
                use_tls=self._tls == "implicit", start_tls=self._tls == "starttls",
                tls_context=self._context if self._tls != "none" else None, timeout=WHOLE_S,
            )  # fmt: skip
        except aiosmtplib.SMTPRecipientsRefused as error:
            _refused(error.recipients[0].code, error.recipients[0].message)
        except aiosmtplib.SMTPResponseException as error:
            _refused(error.code, error.message)
        except (aiosmtplib.SMTPException, OSError) as error:
            raise Retryable(f"{self._host} does not take mail: {error}") from None


def _refused(code: int, message: str) -> None:
    said = " ".join(f"{code} {message}".split())[:200]
    if 500 <= code < 600:
        raise Refused(f"the mail was refused: {said}", remedy="check the address: noout customers contacts")
    raise Retryable(f"the mail was not taken yet: {said}")


def _address(name: str, mail: str) -> Address:
    user, _, domain = mail.rpartition("@")
    return Address(name, user, domain)


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("noout.adapters.notify"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("mail.html")
