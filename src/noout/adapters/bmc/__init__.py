"""Board management controllers: over Redfish, and over IPMI where there is no Redfish."""

from noout.adapters.bmc.ipmi import IpmiBmc
from noout.adapters.bmc.redfish import RedfishBmc

__all__ = ["IpmiBmc", "RedfishBmc"]
