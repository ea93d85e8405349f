"""The lab with real parts: QEMU guests between network namespaces, IPMI, Ceph, behind the simulated lab's wire."""
