"""The sub-commands by name. Each is loaded when it is called: ``status`` need not wait for what ``serve`` needs."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

TRY, LOOK, ACT, TELL = "Try it", "Look", "Act", "Tell and prove"


@dataclass(frozen=True, slots=True)
class Entry:
    """``place``: "module:attribute", a function or a Typer; ``summary``: its line in ``noout --help``."""

    name: str
    place: str
    panel: str
    summary: str

    def target(self) -> Any:
        """The function or Typer itself; its module is imported now."""
        module, _, attribute = self.place.partition(":")
        return getattr(import_module(module), attribute)

    def load(self) -> Any:
        """As a command that can be called."""
        found = self.target()
        if isinstance(found, typer.Typer):
            command = typer.main.get_command(found)
            command.name = self.name
            return command
        holder = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown")
        holder.command(self.name)(found)
        return typer.main.get_command(holder)


ENTRIES = (
    Entry("demo", "noout.cli.demo:demo", TRY, "the whole story on an embedded lab, in about a minute"),
    Entry("lab", "noout.cli.lab:lab", TRY, "simulated clusters to try everything on"),
    Entry("init", "noout.cli.init:init", LOOK, "write a configuration for a cluster, and explain how noout is let in"),
    Entry("check", "noout.cli.check:check", LOOK, "what stands in the way of a maintenance, and what to do about it"),
    Entry("health", "noout.cli.health:health", LOOK, "what the nodes' hardware says, judged, with the reason"),
    Entry("proposals", "noout.cli.proposals:proposals", LOOK, "the maintenances that the watch proposes, and why"),
    Entry("plan", "noout.cli.look:plan", LOOK, "how a node can be emptied so that nobody notices, or why not"),
    Entry("snapshot", "noout.cli.look:snapshot", LOOK, "the clusters as one JSON document"),
    Entry("status", "noout.cli.look:status", LOOK, "where maintenances stand, and the way out by hand"),
    Entry("ledger", "noout.cli.ledger:ledger", LOOK, "what noout owns on the clusters, and what is left or taken away"),
    Entry("adopt", "noout.cli.adopt:adopt", LOOK, "what noout left on the clusters, when its database was lost"),
    Entry("maintain", "noout.cli.maintain:maintain", ACT, "carry a node through a maintenance, or go on with it"),
    Entry("snooze", "noout.cli.proposals:snooze", ACT, "put aside what is proposed for a node, for some time"),
    Entry("decline", "noout.cli.proposals:decline", ACT, "no maintenance for what is proposed for a node"),
    Entry("approve", "noout.cli.act:approve", ACT, "say yes to what a maintenance asks"),
    Entry("hands-on", "noout.cli.act:hands_on", ACT, "say that the technician stands at the rack"),
    Entry("pause", "noout.cli.act:pause", ACT, "start no new effect"),
    Entry("resume", "noout.cli.act:resume", ACT, "go on after a pause"),
    Entry("stop-all", "noout.cli.standstill:stop", ACT, "start no new effect anywhere, of any maintenance"),
    Entry("allow-all", "noout.cli.standstill:allow", ACT, "allow effects again after stop-all"),
    Entry("force-off", "noout.cli.act:force_off", ACT, "cut the power of a node that hangs on its way down"),
    Entry("abort", "noout.cli.act:abort", ACT, "undo what was done, as far as that is safe"),
    Entry("close-up", "noout.cli.act:close_up", ACT, "end the work at the rack; the node goes back as it was"),
    Entry("extend", "noout.cli.act:extend", ACT, "hold the data of a node that is away longer"),
    Entry("let-heal", "noout.cli.act:let_heal", ACT, "let Ceph copy the data of a node that is away elsewhere"),
    Entry("serve", "noout.cli.serve:serve", ACT, "runs, watch and the technicians' page, until Ctrl-C"),
    Entry("probe", "noout.cli.probe:probe", ACT, "ask customers' services from here, for another noout"),
    Entry("token", "noout.cli.access:token", ACT, "programs' tokens for the HTTP API"),
    Entry("password", "noout.cli.access:password", ACT, "the hash of a local user's password"),
    Entry("webhook", "noout.cli.webhook:app", ACT, "others' programs that are told: their secrets, how they are doing"),
    Entry("workorder", "noout.cli.workorder:workorder", TELL, "the technician's work order, a link to it, its photos"),
    Entry("checklists", "noout.cli.workorder:checklists", TELL, "write the technicians' checklists, to be edited"),
    Entry("report", "noout.cli.report:report", TELL, "the customers' reports of a maintenance"),
    Entry("tell", "noout.cli.tell:app", TELL, "what customers are about to be told; release it, or not"),
    Entry("customers", "noout.cli.customers:app", TELL, "whose the guests are, and who is written to"),
    Entry("journal", "noout.cli.journal:app", TELL, "prove that nobody changed the journal; take it along"),
    Entry("backup", "noout.cli.backup:backup", TELL, "everything that noout keeps as one file"),
    Entry("restore", "noout.cli.backup:restore", TELL, "fill an empty store from a backup; all stands still then"),
    Entry("schema", "noout.cli.look:schema", TELL, "the JSON Schema of a document that noout writes"),
)
INDEX = {entry.name: entry for entry in ENTRIES}


class Commands(TyperGroup):
    """A group that knows every command's name and summary, and loads the one that is called."""

    listing = False

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for entry in ENTRIES:
            self.commands[entry.name] = TyperCommand(
                name=entry.name, help=entry.summary, rich_help_panel=entry.panel, rich_markup_mode="markdown"
            )

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if self.listing or cmd_name not in INDEX:
            return super().get_command(ctx, cmd_name)
        return INDEX[cmd_name].load()

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self.listing = True
        super().format_help(ctx, formatter)
