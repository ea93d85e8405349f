"""The story, top to bottom: evacuate, dispatch, hold data, repair, reintegrate, return. Pure, but for ``act``."""
