"""The Redfish resources of one BMC, as dicts, read from the world's records."""

from __future__ import annotations

import zlib

from noout.lab.wire.redfish.chassis import ChassisDocuments
from noout.lab.wire.redfish.shape import CHASSIS, MANAGER, ROOT, SYSTEM, Document, link, stamp


def _uuid(serial: str) -> str:
    a, b = zlib.crc32(serial.encode()), zlib.crc32(serial[::-1].encode())
    return f"{a:08x}-{b >> 16:04x}-4{b & 0xFFF:03x}-a{a & 0xFFF:03x}-{a:08x}{b & 0xFFFF:04x}"


class BmcDocuments(ChassisDocuments):
    """The documents of one node's BMC at this instant."""

    # --- root, system, manager ---------------------------------------------------------------------------

    def root(self) -> Document:
        return {
            "@odata.type": "#ServiceRoot.v1_11_0.ServiceRoot",
            "@odata.id": f"{ROOT}/",
            "Id": "RootService",
            "Name": "Root Service",
            "RedfishVersion": "1.15.0",
            "UUID": _uuid(self.bmc.serial),
            "Vendor": self.bmc.vendor,
            "ProtocolFeaturesSupported": {
                "ExpandQuery": {"ExpandAll": False, "Levels": False, "Links": False, "NoLinks": True},
                "FilterQuery": False,
                "SelectQuery": False,
            },
            "Systems": link(f"{ROOT}/Systems"),
            "Chassis": link(f"{ROOT}/Chassis"),
            "Managers": link(f"{ROOT}/Managers"),
            "SessionService": link(f"{ROOT}/SessionService"),
            "Links": {"Sessions": link(f"{ROOT}/SessionService/Sessions")},
        }

    def system(self) -> Document:
        bmc = self.bmc
        return {
            "@odata.type": "#ComputerSystem.v1_16_0.ComputerSystem",
            "@odata.id": SYSTEM,
            "Id": "1",
            "Name": "System",
            "SystemType": "Physical",
            "HostName": self.node.name,
            "Manufacturer": bmc.vendor,
            "Model": bmc.model,
            "SerialNumber": bmc.serial,
            "UUID": _uuid(bmc.serial),
            "BiosVersion": "2.1",
            "PowerState": self.laws.power_state(self.cluster, self.node.name),
            "PowerRestorePolicy": bmc.power_restore_policy,
            "LocationIndicatorActive": bmc.led,
            "IndicatorLED": "Blinking" if bmc.led else "Off",
            "Status": self._health(),
            "Boot": {
                "BootSourceOverrideEnabled": "Disabled",
                "BootSourceOverrideTarget": "None",
                "BootSourceOverrideTarget@Redfish.AllowableValues": ["None", "Pxe", "Hdd", "BiosSetup"],
            },
            "ProcessorSummary": {
                "Count": 1,
                "CoreCount": self.node.cores,
                "Model": self.node.cpu_model,
                "Status": {"State": "Enabled", "Health": "OK"},
            },
            "MemorySummary": {
                "TotalSystemMemoryGiB": self.node.maxmem // 1024**3,
                "Status": {"State": "Enabled", "Health": "OK"},
            },
            "Memory": link(f"{SYSTEM}/Memory"),
            "LogServices": link(f"{SYSTEM}/LogServices"),
            "Links": {"Chassis": [link(CHASSIS)], "ManagedBy": [link(MANAGER)]},
            "Actions": {
                "#ComputerSystem.Reset": {
                    "target": f"{SYSTEM}/Actions/ComputerSystem.Reset",
                    "ResetType@Redfish.AllowableValues": list(bmc.reset_types),
                }
            },
        }

    def memory(self, index: int) -> Document:
        """DIMM ``index`` (from 1). BMCs keep reporting what the last boot found."""
        return {
            "@odata.type": "#Memory.v1_13_0.Memory",
            "@odata.id": f"{SYSTEM}/Memory/{index}",
            "Id": str(index),
            "Name": f"DIMM {index}",
            "DeviceLocator": f"DIMM_{chr(64 + (index + 1) // 2)}{2 - index % 2}",
            "MemoryType": "DRAM",
            "MemoryDeviceType": "DDR4",
            "CapacityMiB": self.node.maxmem // 1024**2 // max(self.bmc.dimms, 1),
            "ErrorCorrection": "MultiBitECC",
            "Status": {"State": "Enabled", "Health": "OK"},
        }

    def manager(self) -> Document:
        return {
            "@odata.type": "#Manager.v1_14_0.Manager",
            "@odata.id": MANAGER,
            "Id": "1",
            "Name": "Manager",
            "ManagerType": "BMC",
            "FirmwareVersion": "1.4.0",
            "DateTime": stamp(self.laws.now),
            "DateTimeLocalOffset": "+00:00",
            "Status": {"State": "Enabled", "Health": "OK"},
            "LogServices": link(f"{MANAGER}/LogServices"),
            "Links": {"ManagerForServers": [link(SYSTEM)], "ManagerForChassis": [link(CHASSIS)]},
        }
