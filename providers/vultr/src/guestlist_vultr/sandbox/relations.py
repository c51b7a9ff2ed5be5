"""The endpoints that list, attach and detach. They work the same way for every pair of kinds.

The Go client expects a different list for each pair; OpenAPI's lists all have the same form (C-9).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from . import fields
from .access import Grant
from .call import NO_CONTENT, Answer, Call, Endpoint, Endpoints
from .refusal import Refused
from .shapes import Json, Shapes
from .state import ASSUMABLE, Group, Person, Policy, Record, Role, Table, Tie, Ties, World

Left = TypeVar("Left", Role, Policy)
Right = TypeVar("Right", bound=Record)


@dataclass(frozen=True)
class Relation(Generic[Left, Right]):
    """One pair of kinds, such as roles (left) and the users that they are assigned to (right)."""

    left: str
    right: str
    lefts: Callable[[World], Table[Left]]
    rights: Callable[[World], Iterable[Right]]
    right_of: Callable[[World, str], Right]
    """Returns the right record with an id. Raises Refused (404) if there is none."""
    missing: Callable[[World], str]
    """Returns the text of the 404 for a right record that exists but is not attached
    (unverified)."""
    ties: Callable[[World], Ties]
    shape: Callable[[Shapes, Left, Right, Tie], Json]
    key: str
    """The field in which the Go client expects the list."""
    listed: Callable[[Shapes, Grant[Right]], Json] | None = None
    """Returns an item of the list for the Go client; None if the items are the relationships
    themselves."""

    @property
    def name(self) -> str:
        return f"{self.left}_{self.right}_relationship"

    def list(self, call: Call) -> Answer:
        left, ties, shapes = self._left(call), self.ties(call.world), call.shapes
        pairs = ((right, ties.get(left.id, right.id)) for right in self.rights(call.world))
        grants = [Grant(right, tie) for right, tie in pairs if tie is not None]

        def relationship(grant: Grant[Right]) -> Json:
            return self.shape(shapes, left, grant.record, grant.tie)

        def item(grant: Grant[Right]) -> Json:
            if shapes.openapi or self.listed is None:
                return relationship(grant)
            return self.listed(shapes, grant)

        key = f"{self.name}s" if shapes.openapi else self.key
        return Answer(200, shapes.granted(key, grants, item, call.query))

    def attach(self, call: Call) -> Answer:
        left = self._left(call)
        return self._attach(call, left, self.right_of(call.world, call.path["right"]))

    def attach_from_body(self, call: Call) -> Answer:
        """Attaches a record whose id is in the body: the deprecated form of the request."""
        left = self._left(call)
        id = fields.text(call.body(), f"{self.right}_id")
        return self._attach(call, left, self.right_of(call.world, id))

    def detach(self, call: Call) -> Answer:
        left = self._left(call)
        right = self.right_of(call.world, call.path["right"])
        tie = self.ties(call.world).get(left.id, right.id)
        if tie is None:
            raise Refused(404, self.missing(call.world))
        tie.ended = True
        return NO_CONTENT

    def endpoints(self, many: str) -> Endpoints:
        """Returns the endpoints of this relation. `many` is the plural of `right`."""
        lefts = {"role": "roles", "policy": "policies"}[self.left]
        path = f"/v2/{lefts}/{{left}}/{many}"
        action, what = f"iam.{self.left}", self.right.title()
        return {
            path: {"GET": Endpoint(f"{action}.List{many.title()}", self.list)},
            f"{path}/{{right}}": {
                "POST": Endpoint(f"{action}.Attach{what}", self.attach),
                "DELETE": Endpoint(f"{action}.Detach{what}", self.detach),
            },
        }

    def _left(self, call: Call) -> Left:
        return self.lefts(call.world).get(call.path["left"])

    def _attach(self, call: Call, left: Left, right: Right) -> Answer:
        """Attaches a record, if the switches `assumable` and `reattach` allow it."""
        assumable = isinstance(left, Role) and left.role_type == ASSUMABLE
        holds_roles = self.right in ("user", "group")
        if assumable and holds_roles and call.choices["assumable"] == "refuse":
            raise Refused(400, "Assumable roles cannot be attached.")  # text unverified
        ties = self.ties(call.world)
        tie = ties.get(left.id, right.id)
        if tie is not None and call.choices["reattach"] == "refuse":
            raise Refused(400, "Already attached.")
        if tie is None:
            tie = Tie(call.world.clock.now(), call.caller.id)
            ties.attach(left.id, right.id, tie)
        body = self.shape(call.shapes, left, right, tie)
        return Answer(201, call.shapes.one(self.name, body))


def _assigned_user(shapes: Shapes, grant: Grant[Person]) -> Json:
    """Returns a user with the date of the assignment. The word `direct` is an unverified choice."""
    assigned = {"assignment_type": "direct", "assigned_date": shapes.moment(grant.tie.since)}
    return {**shapes.member(grant.record), **assigned}


USERS: dict[str, Any] = {
    "right": "user",
    "rights": World.members,
    "right_of": World.member,
    "missing": lambda world: world.people.missing,
}
GROUPS: dict[str, Any] = {
    "right": "group",
    "rights": lambda world: world.groups,
    "right_of": lambda world, id: world.groups.get(id),
    "missing": lambda world: world.groups.missing,
}

ROLE_USERS = Relation[Role, Person](
    **USERS,
    left="role",
    lefts=lambda world: world.roles,
    ties=lambda world: world.role_users,
    shape=Shapes.role_user,
    key="assignments",
)
ROLE_GROUPS = Relation[Role, Group](
    **GROUPS,
    left="role",
    lefts=lambda world: world.roles,
    ties=lambda world: world.role_groups,
    shape=Shapes.role_group,
    key="assignments",
)
ROLE_POLICIES = Relation[Role, Policy](
    right="policy",
    rights=lambda world: world.policies,
    right_of=lambda world, id: world.policies.get(id),
    missing=lambda world: world.policies.missing,
    left="role",
    lefts=lambda world: world.roles,
    ties=lambda world: world.role_policies,
    shape=Shapes.role_policy,
    key="policies",
    listed=lambda shapes, grant: shapes.policy(grant.record),
)
POLICY_USERS = Relation[Policy, Person](
    **USERS,
    left="policy",
    lefts=lambda world: world.policies,
    ties=lambda world: world.policy_users,
    shape=Shapes.policy_user,
    key="users",
    listed=_assigned_user,
)
POLICY_GROUPS = Relation[Policy, Group](
    **GROUPS,
    left="policy",
    lefts=lambda world: world.policies,
    ties=lambda world: world.policy_groups,
    shape=Shapes.policy_group,
    key="groups",
    listed=Shapes.granted_group,
)

ENDPOINTS: Endpoints = {
    **ROLE_USERS.endpoints("users"),
    **ROLE_GROUPS.endpoints("groups"),
    **ROLE_POLICIES.endpoints("policies"),
    **POLICY_USERS.endpoints("users"),
    **POLICY_GROUPS.endpoints("groups"),
}
ENDPOINTS["/v2/roles/{left}/policies"]["POST"] = Endpoint(
    "iam.role.AttachPolicy", ROLE_POLICIES.attach_from_body
)
