"""What the engine costs: a durable step, a maintenance that waits, an evacuation on the wire."""
