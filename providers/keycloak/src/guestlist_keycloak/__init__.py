"""Keycloak for guestlist: invitations and members of an organization, and the realm's roles."""

from guestlist_keycloak.provider import Keycloak, KeycloakOptions

__all__ = ["Keycloak", "KeycloakOptions"]
