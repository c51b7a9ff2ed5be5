"""The endpoints of policies (dossier 2.5). Attaching them is in `relations`."""

from __future__ import annotations

from . import fields
from .call import NO_CONTENT, Answer, Call, Endpoint, Endpoints
from .refusal import Refused
from .state import Policy


def list_policies(call: Call) -> Answer:
    shapes = call.shapes
    return Answer(200, shapes.many("policies", call.world.policies, shapes.policy, call.query))


def create_policy(call: Call) -> Answer:
    body = call.body()
    policy = Policy(
        **call.world.identity(),
        name=fields.text(body, "name"),
        description=fields.text(body, "description", ""),
        document=fields.document(body),
    )
    call.world.policies.add(policy)
    return Answer(201, call.shapes.one("policy", call.shapes.policy(policy)))


def get_policy(call: Call) -> Answer:
    policy = call.world.policies.get(call.path["id"])
    return Answer(200, call.shapes.one("policy", call.shapes.policy(policy), wrapped=True))


def update_policy(call: Call) -> Answer:
    policy = _own(call)
    body = call.body()
    name = fields.text(body, "name") if "name" in body else policy.name
    description = fields.text(body, "description", policy.description)
    document = fields.document(body) if "policy_document" in body else policy.document
    policy.name, policy.description, policy.document = name, description, document
    policy.updated = call.world.clock.now()
    return Answer(202, call.shapes.one("policy", call.shapes.policy(policy)))


def delete_policy(call: Call) -> Answer:
    _own(call).deleted = call.world.clock.now()
    return NO_CONTENT


def restore_policy(call: Call) -> Answer:
    """Restores a deleted policy with everything attached to it. A policy that is not deleted does
    not change."""
    policy = call.world.policies.even_deleted(call.path["id"])
    policy.deleted = None
    return Answer(202, call.shapes.one("policy", call.shapes.policy(policy)))


def _own(call: Call) -> Policy:
    """Returns a policy that can be changed. System policies are read-only; status and text are
    unverified."""
    policy = call.world.policies.get(call.path["id"])
    if policy.system:
        raise Refused(403, "System policies cannot be changed.")
    return policy


ENDPOINTS: Endpoints = {
    "/v2/policies": {
        "GET": Endpoint("iam.policy.List", list_policies),
        "POST": Endpoint("iam.policy.Create", create_policy),
    },
    "/v2/policies/{id}": {
        "GET": Endpoint("iam.policy.Read", get_policy),
        "PUT": Endpoint("iam.policy.Update", update_policy),
        "DELETE": Endpoint("iam.policy.Delete", delete_policy),
    },
    "/v2/policies/{id}/restore": {"PATCH": Endpoint("iam.policy.Restore", restore_policy)},
}
