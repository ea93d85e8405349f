"""The run: one loop over the steps, one journal that is the only truth. Uses no workflow library."""
