"""What the program does, put together from rooms that do not know each other. ``compose`` is the only wiring."""
