"""One real implementation of each port. Nothing here decides; it speaks a wire and translates."""
