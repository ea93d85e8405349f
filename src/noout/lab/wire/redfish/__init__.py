"""One BMC per node: Redfish over HTTPS, answering also while the node is off."""

from noout.lab.wire.redfish.app import BmcLogin, redfish_app

__all__ = ["BmcLogin", "redfish_app"]
