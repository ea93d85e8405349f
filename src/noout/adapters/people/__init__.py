"""Who somebody is: by a local password, by a Proxmox VE account, by an identity provider."""

from noout.adapters.people.oidc import Leaving, Provider
from noout.adapters.people.passwords import Passwords, hashed
from noout.adapters.people.proxmox import Accounts, Challenge

__all__ = ["Accounts", "Challenge", "Leaving", "Passwords", "Provider", "hashed"]
