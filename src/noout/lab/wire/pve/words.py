"""Long lists of PVE's own words, one string each."""

from __future__ import annotations

_PRIVILEGES = """
Datastore.Allocate Datastore.AllocateSpace Datastore.AllocateTemplate Datastore.Audit Group.Allocate Mapping.Audit
Mapping.Modify Mapping.Use Permissions.Modify Pool.Allocate Pool.Audit Realm.Allocate Realm.AllocateUser SDN.Allocate
SDN.Audit SDN.Use Sys.AccessNetwork Sys.Audit Sys.Console Sys.Incoming Sys.Modify Sys.PowerMgmt Sys.Syslog User.Modify
VM.Allocate VM.Audit VM.Backup VM.Clone VM.Config.CDROM VM.Config.CPU VM.Config.Cloudinit VM.Config.Disk
VM.Config.HWType VM.Config.Memory VM.Config.Network VM.Config.Options VM.Console VM.GuestAgent.Audit
VM.GuestAgent.FileRead VM.GuestAgent.FileSystemMgmt VM.GuestAgent.FileWrite VM.GuestAgent.Unrestricted VM.Migrate
VM.PowerMgmt VM.Replicate VM.Snapshot VM.Snapshot.Rollback
"""
_NODE_INDEX = """
aplinfo apt capabilities ceph certificates config disks dns firewall hardware hosts journal lxc migrateall netstat
network qemu query-oci-repo-tags query-url-metadata replication report rrd rrddata scan sdn services spiceshell startall
status stopall storage subscription suspendall syslog tasks termproxy time version vncshell vzdump wakeonlan
"""
_CEPH_INDEX = """
cmd-safety cfg crush fs init log mds mgr mon osd pool releases restart restart-bulk rules start status stop
"""
_KEYBOARDS = "de de-ch da en-gb en-us es fi fr fr-be fr-ca fr-ch hu is it ja lt mk nl no pl pt pt-br sv sl tr"
_LANGUAGES = """
ar ca da de en es eu fa fr hr he it ja ka kr nb nl nn pl pt_BR ru sl sv tr ukr zh_CN zh_TW
"""
_STORAGE_TYPES = "btrfs cephfs cifs dir esxi iscsi iscsidirect lvm lvmthin nfs pbs rbd zfs zfspool"
_NETWORK_TYPES = """
bridge bond eth alias vlan fabric OVSBridge OVSBond OVSPort OVSIntPort vnet any_bridge any_local_bridge include_sdn
"""
_OPTION_TEXTS = """
bwlimit crs ha migration next-id notify replication tag-style u2f user-tag-access webauthn registered-tags
"""
_QUIET_POOL_FLAGS = "fast_read nodeep-scrub nodelete nopgchange noscrub nosizechange write_fadvise_dontneed"

PRIVILEGES = tuple(_PRIVILEGES.split())
NODE_INDEX = tuple(_NODE_INDEX.split())
CEPH_INDEX = tuple(_CEPH_INDEX.split())
KEYBOARDS = tuple(_KEYBOARDS.split())
LANGUAGES = tuple(_LANGUAGES.split())
STORAGE_TYPES = tuple(_STORAGE_TYPES.split())
NETWORK_TYPES = tuple(_NETWORK_TYPES.split())
OPTION_TEXTS = tuple(_OPTION_TEXTS.split())
QUIET_POOL_FLAGS = tuple(_QUIET_POOL_FLAGS.split())
