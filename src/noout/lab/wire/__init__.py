"""What the lab speaks on its sockets: PVE's REST API, Redfish, a shell over SSH, and the control API of its own."""
