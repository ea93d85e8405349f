"""What customers experienced, as probes saw it: pure, from samples to an account that can be printed."""
