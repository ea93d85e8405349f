"""Can it be done unnoticed? One node's evacuation and return as immutable data, and an independent lint of it."""
