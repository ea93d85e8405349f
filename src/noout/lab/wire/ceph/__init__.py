"""What the ``ceph`` command prints: the documents, the health checks and the command line itself."""
