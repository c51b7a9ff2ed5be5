// Runs every call of Vultr's official Go client that the sandbox imitates, against its govultr
// profile, and stops at the first answer that the client does not understand. The other calls change
// groups, roles, policies and organizations.
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
	org := ok(o.GetOrganization(ctx, home))
	check(org.ID == home && org.Type == "Team" && org.DateCreated != "", "organization", org)
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
	users := all(u.List(ctx, options))
	check(len(users) == 3 && users[1].Email == "lena@example.org", "users", users)
	lena := users[1].ID
	no := false
	done(u.Update(ctx, lena, &govultr.UserReq{APIEnabled: &no}))
	check(!*ok(u.Get(ctx, lena)).APIEnabled, "changed user")

	// Groups
	group := created(o.CreateGroup(ctx, &govultr.OrganizationGroupReq{Name: "Night", Description: "Shift"}))
	check(group.ID != "" && group.Name == "Night" && group.Description == "Shift", "group", group)
	check(len(all(o.ListGroups(ctx, options))) == 3, "groups", group)
	done(o.AddGroupMember(ctx, group.ID, &govultr.OrganizationGroupMemberReq{UserID: lena}))
	group = ok(o.GetGroup(ctx, group.ID))
	check(len(group.Members) == 1 && group.Members[0].Name == "Lena Engineer", "members", group)

	// Roles and policies
	roles := all(o.ListRoles(ctx, options))
	check(len(roles) == 4 && roles[2].Name == "Support" && roles[2].Type == "assignable", "roles", roles)
	role := roles[2]
	wanted := &govultr.OrganizationPolicyReq{Name: "Look", PolicyDocument: govultr.OrganizationPolicyDocument{
		Version: "2012-10-17",
		Statement: []govultr.OrganizationPolicyStatement{
			{Effect: "Allow", Action: []string{"compute.*"}, Resource: []string{"*"}},
		},
	}}
	policy := created(o.CreatePolicy(ctx, wanted))
	check(policy.Name == "Look" && policy.Document.Statement[0].Action[0] == "compute.*", "policy", policy)
	check(len(all(o.ListPolicies(ctx, options))) == 5, "policies")

	// What is attached to what
	assigned := created(o.AttachRoleGroup(ctx, role.ID, group.ID))
	check(assigned.GroupName == "Night" && assigned.RoleName == "Support", "assignment", assigned)
	check(created(o.AttachRoleUser(ctx, role.ID, lena)).UserID == lena, "assignment")
	done(o.AttachPolicyUser(ctx, policy.ID, lena))
	done(o.AttachPolicyGroup(ctx, policy.ID, group.ID))
	check(all(o.ListRoleUsers(ctx, role.ID, options))[0].UserID == lena, "users of a role")
	check(all(o.ListRoleGroups(ctx, role.ID, options))[0].GroupID == group.ID, "groups of a role")
	check(all(o.ListPolicyUsers(ctx, policy.ID, options))[0].DateAssigned != "", "users of a policy")
	check(all(o.ListPolicyGroups(ctx, policy.ID, options))[0].DateAssigned != "", "groups of a policy")

	// Effective access
	check(all(o.ListUserGroups(ctx, lena, options))[0].DateAssigned != "", "groups of a user")
	held := all(o.ListUserRoles(ctx, lena, options))
	check(len(held.Direct) == 1 && len(held.Inherited) == 1 && len(held.All) == 1, "roles", held)
	policies := all(o.ListUserPolicies(ctx, lena, options))
	check(len(policies.Direct) == 2 && len(policies.Inherited) == 2 && len(policies.All) == 3, "policies", policies)
	check(len(all(o.ListCurrentUserGroups(ctx, options))) == 0, "my groups")
	check(len(all(o.ListCurrentUserRoles(ctx, options)).All) == 0, "my roles")
	mine := all(o.ListCurrentUserPolicies(ctx, options)).Direct
	check(mine[0].SystemPolicy && mine[0].Document.Statement[0].Action[0] == "*", "my policies", mine)

	// And everything away again
	done(o.DetachRoleUser(ctx, role.ID, lena))
	done(o.DetachRoleGroup(ctx, role.ID, group.ID))
	done(o.DetachPolicyUser(ctx, policy.ID, lena))
	done(o.DetachPolicyGroup(ctx, policy.ID, group.ID))
	done(o.RemoveGroupMember(ctx, group.ID, lena))
	_, _, err = o.GetGroup(ctx, "none")
	refused(err, "Group not found")
	done(o.SuspendUser(ctx, home, lena))
	suspended := all(o.ListSuspendedUsers(ctx, home, options))
	check(len(suspended) == 1 && suspended[0].DateSuspended != "", "suspended", suspended)
	done(o.UnsuspendUser(ctx, home, lena))
	done(o.DeleteUser(ctx, home, lena))
	_, _, err = u.Get(ctx, lena)
	refused(err, "Invalid user")

	// A key that does not work
	stranger := govultr.NewClient(&http.Client{Transport: bearer{"wrong"}})
	done(stranger.SetBaseURL(os.Args[1]))
	_, _, err = stranger.Organization.GetGroup(ctx, "none")
	refused(err, "Invalid API token.")
	fmt.Println("understood")
}
