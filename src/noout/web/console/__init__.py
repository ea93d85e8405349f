"""The operators' console: pages drawn on the server, kept fresh without a reload, of use without a script."""
