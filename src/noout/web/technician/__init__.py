"""The technician's phone: pages that work without JavaScript."""
