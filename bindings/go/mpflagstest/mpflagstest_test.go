package mpflagstest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/mpflags/mpflags/bindings/go"
	"github.com/mpflags/mpflags/bindings/go/mpflagstest"
	of "github.com/open-feature/go-sdk/openfeature"
	"github.com/open-feature/go-sdk/openfeature/isolated"
)

// shop stands in for the program under test.
type shop struct{ flags *mpflags.Client }

func (s shop) checkout(user string) string {
	if s.flags.Boolean(context.Background(), "new-checkout", false, mpflags.Context{"distinct_id": user}) {
		_ = s.flags.Track("Bought", user, map[string]any{"price": 5})
		return "new"
	}
	return "old"
}

func TestCheckout(t *testing.T) {
	flags := mpflagstest.New(t, map[string]any{"new-checkout": true})
	shop := shop{flags.Client}
	if got := shop.checkout("user-1"); got != "new" || !flags.Tracked("Bought") {
		t.Error(got)
	}
	flags.Set("new-checkout", false)
	if got := shop.checkout("user-1"); got != "old" {
		t.Error(got)
	}
}

func TestProvider(t *testing.T) {
	flags := mpflagstest.New(t, map[string]any{"color": "red"})
	api := isolated.NewAPI()
	defer func() { _ = api.Shutdown(t.Context()) }()
	if err := api.SetProviderAndWait(t.Context(), flags.Provider); err != nil {
		t.Fatal(err)
	}
	if got := api.NewClient().String(t.Context(), "color", "none", of.EvaluationContext{}); got != "red" {
		t.Error(got)
	}
	flags.Unset("color")
	if _, err := api.NewClient().StringValue(t.Context(), "color", "none", of.EvaluationContext{}); err == nil {
		t.Error("the flag still has a value")
	}
}

func TestDefinitionsAndExposures(t *testing.T) {
	flags := mpflagstest.New(t, nil, mpflags.WithDefinitions(`{"flags": [{"key": "f", "context": "distinct_id", "ruleset": {"variants":
		[{"key": "on", "value": 1}], "rollout": [{"rollout_percentage": 1}]}}]}`))
	if got := flags.Client.Int(t.Context(), "f", 0, mpflags.Context{"distinct_id": "u1"}); got != 1 {
		t.Error(got)
	}
	if !flags.Tracked("$experiment_started") || flags.Events()[0].Properties["distinct_id"] != "u1" {
		t.Error(flags.Events())
	}
	if err := flags.Client.Evaluate(t.Context(), "g", nil).Err(); !errors.Is(err, mpflags.FlagNotFound) {
		t.Error(err)
	}
	if flags.Tracked("never") {
		t.Error("Tracked reports an event that was not tracked")
	}
}
