"""A local imitation of a service with SCIM 2.0: its users and groups.

It answers as RFC 7643 and RFC 7644 say, and as a running scim2-server 0.8.3 does. Each
switch is a difference between documented services; docs/providers/scim.md has the sources.
"""

from __future__ import annotations

import uuid
from copy import deepcopy
from typing import Any, ClassVar

from starlette.responses import JSONResponse, Response

from guestlist.sandbox import (
    IncomingRequest,
    MemberRecord,
    OrganizationService,
    RateLimit,
    RoleRecord,
    Routes,
    SandboxRefusal,
    SlidingWindow,
    Switch,
)
from guestlist.sandbox.envelopes import scim
from guestlist.sandbox.organization import ACTIVE
from guestlist.sandbox.paging import page_by_start_index
from guestlist.sandbox.refusals import (
    DuplicateMember,
    HttpRefusal,
    InvalidValue,
    RecordNotFound,
)
from guestlist_scim.sandbox.documents import (
    Document,
    InvalidFilter,
    InvalidPath,
    NoTarget,
    apply_change,
    key_of,
    parse_filter,
    project,
)

MOUNT = "/scim/v2"
MEDIA_TYPE = "application/scim+json"
CORE = "urn:ietf:params:scim:schemas:core:2.0"
MESSAGES = "urn:ietf:params:scim:api:messages:2.0"
TOKEN, READ_ONLY_TOKEN = "SCIM-SANDBOX-TOKEN", "SCIM-SANDBOX-READ-ONLY"
MAX_PAGE = 100
REQUESTS_PER_MINUTE = 180

NEEDED: dict[tuple[str, str], dict[str, Any]] = {
    ("patch", "no"): {"patch": False},
    ("selectors", "no"): {"removes_members": "by_value"},
    ("user_filters", "userName"): {"find_by": ["userName"]},
    ("user_filters", "none"): {"find_by": []},
    ("group_filters", "all"): {"find_groups": True},
    ("groups_in_users", "yes"): {"groups_in_users": True},
    ("delete", "deactivates"): {"deprovision": "deactivate"},
    ("rate", "180"): {"requests_per_minute": 180},
}
"""The settings of an account that a value of a switch makes necessary."""

Attribute = dict[str, Any]


def attribute(name: str, kind: str = "string", *subs: Attribute, **more: Any) -> Attribute:
    """Returns the description of an attribute (RFC 7643, 7)."""
    described = {
        "name": name,
        "type": kind,
        "multiValued": False,
        "description": name,
        "required": False,
        "mutability": "readWrite",
        "returned": "default",
        **({"caseExact": False, "uniqueness": "none"} if kind in ("string", "reference") else {}),
        **({"subAttributes": list(subs)} if subs else {}),
    }
    return described | more


NAME = (attribute("formatted"), attribute("givenName"), attribute("familyName"))
EMAIL = (attribute("value"), attribute("type"), attribute("primary", "boolean"))
IN_USER = [
    attribute(name, mutability="readOnly", caseExact=name == "value")
    for name in ("value", "display", "type")
]
IN_GROUP = [
    attribute(name, mutability=how, caseExact=name == "value")
    for name, how in (("value", "immutable"), ("display", "readOnly"), ("type", "immutable"))
]
SCHEMAS: dict[str, list[Attribute]] = {
    "User": [
        attribute("userName", required=True, uniqueness="server"),
        attribute("displayName"),
        attribute("name", "complex", *NAME),
        attribute("active", "boolean"),
        attribute("emails", "complex", *EMAIL, multiValued=True),
        attribute("groups", "complex", *IN_USER, multiValued=True, mutability="readOnly"),
    ],
    "Group": [
        attribute("displayName", required=True),
        attribute("members", "complex", *IN_GROUP, multiValued=True),
    ],
}
"""The attributes of the resources, by the name of the resource type. Others are ignored."""

TYPES: dict[str, type] = {"string": str, "boolean": bool, "complex": dict}
ALWAYS = ("schemas", "id")
PEOPLE = {
    "olga@example.org": ("olga@example.org", "Olga Owner", "Admins"),
    "robin": ("robin@example.org", "Robin Roe", "Engineering"),
}
"""The address, name and group of the first users, by userName."""


class ScimService(OrganizationService):
    """A service with SCIM 2.0."""

    name = "scim"
    title = "SCIM"
    profiles = ("rfc",)
    lifetime = None
    switches: ClassVar[dict[str, Switch]] = {
        "patch": Switch(("yes", "no"), "whether PATCH is supported, or PUT only"),
        "selectors": Switch(("yes", "no"), "whether the path of a PATCH may select with a filter"),
        "user_filters": Switch(
            ("all", "userName", "none"), "the attributes by which users are found"
        ),
        "group_filters": Switch(("none", "all"), "whether groups are found by their members"),
        "groups_in_users": Switch(("no", "yes"), "whether a user's record has the groups"),
        "booleans": Switch(("json", "text"), "how `active` is written: false, or the text False"),
        "delete": Switch(("removes", "deactivates"), "what DELETE does to a user"),
        "empty_lists": Switch(("with", "without"), "whether an empty list has `Resources`"),
        "rate": Switch(
            ("off", "180"), "whether more than 180 requests in a minute are refused with 429"
        ),
    }
    errors: ClassVar[dict[type[SandboxRefusal], int | tuple[int, str]]] = {
        DuplicateMember: (409, "uniqueness"),
        InvalidFilter: (400, "invalidFilter"),
        InvalidPath: (400, "invalidPath"),
        NoTarget: (400, "noTarget"),
        InvalidValue: (400, "invalidValue"),
    }
    routes = Routes()

    def seed(self) -> None:
        self.window = SlidingWindow(REQUESTS_PER_MINUTE, 60.0)
        groups = {
            name: self.organization.add_role(name, "group")
            for name in ("Engineering", "Support", "Admins")
        }
        for user_name, (email, name, group) in PEOPLE.items():
            document = {
                "userName": user_name,
                "displayName": name,
                "emails": [{"value": email, "type": "work", "primary": True}],
                "active": True,
            }
            self.create(document).roles = [groups[group]]
        client = self.organization.add_person("scim@client.invalid", "The SCIM client")
        self.organization.add_key(client, TOKEN)
        self.organization.add_key(client, READ_ONLY_TOKEN, read_only=True)

    # ------------------------------------------------------------------ users

    @routes.get(f"{MOUNT}/Users")
    def list_users(self, request: IncomingRequest) -> Any:
        members = self.organization.listed(self.organization.members())
        return self.page(request, [self.user(one, request) for one in members], "user_filters")

    @routes.post(f"{MOUNT}/Users", status=201)
    def create_user(self, request: IncomingRequest) -> Any:
        return self.user(self.create(self.checked(request, "User")), request)

    @routes.get(f"{MOUNT}/Users/{{id}}")
    def get_user(self, request: IncomingRequest) -> Any:
        return project(self.user(self.existing(request), request), request.query, ALWAYS)

    @routes.put(f"{MOUNT}/Users/{{id}}")
    def replace_user(self, request: IncomingRequest) -> Any:
        member = self.existing(request)
        self.store(member, self.checked(request, "User"))
        return self.user(member, request)

    @routes.patch(f"{MOUNT}/Users/{{id}}", status=204)
    def patch_user(self, request: IncomingRequest) -> Any:
        member = self.existing(request)
        self.store(member, self.patched(request, deepcopy(member.fields), "User"))

    @routes.delete(f"{MOUNT}/Users/{{id}}")
    def delete_user(self, request: IncomingRequest) -> Any:
        member = self.existing(request)
        if self.chosen["delete"] == "deactivates":
            self.store(member, member.fields | {"active": False})
        else:
            self.organization.remove(member)

    def existing(self, request: IncomingRequest) -> MemberRecord:
        return self.organization.member(request.path["id"])

    def create(self, document: Document) -> MemberRecord:
        self.refuse_duplicate(document["userName"])
        member = self.organization.add_member(document["userName"])
        self.store(member, document)
        return member

    def store(self, member: MemberRecord, document: Document) -> None:
        """Writes a document into the records."""
        self.refuse_duplicate(document["userName"], member)
        self.organization.change_address(member.person, document["userName"])
        member.person.name = document.get("displayName") or ""
        member.fields = document
        member.updated_at = self.clock.now()
        if document.get("active", True):
            self.organization.unsuspend(member)
        else:
            self.organization.suspend(member)

    def refuse_duplicate(self, user_name: str, member: MemberRecord | None = None) -> None:
        known = self.organization.member_with(user_name)
        if known is not None and known is not member:
            raise DuplicateMember("the userName is taken")

    def user(self, member: MemberRecord, request: IncomingRequest) -> Document:
        document = {"schemas": [f"{CORE}:User"], "id": member.id, **member.fields}
        if self.chosen["booleans"] == "text" and "active" in document:
            document["active"] = str(document["active"])
        if self.chosen["groups_in_users"] == "yes":
            document["groups"] = [
                {"value": role.id, "display": role.name, "type": "direct"} for role in member.roles
            ]
        return document | self.meta(member, request, "User")

    # ------------------------------------------------------------------ groups

    @routes.get(f"{MOUNT}/Groups")
    def list_groups(self, request: IncomingRequest) -> Any:
        groups = self.organization.roles.values()
        return self.page(request, [self.group(one, request) for one in groups], "group_filters")

    @routes.post(f"{MOUNT}/Groups", status=201)
    def create_group(self, request: IncomingRequest) -> Any:
        document = self.checked(request, "Group")
        role = self.organization.add_role(document["displayName"], "group")
        self.store_group(role, document)
        return self.group(role, request)

    @routes.get(f"{MOUNT}/Groups/{{id}}")
    def get_group(self, request: IncomingRequest) -> Any:
        return project(self.group(self.existing_group(request), request), request.query, ALWAYS)

    @routes.put(f"{MOUNT}/Groups/{{id}}")
    def replace_group(self, request: IncomingRequest) -> Any:
        role = self.existing_group(request)
        self.store_group(role, self.checked(request, "Group"))
        return self.group(role, request)

    @routes.patch(f"{MOUNT}/Groups/{{id}}", status=204)
    def patch_group(self, request: IncomingRequest) -> Any:
        role = self.existing_group(request)
        self.store_group(role, self.patched(request, self.group(role, request), "Group"))

    @routes.delete(f"{MOUNT}/Groups/{{id}}")
    def delete_group(self, request: IncomingRequest) -> Any:
        role = self.existing_group(request)
        self.store_group(role, {"displayName": role.name})
        del self.organization.roles[role.id]

    def existing_group(self, request: IncomingRequest) -> RoleRecord:
        return self.organization.role(request.path["id"])

    def store_group(self, role: RoleRecord, document: Document) -> None:
        members = document.get("members") or ()
        wanted = {one["value"] for one in members}
        # like scim2-server, it also keeps members who are not users
        others = [one for one in members if one["value"] not in self.organization.records]
        role.name, role.updated_at = document["displayName"], self.clock.now()
        role.fields = {"externalId": document.get("externalId"), "members": others}
        for member in self.organization.members():
            if (member.id in wanted) != (role in member.roles):
                left = [one for one in member.roles if one is not role]
                held = [role] if member.id in wanted else []
                self.organization.set_roles(member, left + held)

    def group(self, role: RoleRecord, request: IncomingRequest) -> Document:
        members = [
            {"value": one.id, "display": one.person.name, "type": "User"}
            for one in self.organization.members()
            if role in one.roles
        ]
        document = {"schemas": [f"{CORE}:Group"], "id": role.id, "displayName": role.name}
        if role.fields.get("externalId"):
            document["externalId"] = role.fields["externalId"]
        members += role.fields.get("members", ())
        return document | {"members": members} | self.meta(role, request, "Group")

    # ------------------------------------------------------------------ what the service tells

    @routes.get(f"{MOUNT}/ServiceProviderConfig")
    def config(self, request: IncomingRequest) -> Any:
        supported = {"bulk": False, "changePassword": False, "sort": False, "etag": False}
        features: Document = {name: {"supported": value} for name, value in supported.items()}
        features["bulk"] |= {"maxOperations": 0, "maxPayloadSize": 0}
        features["patch"] = {"supported": self.chosen["patch"] == "yes"}
        finds = self.chosen["user_filters"] != "none"
        features["filter"] = {"supported": finds, "maxResults": MAX_PAGE}
        scheme = {
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "A bearer token",
        }
        schemas = [f"{CORE}:ServiceProviderConfig"]
        meta = located(request, "ServiceProviderConfig", "ServiceProviderConfig")
        return {"schemas": schemas, **features, "authenticationSchemes": [scheme], **meta}

    @routes.get(f"{MOUNT}/ResourceTypes")
    def resource_types(self, request: IncomingRequest) -> Any:
        return listed([resource_type(request, name) for name in SCHEMAS])

    @routes.get(f"{MOUNT}/ResourceTypes/{{name}}")
    def one_resource_type(self, request: IncomingRequest) -> Any:
        if request.path["name"] not in SCHEMAS:
            raise RecordNotFound("resource type")
        return resource_type(request, request.path["name"])

    @routes.get(f"{MOUNT}/Schemas")
    def schemas(self, request: IncomingRequest) -> Any:
        return listed([schema(request, name) for name in SCHEMAS])

    @routes.get(f"{MOUNT}/Schemas/{{id}}")
    def one_schema(self, request: IncomingRequest) -> Any:
        core, _, name = request.path["id"].rpartition(":")
        if core != CORE or name not in SCHEMAS:
            raise RecordNotFound("schema")
        return schema(request, name)

    @routes.post(f"{MOUNT}/.search")
    def search(self, request: IncomingRequest) -> Any:
        raise HttpRefusal(501, "POST .search is not supported")

    # ------------------------------------------------------------------ helpers of the endpoints

    def checked(self, request: IncomingRequest, kind: str) -> Document:
        """Returns the document in a body, without attributes that the client cannot set."""
        body = request.json()
        if f"{CORE}:{kind}" not in (body.get("schemas") or ()):
            raise HttpRefusal(400, f"schemas has to contain {CORE}:{kind}", "invalidSyntax")
        return self.valid(body, kind)

    def patched(self, request: IncomingRequest, document: Document, kind: str) -> Document:
        """Returns a document with the changes in a body."""
        if self.chosen["patch"] == "no":
            raise HttpRefusal(501, "PATCH is not supported")
        body = request.json()
        changes = body.get("Operations")
        if f"{MESSAGES}:PatchOp" not in (body.get("schemas") or ()) or not isinstance(
            changes, list
        ):
            raise HttpRefusal(400, f"schemas has to contain {MESSAGES}:PatchOp", "invalidSyntax")
        for change in changes:
            apply_change(document, change, selectors=self.chosen["selectors"] == "yes")
        return self.valid(document, kind)

    def valid(self, document: Document, kind: str) -> Document:
        """Returns the attributes that a client can set. Raises InvalidValue for a wrong type."""
        found: Document = {}
        external = attribute("externalId")
        for described in (*SCHEMAS[kind], external):
            name = described["name"]
            value = document.get(key_of(document, name))
            if value is None or described["mutability"] == "readOnly":
                if described["required"]:
                    raise InvalidValue(name, f"{name} is missing")
                continue
            if described["type"] == "boolean" and str(value).lower() in ("true", "false"):
                value = str(value).lower() == "true"  # Entra sends texts
            for one in value if described["multiValued"] and isinstance(value, list) else [value]:
                if not isinstance(one, TYPES[described["type"]]) or one == "":
                    raise InvalidValue(name)
            found[name] = value
        return found

    def page(self, request: IncomingRequest, documents: list[Document], switch: str) -> Any:
        text = request.query.get("filter")
        if text:
            name, supported = text.partition(" ")[0], self.chosen[switch]
            if supported == "none" or (supported != "all" and name != supported):
                raise InvalidFilter(f"{name} cannot be searched for")
            matches = parse_filter(text)
            documents = [one for one in documents if matches(one)]
        page = page_by_start_index(documents, request.query, default=MAX_PAGE)
        shown = [project(one, request.query, ALWAYS) for one in page.items[:MAX_PAGE]]
        answer = listed(shown, page.total, page.start + 1)
        if not shown and self.chosen["empty_lists"] == "without":
            del answer["Resources"]
        return answer

    def meta(
        self, record: MemberRecord | RoleRecord, request: IncomingRequest, kind: str
    ) -> Document:
        dates = {"created": record.created_at, "lastModified": record.updated_at}
        meta = located(request, kind, f"{kind}s/{record.id}")["meta"]
        return {"meta": meta | {name: date.isoformat() for name, date in dates.items()}}

    # ------------------------------------------------------------------ the form of answers

    def validate(self, request: IncomingRequest) -> None:
        kind = request.headers.get("content-type", "").partition(";")[0]
        if request.content and kind not in (MEDIA_TYPE, "application/json"):
            raise HttpRefusal(415, f"the body has to be {MEDIA_TYPE}")

    def error(self, status: int, code: str, refusal: SandboxRefusal) -> Any:
        if isinstance(refusal, HttpRefusal):
            code = refusal.code
        return scim(status, str(refusal), code)

    def response(self, result: Any, status: int) -> Response:
        if result is None or isinstance(result, Response):
            return super().response(result, status)
        response = JSONResponse(result, status, media_type=MEDIA_TYPE)
        if status == 201:
            response.headers["Location"] = result["meta"]["location"]
        return response

    def limit(self, request: IncomingRequest) -> RateLimit | None:
        return self.window if self.chosen["rate"] != "off" else None

    def limit_key(self, request: IncomingRequest) -> str:
        return self.credentials(request)

    def new_id(self, kind: str) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    # ------------------------------------------------------------------ what every sandbox has

    def described(self, member: MemberRecord) -> Document:
        emails = [one["value"] for one in member.fields.get("emails", ())]
        return {"id": member.id, "email": [*emails, member.person.email][0]}

    def snapshot(self) -> Document:
        """Returns the members. If DELETE deactivates users, an inactive user is not a member."""
        members = self.organization.members()
        if self.chosen["delete"] == "deactivates":
            members = [one for one in members if one.status == ACTIVE]
        return {"invitations": [], "members": [self.described(one) for one in members]}

    def settings(self, base_url: str) -> dict[str, Any]:
        """Returns the settings of an account, with what the switches make necessary."""
        settings: dict[str, Any] = {"base_url": base_url + MOUNT, "token": TOKEN}
        for switch, value in self.chosen.items():
            settings |= NEEDED.get((switch, value), {})
        return settings

    def read_only_settings(self, base_url: str) -> dict[str, Any]:
        return {**self.settings(base_url), "token": READ_ONLY_TOKEN}


def listed(documents: list[Document], total: int | None = None, start: int = 1) -> Document:
    """Returns an answer with a list."""
    return {
        "schemas": [f"{MESSAGES}:ListResponse"],
        "totalResults": len(documents) if total is None else total,
        "startIndex": start,
        "itemsPerPage": len(documents),
        "Resources": documents,
    }


def located(request: IncomingRequest, kind: str, path: str) -> Document:
    """Returns the metadata of a resource: its type, and where it is."""
    location = f"{str(request.http.base_url).rstrip('/')}{MOUNT}/{path}"
    return {"meta": {"resourceType": kind, "location": location}}


def resource_type(request: IncomingRequest, name: str) -> Document:
    """Returns the description of a resource type (RFC 7643, 6)."""
    return {
        "schemas": [f"{CORE}:ResourceType"],
        "id": name,
        "name": name,
        "endpoint": f"/{name}s",
        "schema": f"{CORE}:{name}",
        **located(request, "ResourceType", f"ResourceTypes/{name}"),
    }


def schema(request: IncomingRequest, name: str) -> Document:
    """Returns the description of a schema (RFC 7643, 7)."""
    return {
        "schemas": [f"{CORE}:Schema"],
        "id": f"{CORE}:{name}",
        "name": name,
        "description": name,
        "attributes": SCHEMAS[name],
        **located(request, "Schema", f"Schemas/{CORE}:{name}"),
    }
