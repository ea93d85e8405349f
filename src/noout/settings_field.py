"""The table of the work at the rack: the provider's own checklists, and how long photos are kept."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class WorkOrderSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    checklists: Path | None = None  # a folder: fans.toml and so on, in place of the shipped ones of that name
    photos_days: float = Field(default=365, gt=0)  # how long the technicians' photos are kept
    language: str = Field(default="en", pattern="^(en|nl|es)$")  # of the printed work order
