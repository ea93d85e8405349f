"""What telling many customers costs."""
