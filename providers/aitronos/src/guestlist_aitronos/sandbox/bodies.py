"""The bodies and queries that the endpoints accept, with the documented limits and defaults."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

BULK_LIMIT = 1_000
PAGE_LIMIT = 100

Skip = Annotated[int, Field(ge=0)]
Take = Annotated[int, Field(ge=1, le=PAGE_LIMIT)]
Text = Annotated[str, Field(min_length=1)]


class Fields(BaseModel):
    """A body or query. A null is treated as a missing value, because the SDK types optional fields
    so."""

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {name: value for name, value in data.items() if value is not None}

    @property
    def unknown(self) -> list[str]:
        """The names of fields that the endpoint does not know."""
        return sorted(self.model_extra or {})


class Invite(Fields):
    """The body in the parameter tables of OI-send and CM-invite, and in the SDK."""

    email: str
    role_id: str
    send_invitation: bool = True


class LenientInvite(Fields):
    """Like `Invite`, and with the names in the Python sample of OI-send: `role_name`,
    `send_email`."""

    email: str
    role_id: str = ""
    role_name: str = ""
    send_invitation: bool | None = None
    send_email: bool = True

    @model_validator(mode="after")
    def _some_role(self) -> LenientInvite:
        if not self.role_id and not self.role_name:
            raise ValueError("role_id is required")
        return self


class Selector(Fields):
    """The query of CM-get: exactly one of these."""

    email: str | None = None
    user_id: str | None = None
    invitation_id: str | None = None


class Bulk(Fields):
    user_ids: Annotated[list[str], Field(max_length=BULK_LIMIT)]


class BulkStatus(Bulk):
    status_id: str


class EmailKey(Fields):
    email_key: Text


class Complete(EmailKey):
    full_name: Annotated[str, Field(min_length=1, max_length=255)]
    password: Annotated[str, Field(min_length=8)]


class ListMembers(Fields):
    """The body of CM-list."""

    skip: Skip = 0
    take: Take = 10
    search_term: str = ""
    role_id: str | None = None
    status_id: str | None = None
    sort_field: Literal[
        "full_name", "email", "role", "status", "created_at", "last_modified_at"
    ] = "created_at"
    sort_direction: Literal["asc", "desc"] = "desc"
    include_deleted: bool = False


class IncludeDeleted(Fields):
    include_deleted: bool = False


class UpdateMember(Fields):
    role_id: str | None = None
    status_id: str | None = None

    @model_validator(mode="after")
    def _something(self) -> UpdateMember:
        if self.role_id is None and self.status_id is None:
            raise ValueError("at least one of role_id and status_id is required")
        return self


class IncludeGlobal(Fields):
    include_global: bool = True
