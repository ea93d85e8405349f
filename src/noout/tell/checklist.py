"""Work orders: what a technician is asked to do at the rack, by fault template."""

from __future__ import annotations

from noout.domain.hardware import Fault
from noout.domain.maintenance import Maintenance
from noout.domain.workorder import Check, Location, WorkOrder

SECTIONS = ("before", "fans", "power", "bus", "connectors", "hardware", "after")

_BEFORE = (
    Check("before.strap", "before", "Wrist strap on", "Clipped to bare metal of the rack"),
    Check("before.serial", "before", "Serial {serial} read from the label", "The LED alone is not proof"),
    Check("before.cords-out", "before", "All power cords out", "Only of this server; wait 30 s"),
)
_BUS = Check("bus.inspect", "bus", "Fan bus and backplane: clean, no burn marks", "Look at both ends")
_CONNECTORS = Check("connectors.reseat", "connectors", "Connectors: reseat, push home", "Feel for the click")
_HARDWARE = (
    Check("hardware.memory", "hardware", "Memory latches closed", "Press each one down"),
    Check("hardware.drives", "hardware", "Drive trays closed", "Do not pull a drive: they hold customer data"),
    Check("hardware.cables", "hardware", "Risers and network cables seated", "As labelled; tug each one"),
)
_AFTER = (
    Check("after.nothing-inside", "after", "Nothing left inside", "Count your tools"),
    Check("after.lid", "after", "Lid closed and latched", "Without it the fans cool nothing"),
    Check("after.cords-in", "after", "All power cords in", "Do not press the power button: noout starts it"),
)


def _fans(named: str) -> tuple[Check, ...]:
    return (
        Check("fans.clean", "fans", "Clean all fan modules", "Brush and air, hold the rotor still"),
        Check("fans.inspect", "fans", f"Inspect {named}", "Bearing, blades, cable. Does it spin freely?"),
        Check("fans.replace", "fans", f"Replace {named}", "Only if the inspection says so; else: not needed"),
        _BUS,
        _CONNECTORS,
    )


def _power(named: str) -> tuple[Check, ...]:
    return (
        Check("power.inspect", "power", f"Inspect {named}", "Dust, smell, burn marks, its own fan"),
        Check("power.replace", "power", f"Replace {named}", "Only if the inspection says so; else: not needed"),
        Check("power.cords", "power", "Cords and sockets: no play, no discolouring", "Both ends"),
        Check(_CONNECTORS.key, _CONNECTORS.section, _CONNECTORS.text, _CONNECTORS.hint),
    )


def _memory(named: str) -> tuple[Check, ...]:
    return (
        Check("hardware.modules", "hardware", f"Reseat or replace {named}", "As the inspection says; note the slot"),
        _CONNECTORS,
    )


def _general(named: str) -> tuple[Check, ...]:
    return (Check("hardware.inspect", "hardware", f"Inspect {named}", "Say what you see"), _CONNECTORS)


_TEMPLATES = {"fans": _fans, "power": _power, "memory": _memory}
_UNNAMED = {"fans": "the suspected fan", "power": "the suspected power supply", "memory": "the suspected modules"}


def checks_for(fault: Fault | None, location: Location) -> tuple[Check, ...]:
    """The checklist for a fault (None: a general look), in the order the hands go; the template names the sensors."""
    template = fault.template if fault else ""
    named = ", ".join(fault.sensors) if fault and fault.sensors else _UNNAMED.get(template, "what was reported")
    serial = f"…{location.serial[-4:]}" if location.serial else "of the work order"
    before = tuple(Check(c.key, c.section, c.text.format(serial=serial), c.hint) for c in _BEFORE)
    return (*before, *_TEMPLATES.get(template, _general)(named), *_HARDWARE, *_AFTER)


def make_work_order(m: Maintenance, location: Location, number: str) -> WorkOrder:
    """The work order of a maintenance: reason and checks from its suspected fault, place from the configuration."""
    reason = m.fault.summary if m.fault else m.reason
    return WorkOrder(number, m.id, m.node, location, reason, checks_for(m.fault, location))
