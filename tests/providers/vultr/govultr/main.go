// Runs every call of Vultr's official Go client that the sandbox imitates, against its govultr
// profile, and stops at the first answer that the client does not understand.
//
// Arguments: base URL, API key of the owner.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/vultr/govultr/v3"
)

type bearer struct{ key string }

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.key)
	return http.DefaultTransport.RoundTrip(r)
}

func check(ok bool, what string, seen ...any) {
	if !ok {
		fmt.Fprintf(os.Stderr, "%s: %+v\n", what, seen)
		os.Exit(1)
	}
}

func done(err error) { check(err == nil, "refused", err) }

// status wants an answer of one status.
func status[T any](want int) func(T, *http.Response, error) T {
	return func(value T, response *http.Response, err error) T {
		done(err)
		check(response.StatusCode == want, "status", want, response.StatusCode)
		return value
	}
}

func created[T any](v T, r *http.Response, err error) T  { return status[T](201)(v, r, err) }
func ok[T any](v T, r *http.Response, err error) T       { return status[T](200)(v, r, err) }
func accepted[T any](v T, r *http.Response, err error) T { return status[T](202)(v, r, err) }

func listed[T any](v T, meta *govultr.Meta, _ *http.Response, err error) (T, *govultr.Meta) {
	done(err)
	check(meta != nil && meta.Links != nil, "meta", meta)
	return v, meta
}

func all[T any](v T, meta *govultr.Meta, r *http.Response, err error) T {
	v, _ = listed(v, meta, r, err)
	return v
}

func refused(err error, text string) {
	check(err != nil && strings.Contains(err.Error(), text), "should be refused with "+text, err)
}

func main() {
	ctx := context.Background()
	client := govultr.NewClient(&http.Client{Transport: bearer{os.Args[2]}})
	done(client.SetBaseURL(os.Args[1]))
	o, u := client.Organization, client.User
	options := &govultr.ListOptions{}

	// Organizations
	orgs := all(o.ListOrganizations(ctx, options))
	check(len(orgs) == 1 && orgs[0].Name == "Example Works", "orgs", orgs)
	home := orgs[0].ID
	org := ok(o.UpdateOrganization(ctx, home, &govultr.OrganizationReq{Name: "Renamed", Type: "Team"}))
	check(org.ID == home && org.Type == "Team" && org.DateCreated != "", "organization", org)
	check(ok(o.GetOrganization(ctx, home)).Name == "Renamed", "renamed organization")
	_, _, err := o.GetOrganization(ctx, "none")
	refused(err, "Organization not found.")

	// Invitations
	asked := &govultr.OrganizationInvitationReq{Email: "rosa@example.net"}
	asked.Permissions.APIEnabled = true
	rosa := created(o.CreateInvitation(ctx, asked))
	check(rosa.ID != "" && rosa.Permissions.APIEnabled, "invitation", rosa)
	check(rosa.StatusInvite == "Pending" && rosa.Status == rosa.StatusFull, "status", rosa)
	check(rosa.OrganizationID == home && rosa.DateExpiration > rosa.DateCreated, "invitation", rosa)
	created(o.CreateInvitation(ctx, &govultr.OrganizationInvitationReq{Email: "tom@example.net"}))
	page, meta := listed(o.ListInvitations(ctx, &govultr.ListOptions{PerPage: 1}))
	check(len(page) == 1 && meta.Total == 2 && meta.Links.Next != "", "first page", page, meta)
	page, meta = listed(o.ListInvitations(ctx, &govultr.ListOptions{PerPage: 1, Cursor: meta.Links.Next}))
	check(page[0].EmailInvited == "tom@example.net" && meta.Links.Next == "", "last page", page, meta)
	check(ok(o.GetInvitation(ctx, rosa.ID)).EmailInvited == "rosa@example.net", "invitation")
	check(ok(o.ResendInvitation(ctx, rosa.ID)).ID == rosa.ID, "resent")
	_, _, err = o.GetInvitation(ctx, "none")
	refused(err, "Invite not found")
	// As Terraform changes an invitation: it deletes nothing and creates another one.
	check(created(o.CreateInvitation(ctx, asked)).ID != rosa.ID, "second invitation")

	// Users
	yes := true
	kim := created(u.Create(ctx, &govultr.UserReq{
		Email: "kim@example.net", Name: "Kim Lee", Password: "secret", APIEnabled: &yes, ACL: []string{"dns"},
	}))
	check(kim.APIKey != "" && *kim.APIEnabled && kim.ACL[0] == "dns", "user", kim)
	done(u.Update(ctx, kim.ID, &govultr.UserReq{Name: "Kim Park"}))
	check(ok(u.Get(ctx, kim.ID)).Name == "Kim Park", "changed user")
	check(len(all(u.List(ctx, options))) == 4, "users")

	// Groups
	group := created(o.CreateGroup(ctx, &govultr.OrganizationGroupReq{Name: "Night", Description: "Shift"}))
	check(group.ID != "" && group.Name == "Night" && group.Description == "Shift", "group", group)
	group = ok(o.UpdateGroup(ctx, group.ID, &govultr.OrganizationGroupReq{Name: "Day"}))
	check(group.Name == "Day" && len(all(o.ListGroups(ctx, options))) == 3, "groups", group)
	done(o.AddGroupMember(ctx, group.ID, &govultr.OrganizationGroupMemberReq{UserID: kim.ID}))
	group = ok(o.GetGroup(ctx, group.ID))
	check(len(group.Members) == 1 && group.Members[0].Name == "Kim Park", "members", group)

	// Roles and policies
	role := created(o.CreateRole(ctx, &govultr.OrganizationRoleReq{Name: "Watch"}))
	check(role.Type == "assumable" && role.MaxSessionDuration == 3600, "role", role)
	role = ok(o.UpdateRole(ctx, role.ID, &govultr.OrganizationRoleReq{Name: "Guard", Type: "assignable", MaxSessionDuration: 60}))
	check(role.Name == "Guard" && role.Type == "assignable" && role.MaxSessionDuration == 60, "changed role", role)
	wanted := &govultr.OrganizationPolicyReq{Name: "Look", PolicyDocument: govultr.OrganizationPolicyDocument{
		Version: "2012-10-17",
		Statement: []govultr.OrganizationPolicyStatement{
			{Effect: "Allow", Action: []string{"compute.*"}, Resource: []string{"*"}},
		},
	}}
	policy := created(o.CreatePolicy(ctx, wanted))
	wanted.Name = "Watch"
	policy = accepted(o.UpdatePolicy(ctx, policy.ID, wanted))
	check(policy.Name == "Watch" && policy.Document.Statement[0].Action[0] == "compute.*", "policy", policy)
	check(len(all(o.ListRoles(ctx, options))) == 5, "roles")
	check(len(all(o.ListPolicies(ctx, options))) == 5, "policies")

	// What is attached to what
	attachment := created(o.AttachRolePolicy(ctx, role.ID, policy.ID))
	check(attachment.PolicyName == "Watch" && attachment.AssignedBy != "", "attachment", attachment)
	assigned := created(o.AttachRoleGroup(ctx, role.ID, group.ID))
	check(assigned.GroupName == "Day" && assigned.RoleName == "Guard", "assignment", assigned)
	check(created(o.AttachRoleUser(ctx, role.ID, kim.ID)).UserID == kim.ID, "assignment")
	done(o.AttachPolicyUser(ctx, policy.ID, kim.ID))
	done(o.AttachPolicyGroup(ctx, policy.ID, group.ID))
	check(len(ok(o.GetRole(ctx, role.ID)).Policies) == 1, "policies inside a role")
	check(all(o.ListRolePolicies(ctx, role.ID, options))[0].ID == policy.ID, "policies of a role")
	check(all(o.ListRoleUsers(ctx, role.ID, options))[0].UserID == kim.ID, "users of a role")
	check(all(o.ListRoleGroups(ctx, role.ID, options))[0].GroupID == group.ID, "groups of a role")
	check(all(o.ListPolicyUsers(ctx, policy.ID, options))[0].DateAssigned != "", "users of a policy")
	check(all(o.ListPolicyGroups(ctx, policy.ID, options))[0].DateAssigned != "", "groups of a policy")

	// Effective access
	ofGroup, _, _, err := o.ListGroupPolicies(ctx, group.ID)
	done(err)
	check(len(ofGroup.Direct) == 1 && len(ofGroup.Role) == 1 && len(ofGroup.All) == 1, "of group", ofGroup)
	check(ofGroup.Role[0].RoleID == role.ID, "origin", ofGroup.Role)
	rolesOfGroup, _, _, err := o.ListGroupRoles(ctx, group.ID)
	done(err)
	check(rolesOfGroup.Direct[0].Name == "Guard" && len(rolesOfGroup.All) == 1, "of group", rolesOfGroup)
	check(all(o.ListUserGroups(ctx, kim.ID, options))[0].DateAssigned != "", "groups of a user")
	roles := all(o.ListUserRoles(ctx, kim.ID, options))
	check(len(roles.Direct) == 1 && len(roles.Inherited) == 1 && len(roles.All) == 1, "roles", roles)
	policies := all(o.ListUserPolicies(ctx, kim.ID, options))
	check(len(policies.Direct) == 1 && len(policies.Inherited) == 1 && len(policies.All) == 1, "policies", policies)
	check(len(all(o.ListCurrentUserGroups(ctx, options))) == 0, "my groups")
	check(len(all(o.ListCurrentUserRoles(ctx, options)).All) == 0, "my roles")
	mine := all(o.ListCurrentUserPolicies(ctx, options)).Direct
	check(mine[0].SystemPolicy && mine[0].Document.Statement[0].Action[0] == "*", "my policies", mine)

	// And everything away again
	done(o.DetachRolePolicy(ctx, role.ID, policy.ID))
	done(o.DetachRoleUser(ctx, role.ID, kim.ID))
	done(o.DetachRoleGroup(ctx, role.ID, group.ID))
	done(o.DetachPolicyUser(ctx, policy.ID, kim.ID))
	done(o.DetachPolicyGroup(ctx, policy.ID, group.ID))
	done(o.RemoveGroupMember(ctx, group.ID, kim.ID))
	done(o.DeleteGroup(ctx, group.ID))
	_, _, err = o.GetGroup(ctx, group.ID)
	refused(err, "Group not found")
	done(o.DeleteRole(ctx, role.ID))
	_, _, err = o.GetRole(ctx, role.ID)
	refused(err, "Role not found")
	check(ok(o.RestoreRole(ctx, role.ID)).Name == "Guard", "restored role")
	done(o.DeletePolicy(ctx, policy.ID))
	_, _, err = o.GetPolicy(ctx, policy.ID)
	refused(err, "Policy not found")
	check(accepted(o.RestorePolicy(ctx, policy.ID)).Name == "Watch", "restored policy")
	check(ok(o.GetPolicy(ctx, policy.ID)).ID == policy.ID, "policy")
	done(o.SuspendUser(ctx, home, kim.ID))
	suspended := all(o.ListSuspendedUsers(ctx, home, options))
	check(len(suspended) == 1 && suspended[0].DateSuspended != "", "suspended", suspended)
	done(o.UnsuspendUser(ctx, home, kim.ID))
	done(o.DeleteUser(ctx, home, kim.ID))
	_, _, err = u.Get(ctx, kim.ID)
	refused(err, "Invalid user")
	sam := created(u.Create(ctx, &govultr.UserReq{Email: "sam@example.net", Name: "Sam", Password: "secret"}))
	done(u.Delete(ctx, sam.ID))

	// A key that does not work
	stranger := govultr.NewClient(&http.Client{Transport: bearer{"wrong"}})
	done(stranger.SetBaseURL(os.Args[1]))
	_, _, err = stranger.Organization.GetGroup(ctx, "none")
	refused(err, "Invalid API token.")
	fmt.Println("understood")
}
