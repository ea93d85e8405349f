"""A real Prometheus with a real Alertmanager behind it, from Debian's packages, on loopback."""

from __future__ import annotations

import contextlib
import http.server
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

READY_WALL_S = 30.0
PROGRAMS = ("prometheus", "prometheus-alertmanager")
PROMETHEUS = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["127.0.0.1:{alertmanager}"]}}]}}]}}
rule_files: ["rules.yml"]
scrape_configs:
  - job_name: exporters
    static_configs: [{{targets: ["127.0.0.1:{exporter}"]}}]
    relabel_configs: [{{target_label: instance, replacement: "pve3:9290"}}]
"""
RULES = """
groups:
  - name: ipmi
    rules:
      - alert: IpmiFanSpeedZero
        expr: ipmi_fan_speed_rpm == 0
        labels: {severity: critical}
        annotations: {summary: "{{ $labels.name }} stands still"}
"""
ALERTMANAGER = """
route: {{receiver: noout, group_by: [instance], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - name: noout
    webhook_configs:
      - url: "{url}"
        send_resolved: true
        http_config: {{authorization: {{type: Bearer, credentials_file: "{token}"}}}}
"""


class Exporter(http.server.BaseHTTPRequestHandler):
    """Says what the test wrote last."""

    text = ""

    def do_GET(self) -> None:
        body = self.text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None: ...


@contextlib.contextmanager
def monitoring(home: Path, webhook: str, token: str) -> Iterator[tuple[str, type[Exporter]]]:
    """Prometheus's URL, and what its one exporter says; alerts go to ``webhook``. Skips where a package is missing."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed: scripts/install-real-parts installs them")

    class Mine(Exporter):
        pass

    exporter = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mine)
    threading.Thread(target=exporter.serve_forever, daemon=True).start()
    prometheus, alertmanager = _free_port(), _free_port()
    (home / "token").write_text(token)
    (home / "rules.yml").write_text(RULES)
    ports = {"alertmanager": alertmanager, "exporter": exporter.server_address[1]}
    (home / "prometheus.yml").write_text(PROMETHEUS.format(**ports))
    (home / "alertmanager.yml").write_text(ALERTMANAGER.format(url=webhook, token=home / "token"))
    commands = [
        ["prometheus", f"--config.file={home / 'prometheus.yml'}", f"--storage.tsdb.path={home / 'tsdb'}",
         f"--web.listen-address=127.0.0.1:{prometheus}"],
        ["prometheus-alertmanager", f"--config.file={home / 'alertmanager.yml'}", f"--storage.path={home / 'am'}",
         f"--web.listen-address=127.0.0.1:{alertmanager}", "--cluster.listen-address="],
    ]  # fmt: skip
    with contextlib.ExitStack() as stack:
        stack.callback(exporter.shutdown)
        for command in commands:
            log = stack.enter_context((home / f"{command[0]}.log").open("wb"))
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.kill)
        for name, port in zip(PROGRAMS, (prometheus, alertmanager), strict=True):
            _wait(f"http://127.0.0.1:{port}/-/ready", home / f"{name}.log")
        yield f"http://127.0.0.1:{prometheus}", Mine


def _wait(url: str, log: Path) -> None:
    until = time.monotonic() + READY_WALL_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            pass
        assert time.monotonic() < until, log.read_text()[-2000:]
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
