"""Board management controllers over Redfish."""

from noout.adapters.bmc.redfish import RedfishBmc

__all__ = ["RedfishBmc"]
