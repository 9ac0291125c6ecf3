package tests

import (
	"context"
	"errors"
	"testing"

	"github.com/barkimedes/go-deepcopy"
	"github.com/mpflags/mpflags/bindings/go"
)

// A deep copy of a client returns errors that explain why, and the original keeps working.
func TestDeepCopiedClient(t *testing.T) {
	c, err := mpflags.New("demo", mpflags.WithEnablePolling(false), mpflags.WithReportExposures(false), mpflags.WithDefinitions(`{"flags": [
		{"key": "f", "context": "distinct_id", "ruleset": {"variants": [{"key": "on", "value": true}], "rollout": [{"rollout_percentage": 1}]}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	type service struct{ Flags *mpflags.Client }
	user := mpflags.Context{"distinct_id": "u1"}
	made, err := deepcopy.Anything(&service{c})
	if err != nil {
		t.Fatal(err)
	}
	copied := made.(*service)
	if copied.Flags == c {
		t.Fatal("the client was not copied")
	}
	if err := copied.Flags.Evaluate(context.Background(), "f", user).Err(); !errors.Is(err, mpflags.ErrInvalidArgument) {
		t.Error(err)
	}
	if err := copied.Flags.Close(); !errors.Is(err, mpflags.ErrInvalidArgument) {
		t.Error(err)
	}
	if !c.Boolean(context.Background(), "f", false, user) {
		t.Error("the original does not work any more")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
