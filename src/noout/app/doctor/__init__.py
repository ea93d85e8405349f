"""The doctor: what stands in the way of taking a node out, before anybody takes one out. Reading only.

``gather`` asks everything once; ``diagnose`` judges what was gathered, purely.
"""

from noout.app.doctor.diagnosis import Diagnosis, Finding, Level, Looked
from noout.app.doctor.gather import gather
from noout.app.doctor.judge import diagnose

__all__ = ["Diagnosis", "Finding", "Level", "Looked", "diagnose", "gather"]
