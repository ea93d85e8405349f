"""The HTTP API: what scripts, and the technician's tools, may ask for."""
