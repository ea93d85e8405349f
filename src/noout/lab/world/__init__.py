"""The simulated world: plain state, and the laws by which it changes over time."""
