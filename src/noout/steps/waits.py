"""Every kind of wait there is: who or what ends it, how long it may last, and what a person does about it.

A ``Hold`` names its kind. What lasts longer than its limit is told as a blocker (``wait.KIND``) and goes on being
waited for; what has no limit waits for a person, who is named. Effects under way have limits of their own
(``effects.verify``) and, above them all, ``NO_END_S``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Needs = Literal["", "technician", "approval", "confirmation", "operator", "time"]

NO_END_S = 3600.0  # an effect that is neither seen nor failed after this long, and twenty times what was expected


@dataclass(frozen=True, slots=True)
class Kind:
    """``limit_s``: after so long people are told; ``decides``: whose decision ends it, for a wait without a limit.
    ``then``: what a person can do, with {id} and {node} to be filled in."""

    then: str
    limit_s: float | None = None
    decides: Literal["", "operator", "technician"] = ""
    needs: Needs = "time"


WAITS: Mapping[str, Kind] = {
    # --- for people
    "approval": Kind("noout approve {id}, or noout abort {id}", decides="operator", needs="approval"),
    "confirmation": Kind("noout approve {id}, or noout abort {id}", decides="operator", needs="confirmation"),
    "pause": Kind("noout resume {id}, or noout abort {id}", decides="operator", needs="operator"),
    "frozen": Kind("noout allow-all; or see the other maintenance to its end (noout status)", decides="operator"),
    "hands-on": Kind("noout workorder {id} --link, or noout abort {id}", decides="technician", needs="technician"),
    "checklist": Kind("noout workorder {id} --link", decides="technician", needs="technician"),  # limit: hold.limit
    "close-up": Kind("call the technician (noout workorder {id} --link)", decides="technician", needs="technician"),
    "step-back": Kind("call the technician (noout workorder {id} --link)", decides="technician", needs="technician"),
    # --- for time
    "window": Kind("wait, or noout abort {id}", limit_s=400 * 86400.0),  # its own: when the window opens
    "acknowledgement": Kind(
        "call them, then noout tell acknowledge MESSAGE; or noout abort {id}", limit_s=86400.0
    ),  # its own: as the customer's acknowledge_h says
    "quiet-hours": Kind(
        "wait for their end; or move them by hand when their customer agrees; or noout abort {id}", limit_s=16 * 86400.0
    ),
    "world": Kind("see what does not answer (noout check {node}); the run goes on by itself", limit_s=600.0),
    "slow-ceph": Kind("see `ceph health detail`; the run goes on by itself", limit_s=7200.0),
    "lock": Kind("see who holds it (noout status {id}); the run goes on by itself", limit_s=7 * 86400.0),
    "retry": Kind("mend what it failed for (noout status {id}); noout resume {id} tries at once", limit_s=3600.0),
    "each-other": Kind("move one of them by hand, or noout resume {id} for a new plan", limit_s=900.0),
    "late-effects": Kind("wait: what may still come is looked for until then", limit_s=1800.0),
    "soak": Kind("see what the node says (noout health {node}); noout resume {id} has it judged anew", limit_s=86400.0),
    # --- for what was set in motion
    "under-way": Kind("see its task in Proxmox VE; the run goes on when it is over", limit_s=NO_END_S, needs=""),
    "arrivals": Kind("see their tasks in Proxmox VE; the run goes on when they are over", limit_s=NO_END_S, needs=""),
    "answer": Kind("see that the prober works and reaches it (noout status {id})", limit_s=600.0, needs=""),
    "mons-settle": Kind("see `ceph quorum_status`; the run goes on by itself", limit_s=120.0, needs=""),
    "seen-off": Kind("see `pvecm status` on another node; the run goes on by itself", limit_s=600.0, needs=""),
    "boot": Kind("look at the console of {node}; the run goes on when it is online", limit_s=1800.0, needs=""),
    "daemons": Kind("see the logs of {node}; the run starts them itself", limit_s=900.0, needs=""),
    "clean": Kind("see `ceph health detail`; the data stays held, the run goes on by itself", limit_s=3600.0, needs=""),
}
