// Invites a person over HTTP, waits until the person has accepted, and removes the member again.
//
// The package guestlist is generated from the description of the API: see the README.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"example.com/onboarding/guestlist"
)

const account, email = "vultr", "ada@example.com"

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	// GUESTLIST_API is an address such as http://127.0.0.1:8040/api
	client, err := guestlist.NewClientWithResponses(
		os.Getenv("GUESTLIST_API"),
		guestlist.WithRequestEditorFn(func(_ context.Context, request *http.Request) error {
			request.Header.Set("Authorization", "Bearer "+os.Getenv("GUESTLIST_TOKEN"))
			return nil
		}),
	)
	if err != nil {
		return err
	}

	// Safe to repeat: a person who is invited already gets no second email.
	invited, err := client.InviteWithResponse(ctx, guestlist.InviteBody{Account: account, Email: email})
	if err != nil {
		return err
	}
	if invited.JSON200 == nil {
		return failure(invited.ApplicationproblemJSONDefault)
	}
	fmt.Println(email, "is", invited.JSON200.Outcome)

	for state := guestlist.StatePending; state != guestlist.StateAccepted; {
		time.Sleep(200 * time.Millisecond)
		status, err := client.GetStatusWithResponse(
			ctx, &guestlist.GetStatusParams{Account: account, Who: email},
		)
		if err != nil {
			return err
		}
		if status.JSON200 == nil {
			return failure(status.ApplicationproblemJSONDefault)
		}
		state = status.JSON200.State
	}
	fmt.Println(email, "has accepted")

	removed, err := client.RemoveWithResponse(ctx, guestlist.WhoBody{Account: account, Who: email})
	if err != nil {
		return err
	}
	if removed.JSON200 == nil {
		return failure(removed.ApplicationproblemJSONDefault)
	}
	fmt.Println(email, "is", removed.JSON200.Outcome)
	return nil
}

func failure(problem *guestlist.Problem) error {
	if problem == nil {
		return fmt.Errorf("the answer is not that of the API")
	}
	return fmt.Errorf("%s: %s", problem.Error, problem.Detail)
}
