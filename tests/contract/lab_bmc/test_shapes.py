"""Every field of the lab's BMCs was seen, with the same kind of value, in the tree of a real BMC or of the DMTF."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.contract.lab_bmc.conftest import Board
from tests.contract.lab_shell.shapes import invented, lacking, shape

CHASSIS = "/redfish/v1/Chassis/1"
CASES = {
    "Thermal": f"{CHASSIS}/Thermal",
    "ThermalSubsystem": f"{CHASSIS}/ThermalSubsystem",
    "Fans/*": f"{CHASSIS}/ThermalSubsystem/Fans/FAN1A",
    "Power": f"{CHASSIS}/Power",
    "PowerSupplies/*": f"{CHASSIS}/PowerSubsystem/PowerSupplies/0",
    "Sensors/*": f"{CHASSIS}/Sensors/FAN1A",
    "LogServices/Event/Entries": "/redfish/v1/Managers/1/LogServices/SEL/Entries",
}
MAPS: frozenset[str] = frozenset()
# Fields of the schema that no recorded tree happens to fill.
SCHEMA_ONLY = {
    "LogServices/Event/Entries": {".Members[].Message (text)"},
}
# What a fan of any maker says.
ALWAYS = {
    "Thermal": {".Fans", ".Fans[].Name", ".Fans[].Reading", ".Fans[].ReadingUnits", ".Fans[].Status", ".Temperatures"},
    "Fans/*": {".Id", ".Name", ".Status.State", ".SpeedPercent.Reading"},
    "Sensors/*": {".Id", ".Name", ".Reading", ".ReadingUnits", ".ReadingType", ".Status.State", ".Thresholds"},
    "Power": {".PowerControl", ".PowerSupplies", ".PowerSupplies[].Status"},
}


@pytest.mark.parametrize("case", sorted(CASES))
async def test_no_field_is_invented(recordings: Path, board: Board, case: str) -> None:
    trees = sorted((recordings / "hardware").glob(f"**/{case}.json")) + sorted(
        (recordings / "hardware").glob(f"**/*_{case}.json")
    )
    assert trees
    real = shape((json.loads(path.read_text()) for path in trees), MAPS)
    board.laws.bmc_record(board.cluster, "pve3", "Critical", "FAN1A: stopped", "FAN1A", "FanSpeedLow")
    ours = shape([await board.get(CASES[case])], MAPS)
    assert set(invented(ours, real)) - SCHEMA_ONLY.get(case, set()) == set()
    assert ALWAYS.get(case, set()) & lacking(ours, real) == set()
    assert ALWAYS.get(case, set()) <= set(ours)
