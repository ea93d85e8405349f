"""The real ProxLB, its solver and CP-SAT, in an environment and a process of their own.

They come from the package index (``--rivals``) and are never part of noout: ProxLB and its solver are under the GPL.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.plan.instances import Instance
from benchmarks.plan.precopy import Job
from benchmarks.plan.rivals import Proposal
from noout.domain.cluster import Affinity, GuestId

HOME = Path(__file__).parents[2] / ".venv" / "rivals"  # goes with `make clean`
PACKAGES = ("proxlb==2.3.0", "proxlb-solver==0.1.1")  # the latter brings OR-tools with it
POLL_S = 5.0  # ProxLB looks at its tasks so often
# The node is left and nothing else evened out, which is in its favour; CPU is never what forbids a placement.
BALANCING: dict[str, Any] = {"enable": True, "balance_types": ["vm"], "balanciness": 100, "cpu_overcommit": 100.0}


def install() -> str:
    """Make the environment; "" if it is there, else a sentence that says why not."""
    python = HOME / "bin" / "python"
    made = HOME / ".made"
    if made.exists():
        return ""
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", HOME], check=True, capture_output=True)
        pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES]
        subprocess.run(pip, check=True, capture_output=True)
    except subprocess.CalledProcessError as error:
        last = (error.stderr or b"").decode(errors="replace").strip().splitlines()[-1:]
        return f"{' and '.join(PACKAGES)} cannot be installed here: {' '.join(last)}"
    made.touch()
    return ""


def installed() -> bool:
    return (HOME / ".made").exists()


class Others:
    """One process that answers one question after another."""

    def __init__(self) -> None:
        driver = Path(__file__).with_name("driver.py")
        self.process = subprocess.Popen(
            [HOME / "bin" / "python", driver],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, what: str, instance: Instance, **more: Any) -> dict[str, Any]:
        """``what``: one of driver.WHAT. Nodes are told to have just the RAM that guests may take."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(question(what, instance) | more) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{what} ended without an answer (exit {self.process.wait()})")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def proxlb(self, instance: Instance, parallel: int) -> Proposal:
        return self._proposal(self.ask("proxlb", instance), instance, parallel)

    def solver(self, instance: Instance, parallel: int, limit_s: float) -> Proposal:
        return self._proposal(self.ask("proxlb-solver", instance, limit_s=limit_s), instance, parallel)

    def least_aside_bytes(self, instance: Instance, limit_s: float) -> int | None:
        """RAM of other nodes' guests that has to move at least; None where that was not proved within the limit."""
        found = self.ask("bound", instance, limit_s=limit_s, workers=2)["aside_bytes"]
        return None if found is None else int(found)

    def close(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.terminate()
        self.process.wait()

    def _proposal(self, answer: dict[str, Any], instance: Instance, parallel: int) -> Proposal:
        nodes = {node.id.name: node.id for node in instance.state.nodes}
        cluster = instance.state.name
        steps = tuple(
            tuple(Job(GuestId(cluster, vmid), nodes[source], nodes[target]) for vmid, source, target in step)
            for step in answer["steps"]
        )
        refused, why = bool(answer.get("refused")), str(answer.get("why", ""))
        return Proposal(steps or ((),), parallel, POLL_S, refused, why, float(answer["seconds"]))


def question(what: str, instance: Instance) -> dict[str, Any]:
    state = instance.state
    return {
        "what": what,
        "leaving": instance.leaving.name,
        "balancing": BALANCING,
        "nodes": [{"name": n.id.name, "ram": instance.limits[n.id], "cpus": n.cpus} for n in state.nodes],
        "guests": [
            {
                "name": guest.name,
                "vmid": guest.id.vmid,
                "node": guest.node.name,
                "ram": guest.ram_bytes,
                "cpus": guest.cpus,
                "cpu_used": guest.cpu_used,
            }
            for guest in state.guests
        ],
        "apart": [
            {"name": rule.name, "vmids": sorted(guest.vmid for guest in rule.guests)}
            for rule in state.rules
            if rule.kind is Affinity.APART
        ],
    }
