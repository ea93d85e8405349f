"""How the watch gets its evidence: looks at the BMCs in time, what is pushed to it, and what is kept of both."""
