"""Customers' portals and the public status page, from documents alone: any process that has them can serve them."""
