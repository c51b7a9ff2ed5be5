"""The bodies and queries that the endpoints accept, with the documented limits and defaults."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

BULK_LIMIT = 1_000
PAGE_LIMIT = 100

Skip = Annotated[int, Field(ge=0)]
Take = Annotated[int, Field(ge=1, le=PAGE_LIMIT)]
UserIds = Annotated[list[str], Field(max_length=BULK_LIMIT)]
FullName = Annotated[str, Field(min_length=1, max_length=255)]
Password = Annotated[str, Field(min_length=8)]
Moment = Annotated[datetime, AfterValidator(lambda at: at if at.tzinfo else at.replace(tzinfo=UTC))]

_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")


def is_email(text: str) -> bool:
    """Returns whether a text looks like an email address. The service's own check is not
    documented."""
    return len(text) <= 254 and text.isprintable() and _EMAIL.fullmatch(text) is not None


class Fields(BaseModel):
    """A body or query. A null is treated as a missing value, because the SDK types optional fields
    so."""

    model_config = ConfigDict(extra="allow")

    refuses_unknown: ClassVar[bool] = False
    """Whether unknown fields always cause a 422, independent of the switch `extra_fields`."""

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


class AuthFields(Fields):
    """The body of an authentication endpoint, which refuses unknown fields (AUTH-A)."""

    refuses_unknown = True


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


class InviteV2(Fields):
    """The body of U-invite-v2."""

    email: str
    full_name: FullName | None = None
    role_ids: list[str] = []
    department_ids: list[str] = []
    send_invitation: bool = True
    custom_message: str | None = None


class Selector(Fields):
    """The query of CM-get: exactly one of these."""

    email: str | None = None
    user_id: str | None = None
    invitation_id: str | None = None


class Bulk(Fields):
    user_ids: UserIds


class BulkStatus(Bulk):
    status_id: str


class EmailKey(Fields):
    email_key: Annotated[str, Field(min_length=1)]


class Complete(EmailKey):
    full_name: FullName
    password: Password


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


class Export(Fields):
    """The body of an export. According to the SDK, exports have their own names for sorting. The
    defaults are unverified."""

    search_term: str = ""
    role_id: str | None = None
    status_id: str | None = None
    include_deleted: bool = False
    sort_by: Literal["full_name", "email", "role_name", "status_name", "joined_at"] = "full_name"
    sort_order: Literal["asc", "desc"] = "asc"


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


class Remove(Fields):
    """The body of U-remove."""

    confirm: Literal[True]
    transfer_resources_to_department_id: str | None = None


class Deactivate(Fields):
    """The body of U-deactivate."""

    transfer_resources_to_department_id: Annotated[str, Field(min_length=1)]


class ChangeLogs(Fields):
    skip: Skip = 0
    take: Take = 10
    start_date: Moment | None = None
    end_date: Moment | None = None
    resource_type: str | None = None
    action: str | None = None


class Page(Fields):
    """The paging parameters of GET lists. The maximum of 100 records per page is documented
    (CM-intro)."""

    skip: Skip = 0
    limit: Take = 100


class ActivePage(Page):
    active_only: bool = True


class RoleMembersPage(Page):
    limit: Take = 50


class IncludeGlobal(Fields):
    include_global: bool = True


class ActiveOnly(Fields):
    active_only: bool = True


class CreateRole(Fields):
    """The body of OR-create-role."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    description: Annotated[str, Field(max_length=500)] | None = None
    capabilities: Annotated[list[str], Field(min_length=1)]


class AssignRole(Fields):
    user_id: str


class CreateUser(Fields):
    email: str
    password: Password
    first_name: str = ""
    last_name: str = ""


class CreateOrganization(Fields):
    name: Annotated[str, Field(min_length=1)]
    type: Literal["Work", "Personal", "School"]
    description: str | None = None
    website: str | None = None
    industry: str | None = None
    company_size: str | None = None
    logo_image: str | None = None
    use_system_provider_keys: bool | None = None
    domains: list[str] | None = None


class UpdateOrganization(Fields):
    name: Annotated[str, Field(min_length=1)] | None = None
    description: str | None = None
    website: str | None = None
    industry: str | None = None
    company_size: str | None = None
    logo_image: str | None = None
    image_url: str | None = None
    is_active: bool | None = None
    api_usage_limit: Annotated[float, Field(allow_inf_nan=False)] | None = None
    api_key_usage_limit: Annotated[float, Field(allow_inf_nan=False)] | None = None
    domains: list[str] | None = None


class ValidateEmail(AuthFields):
    email: str


class Login(AuthFields):
    email_or_username: str
    password: str
    device_information: dict[str, Any] | None = None


class Refresh(AuthFields):
    refresh_token: str
