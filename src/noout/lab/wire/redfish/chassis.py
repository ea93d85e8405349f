"""The chassis of one node: fans, temperatures and power supplies, in the old documents and in the new ones.

Field names and types follow the DMTF schema as real BMCs fill it (Thermal 1.7, ThermalSubsystem 1.1, Fan 1.3,
Sensor 1.6, Power 1.7, PowerSupply 1.5); a fan that is not there reads 0 with State Absent.
"""

from __future__ import annotations

from noout.lab.wire.redfish.shape import CHASSIS, MANAGER, SYSTEM, Document, link
from noout.lab.world.laws import Laws
from noout.lab.world.model import Bmc, Cluster, Fan, Node

RPM_MAX = 20000


class ChassisDocuments:
    """Chassis/1 and what hangs below it, at this instant."""

    def __init__(self, laws: Laws, cluster: Cluster, node: str) -> None:
        self.laws = laws
        self.cluster = cluster
        self.node: Node = cluster.nodes[node]
        self.bmc: Bmc = cluster.bmcs[node]

    def _health(self) -> Document:
        worst = "OK"
        for status in [f["Status"] for f in self.fans()] + [p["Status"] for p in self.power_supplies()]:
            if status.get("Health", "OK") != "OK" and worst != "Critical":
                worst = str(status["Health"])
        state = "Enabled" if self.node.power else "Disabled"
        return {"State": state, "Health": worst, "HealthRollup": worst}

    # --- chassis -----------------------------------------------------------------------------------------

    def chassis(self) -> Document:
        return {
            "@odata.type": "#Chassis.v1_19_0.Chassis",
            "@odata.id": CHASSIS,
            "Id": "1",
            "Name": "Chassis",
            "ChassisType": "RackMount",
            "Manufacturer": self.bmc.vendor,
            "Model": self.bmc.model,
            "SerialNumber": self.bmc.serial,
            "PowerState": self.laws.power_state(self.cluster, self.node.name),
            "LocationIndicatorActive": self.bmc.led,
            "IndicatorLED": "Blinking" if self.bmc.led else "Off",
            "Status": self._health(),
            "Thermal": link(f"{CHASSIS}/Thermal"),
            "ThermalSubsystem": link(f"{CHASSIS}/ThermalSubsystem"),
            "Power": link(f"{CHASSIS}/Power"),
            "PowerSubsystem": link(f"{CHASSIS}/PowerSubsystem"),
            "Sensors": link(f"{CHASSIS}/Sensors"),
            "Links": {"ComputerSystems": [link(SYSTEM)], "ManagedBy": [link(MANAGER)]},
        }

    def _fan_status(self, fan: Fan, rpm: float | None) -> Document:
        if not fan.present or rpm is None:
            return {"State": "Absent"}
        if not self.node.power:
            return {"State": "Disabled"}
        return {"State": "Enabled", "Health": "Critical" if rpm < fan.lower_critical else "OK"}

    def fans(self) -> list[Document]:
        """Thermal's Fans. While the node is off a real BMC shows none that turn: State Disabled, Reading 0."""
        readings = self.laws.fan_readings(self.cluster, self.node.name)
        redundancy = [link(f"{CHASSIS}/Thermal#/Redundancy/0")]
        documents = []
        for i, (name, fan) in enumerate(self.bmc.fans.items()):
            rpm = readings.get(name)
            documents.append(
                {
                    "@odata.id": f"{CHASSIS}/Thermal#/Fans/{i}",
                    "MemberId": str(i),
                    "Name": name,
                    "PhysicalContext": "Backplane",
                    "Reading": round(rpm or 0),
                    "ReadingUnits": "RPM",
                    "LowerThresholdNonCritical": round(fan.lower_critical * 1.1),
                    "LowerThresholdCritical": round(fan.lower_critical),
                    "MinReadingRange": 0,
                    "MaxReadingRange": RPM_MAX,
                    "Status": self._fan_status(fan, rpm),
                    "Redundancy": redundancy,
                    "RelatedItem": [link(SYSTEM)],
                }
            )
        return documents

    def _fan_redundancy(self) -> Document:
        """N+1: one rotor may stand still; a second one makes the cooling insufficient."""
        if not self.node.power:
            return {"State": "Disabled"}
        turning = sum(1 for fan in self.fans() if fan["Status"].get("Health") == "OK")
        lost = len(self.bmc.fans) - turning
        return {"State": "Enabled", "Health": "OK" if lost == 0 else "Warning" if lost == 1 else "Critical"}

    def temperatures(self) -> list[Document]:
        readings = self.laws.temperatures(self.cluster, self.node.name)
        documents: list[Document] = []
        for i, (name, sensor) in enumerate(self.bmc.temperatures.items()):
            celsius = readings.get(name)
            hot = celsius is not None and celsius >= sensor.upper_critical
            document: Document = {
                "@odata.id": f"{CHASSIS}/Thermal#/Temperatures/{i}",
                "MemberId": str(i),
                "Name": name,
                "PhysicalContext": "CPU" if "CPU" in name.upper() else "Intake",
                "UpperThresholdNonCritical": round(sensor.upper_critical - 5),
                "UpperThresholdCritical": round(sensor.upper_critical),
                "MinReadingRangeTemp": 0,
                "MaxReadingRangeTemp": 120,
                "RelatedItem": [link(SYSTEM)],
            }
            if celsius is None:
                document["Status"] = {"State": "Disabled"}
            else:
                document["ReadingCelsius"] = round(celsius)
                document["Status"] = {"State": "Enabled", "Health": "Critical" if hot else "OK"}
            documents.append(document)
        return documents

    def thermal(self) -> Document:
        fans = self.fans()
        return {
            "@odata.type": "#Thermal.v1_7_1.Thermal",
            "@odata.id": f"{CHASSIS}/Thermal",
            "Id": "Thermal",
            "Name": "Thermal",
            "Temperatures": self.temperatures(),
            "Fans": fans,
            "Redundancy": [
                {
                    "@odata.id": f"{CHASSIS}/Thermal#/Redundancy/0",
                    "MemberId": "0",
                    "Name": "System Fans",
                    "RedundancySet": [link(str(fan["@odata.id"])) for fan in fans],
                    "Mode": "N+m",
                    "Status": self._fan_redundancy(),
                    "MinNumNeeded": max(len(fans) - 1, 0),
                    "MaxNumSupported": len(fans),
                }
            ],
        }

    def thermal_subsystem(self) -> Document:
        base = f"{CHASSIS}/ThermalSubsystem"
        return {
            "@odata.type": "#ThermalSubsystem.v1_1_0.ThermalSubsystem",
            "@odata.id": base,
            "Id": "ThermalSubsystem",
            "Name": "Thermal Subsystem for Chassis",
            "Fans": link(f"{base}/Fans"),
            "FanRedundancy": [
                {
                    "RedundancyType": "NPlusM",
                    "MaxSupportedInGroup": len(self.bmc.fans),
                    "MinNeededInGroup": max(len(self.bmc.fans) - 1, 0),
                    "RedundancyGroup": [link(f"{base}/Fans/{name}") for name in self.bmc.fans],
                    "Status": self._fan_redundancy(),
                }
            ],
            "Status": {"State": "Enabled", "Health": self._health()["Health"]},
        }

    def fan(self, name: str) -> Document:
        """ThermalSubsystem/Fans/NAME; KeyError where there is no such fan."""
        fan = self.bmc.fans[name]
        rpm = self.laws.fan_readings(self.cluster, self.node.name).get(name)
        return {
            "@odata.type": "#Fan.v1_3_0.Fan",
            "@odata.id": f"{CHASSIS}/ThermalSubsystem/Fans/{name}",
            "Id": name,
            "Name": name,
            "PhysicalContext": "Chassis",
            "HotPluggable": True,
            "Manufacturer": self.bmc.vendor,
            "Model": "LAB-FAN-60",
            "SpeedPercent": {
                "Reading": round(100 * (rpm or 0) / RPM_MAX),
                "SpeedRPM": round(rpm or 0),
                "DataSourceUri": f"{CHASSIS}/Sensors/{name}",
            },
            "Location": {"PartLocation": {"ServiceLabel": name, "LocationType": "Bay"}},
            "Status": self._fan_status(fan, rpm),
        }

    def sensors(self) -> list[Document]:
        """Chassis/1/Sensors: the fans in RPM, then the temperatures."""
        documents = []
        readings = self.laws.fan_readings(self.cluster, self.node.name)
        for name, fan in self.bmc.fans.items():
            rpm = readings.get(name)
            documents.append(
                {
                    "@odata.type": "#Sensor.v1_6_0.Sensor",
                    "@odata.id": f"{CHASSIS}/Sensors/{name}",
                    "Id": name,
                    "Name": name,
                    "PhysicalContext": "Chassis",
                    "Reading": round(rpm or 0),
                    "ReadingType": "Rotational",
                    "ReadingUnits": "RPM",
                    "ReadingRangeMin": 0,
                    "ReadingRangeMax": RPM_MAX,
                    "Thresholds": {"LowerCritical": {"Reading": round(fan.lower_critical)}},
                    "Status": self._fan_status(fan, rpm),
                }
            )
        for thermal in self.temperatures():
            name = str(thermal["Name"]).replace(" ", "_")
            document = {
                "@odata.type": "#Sensor.v1_6_0.Sensor",
                "@odata.id": f"{CHASSIS}/Sensors/{name}",
                "Id": name,
                "Name": thermal["Name"],
                "PhysicalContext": thermal["PhysicalContext"],
                "ReadingType": "Temperature",
                "ReadingUnits": "Cel",
                "ReadingRangeMin": 0,
                "ReadingRangeMax": 120,
                "Thresholds": {"UpperCritical": {"Reading": thermal["UpperThresholdCritical"]}},
                "Status": thermal["Status"],
            }
            if "ReadingCelsius" in thermal:
                document["Reading"] = thermal["ReadingCelsius"]
            documents.append(document)
        return documents

    # --- power -------------------------------------------------------------------------------------------

    def power_supplies(self) -> list[Document]:
        """Chassis/1/Power's PowerSupplies. Without a cord a supply is Critical and delivers nothing."""
        documents = []
        for i, (name, psu) in enumerate(self.bmc.psus.items()):
            fed = psu.present and not self.bmc.cords_pulled
            status: Document = {"State": "Absent"}
            if psu.present:
                status = {"State": "Enabled", "Health": "OK" if psu.healthy and fed else "Critical"}
            documents.append(
                {
                    "@odata.id": f"{CHASSIS}/Power#/PowerSupplies/{i}",
                    "MemberId": str(i),
                    "Name": name,
                    "Manufacturer": self.bmc.vendor,
                    "Model": "LAB-PSU-800",
                    "PowerSupplyType": "AC",
                    "LineInputVoltage": 230 if fed else 0,
                    "PowerCapacityWatts": 800,
                    "LastPowerOutputWatts": round(psu.watts) if fed and psu.healthy and self.node.power else 0,
                    "Status": status,
                }
            )
        return documents

    def power(self) -> Document:
        supplies = self.power_supplies()
        return {
            "@odata.type": "#Power.v1_7_1.Power",
            "@odata.id": f"{CHASSIS}/Power",
            "Id": "Power",
            "Name": "Power",
            "PowerControl": [
                {
                    "@odata.id": f"{CHASSIS}/Power#/PowerControl/0",
                    "MemberId": "0",
                    "Name": "System Input Power",
                    "PowerConsumedWatts": sum(int(s["LastPowerOutputWatts"]) for s in supplies),
                    "PowerCapacityWatts": 800 * len(supplies),
                    "Status": {"State": "Enabled", "Health": "OK"},
                }
            ],
            "PowerSupplies": supplies,
            "Redundancy": [
                {
                    "@odata.id": f"{CHASSIS}/Power#/Redundancy/0",
                    "MemberId": "0",
                    "Name": "Power Supplies",
                    "Mode": "N+m",
                    "MinNumNeeded": 1,
                    "MaxNumSupported": len(supplies),
                    "RedundancySet": [link(str(s["@odata.id"])) for s in supplies],
                    "Status": self._psu_redundancy(supplies),
                }
            ],
        }

    @staticmethod
    def _psu_redundancy(supplies: list[Document]) -> Document:
        good = sum(1 for s in supplies if s["Status"].get("Health") == "OK")
        lost = len(supplies) - good
        return {"State": "Enabled", "Health": "OK" if not lost else "Warning" if good else "Critical"}

    def power_subsystem(self) -> Document:
        base = f"{CHASSIS}/PowerSubsystem"
        supplies = self.power_supplies()
        return {
            "@odata.type": "#PowerSubsystem.v1_1_0.PowerSubsystem",
            "@odata.id": base,
            "Id": "PowerSubsystem",
            "Name": "Power Subsystem for Chassis",
            "CapacityWatts": 800 * len(supplies),
            "PowerSupplies": link(f"{base}/PowerSupplies"),
            "PowerSupplyRedundancy": [
                {
                    "RedundancyType": "NPlusM",
                    "MaxSupportedInGroup": len(supplies),
                    "MinNeededInGroup": 1,
                    "RedundancyGroup": [link(f"{base}/PowerSupplies/{i}") for i in range(len(supplies))],
                    "Status": self._psu_redundancy(supplies),
                }
            ],
            "Status": {"State": "Enabled", "Health": "OK"},
        }

    def power_supply(self, index: int) -> Document:
        """PowerSubsystem/PowerSupplies/INDEX (from 0); IndexError where there is none."""
        old = self.power_supplies()[index]
        return {
            "@odata.type": "#PowerSupply.v1_5_0.PowerSupply",
            "@odata.id": f"{CHASSIS}/PowerSubsystem/PowerSupplies/{index}",
            "Id": str(index),
            "Name": old["Name"],
            "Manufacturer": old["Manufacturer"],
            "Model": old["Model"],
            "PowerSupplyType": "AC",
            "LineInputStatus": "Normal" if old["LineInputVoltage"] else "LossOfInput",
            "PowerCapacityWatts": 800,
            "Status": old["Status"],
        }
