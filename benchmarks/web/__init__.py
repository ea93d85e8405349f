"""What the operators' console costs: the fleet page of a large installation, and many who watch one evacuation."""
