"""Work orders: what a technician is asked to do at the rack, by fault template.

A template is a checklist in the order in which the hands go. ``{named}`` stands for the sensors that the watch
suspects, ``{serial}`` for the end of the node's serial. Those here are what a provider begins with; their own, in
files, take the place of these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from noout.domain.hardware import Fault
from noout.domain.maintenance import Maintenance
from noout.domain.workorder import Check, Location, WorkOrder

SECTIONS = ("before", "fans", "power", "bus", "connectors", "hardware", "after")
FIELDS = ("named", "serial")
# Without these no checklist is one: what leaves a server open, or without its cords, must be asked for.
ALWAYS = ("before.cords-out", "after.lid", "after.cords-in")

Template = tuple[Check, ...]
Words = tuple[str, str]


def _check(key: str, en: Words, nl: Words, es: Words, *, photo: bool = False) -> Check:
    return Check(key, key.partition(".")[0], *en, photo=photo, also={"nl": nl, "es": es})


_BEFORE = (
    _check(
        "before.strap",
        ("Wrist strap on", "Clipped to bare metal of the rack"),
        ("Polsband om", "Vastgeklemd aan blank metaal van het rack"),
        ("Pulsera antiestática puesta", "Sujeta a metal desnudo del rack"),
    ),
    _check(
        "before.serial",
        ("Serial {serial} read from the label", "The LED alone is not proof"),
        ("Serienummer {serial} van het label gelezen", "Het lampje alleen is geen bewijs"),
        ("Número de serie {serial} leído en la etiqueta", "El LED por sí solo no es prueba"),
    ),
    _check(
        "before.cords-out",
        ("All power cords out", "Only of this server; wait 30 s"),
        ("Alle netsnoeren eruit", "Alleen van deze server; wacht 30 s"),
        ("Todos los cables de corriente fuera", "Solo de este servidor; espere 30 s"),
    ),
)
_BUS = _check(
    "bus.inspect",
    ("Fan bus and backplane: clean, no burn marks", "Look at both ends"),
    ("Ventilatorbus en backplane: schoon, geen brandplekken", "Bekijk beide einden"),
    ("Bus de ventiladores y backplane: limpios, sin quemaduras", "Mire los dos extremos"),
    photo=True,
)
_CONNECTORS = _check(
    "connectors.reseat",
    ("Connectors: reseat, push home", "Feel for the click"),
    ("Stekkers: los en weer vast, tot ze klikken", "Voel de klik"),
    ("Conectores: sacar y volver a encajar", "Note el clic"),
)
_HARDWARE = (
    _check(
        "hardware.memory",
        ("Memory latches closed", "Press each one down"),
        ("Geheugenklemmen dicht", "Druk op elke klem"),
        ("Pestañas de memoria cerradas", "Presione cada una"),
    ),
    _check(
        "hardware.drives",
        ("Drive trays closed", "Do not pull a drive: they hold customer data"),
        ("Schijfladen dicht", "Trek er geen schijf uit: daar staat data van klanten op"),
        ("Bandejas de disco cerradas", "No saque ningún disco: guardan datos de clientes"),
    ),
    _check(
        "hardware.cables",
        ("Risers and network cables seated", "As labelled; tug each one"),
        ("Risers en netwerkkabels zitten vast", "Zoals gelabeld; trek even aan elke kabel"),
        ("Risers y cables de red bien puestos", "Según su etiqueta; tire un poco de cada uno"),
    ),
)
_AFTER = (
    _check(
        "after.nothing-inside",
        ("Nothing left inside", "Count your tools"),
        ("Niets erin achtergebleven", "Tel uw gereedschap"),
        ("No queda nada dentro", "Cuente sus herramientas"),
    ),
    _check(
        "after.lid",
        ("Lid closed and latched", "Without it the fans cool nothing"),
        ("Kap dicht en vergrendeld", "Zonder kap koelen de ventilatoren niets"),
        ("Tapa cerrada y encajada", "Sin ella los ventiladores no enfrían nada"),
    ),
    _check(
        "after.cords-in",
        ("All power cords in", "Do not press the power button: noout starts it"),
        ("Alle netsnoeren erin", "Druk niet op de aan-knop: noout start hem"),
        ("Todos los cables de corriente dentro", "No pulse el botón de encendido: noout lo enciende"),
    ),
)
_ONLY_IF = (
    "Only if the inspection says so; else: not needed",
    "Alleen als de inspectie dat zegt; anders: niet nodig",
    "Solo si la inspección lo dice; si no: no hace falta",
)
_FANS = (
    _check(
        "fans.clean",
        ("Clean all fan modules", "Brush and air, hold the rotor still"),
        ("Maak alle ventilatoren schoon", "Borstel en lucht, houd de rotor stil"),
        ("Limpie todos los módulos de ventilador", "Cepillo y aire, sujete el rotor"),
    ),
    _check(
        "fans.inspect",
        ("Inspect {named}", "Bearing, blades, cable. Does it spin freely?"),
        ("Inspecteer {named}", "Lager, bladen, kabel. Draait hij vrij?"),
        ("Inspeccione {named}", "Cojinete, aspas, cable. ¿Gira libremente?"),
        photo=True,
    ),
    _check(
        "fans.replace",
        ("Replace {named}", _ONLY_IF[0]),
        ("Vervang {named}", _ONLY_IF[1]),
        ("Sustituya {named}", _ONLY_IF[2]),
    ),
    _BUS,
    _CONNECTORS,
)
_POWER = (
    _check(
        "power.inspect",
        ("Inspect {named}", "Dust, smell, burn marks, its own fan"),
        ("Inspecteer {named}", "Stof, geur, brandplekken, eigen ventilator"),
        ("Inspeccione {named}", "Polvo, olor, quemaduras, su propio ventilador"),
        photo=True,
    ),
    _check(
        "power.replace",
        ("Replace {named}", _ONLY_IF[0]),
        ("Vervang {named}", _ONLY_IF[1]),
        ("Sustituya {named}", _ONLY_IF[2]),
    ),
    _check(
        "power.cords",
        ("Cords and sockets: no play, no discolouring", "Both ends"),
        ("Snoeren en stopcontacten: geen speling, geen verkleuring", "Beide einden"),
        ("Cables y enchufes: sin holgura, sin cambio de color", "Los dos extremos"),
    ),
    _CONNECTORS,
)
_MEMORY = (
    _check(
        "hardware.modules",
        ("Reseat or replace {named}", "As the inspection says; note the slot"),
        ("Opnieuw insteken of vervangen: {named}", "Zoals de inspectie zegt; noteer het slot"),
        ("Vuelva a encajar o sustituya {named}", "Según la inspección; anote la ranura"),
    ),
    _CONNECTORS,
)
_GENERAL = (
    _check(
        "hardware.inspect",
        ("Inspect {named}", "Say what you see"),
        ("Inspecteer {named}", "Zeg wat u ziet"),
        ("Inspeccione {named}", "Diga lo que ve"),
        photo=True,
    ),
    _CONNECTORS,
)
GENERAL = "general"  # for every fault that has no checklist of its own
SHIPPED: Mapping[str, Template] = {
    name: (*_BEFORE, *own, *_HARDWARE, *_AFTER)
    for name, own in (("fans", _FANS), ("power", _POWER), ("memory", _MEMORY), (GENERAL, _GENERAL))
}
TEMPLATES = (*SHIPPED, "network", "disks")  # what a fault can call for

# Where the watch names no sensor, and where the configuration knows no serial: by language.
_UNNAMED: Mapping[str, Mapping[str, str]] = {
    "en": {
        "fans": "the suspected fan", "power": "the suspected power supply", "memory": "the suspected modules",
        "": "what was reported", "serial": "of the work order",
    },
    "nl": {
        "fans": "de verdachte ventilator", "power": "de verdachte voeding", "memory": "de verdachte modules",
        "": "wat werd gemeld", "serial": "van de werkorder",
    },
    "es": {
        "fans": "el ventilador sospechoso", "power": "la fuente sospechosa", "memory": "los módulos sospechosos",
        "": "lo que se comunicó", "serial": "de la orden de trabajo",
    },
}  # fmt: skip


def checks_for(
    fault: Fault | None, location: Location, templates: Mapping[str, Template] = SHIPPED
) -> tuple[Check, ...]:
    """The checklist for a fault (None: a general look), in the order the hands go; the template names the sensors."""
    name = fault.template if fault else GENERAL
    known = {**SHIPPED, **templates}
    sensors = ", ".join(fault.sensors) if fault else ""
    tail = f"…{location.serial[-4:]}" if location.serial else ""
    fields = {
        language: {"named": sensors or words.get(name, words[""]), "serial": tail or words["serial"]}
        for language, words in _UNNAMED.items()
    }
    return tuple(filled(check, fields) for check in known.get(name, known[GENERAL]))


def filled(check: Check, fields: Mapping[str, Mapping[str, str]]) -> Check:
    """``{named}`` and ``{serial}`` in its texts; ``fields``: what they stand for in each language."""
    text, hint = _fill((check.text, check.hint), fields["en"])
    also = {language: _fill(words, fields[language]) for language, words in check.also.items()}
    return replace(check, text=text, hint=hint, also=also)


def _fill(words: Sequence[str], fields: Mapping[str, str]) -> Words:
    text, hint = (each.format(**fields) for each in words)
    return text, hint


def make_work_order(
    m: Maintenance, location: Location, number: str, templates: Mapping[str, Template] = SHIPPED
) -> WorkOrder:
    """The work order of a maintenance: reason and checks from its suspected fault, place from the configuration."""
    reason = m.fault.summary if m.fault else m.reason
    return WorkOrder(number, m.id, m.node, location, reason, checks_for(m.fault, location, templates))
