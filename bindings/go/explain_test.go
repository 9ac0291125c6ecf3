//go:build cgo

package mpflags

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
)

func TestExplain(t *testing.T) {
	definitions := `{"flags": [{"key": "f", "context": "distinct_id", "ruleset": {"variants": [{"key": "on", "value": true}],
		"rollout": [{"rollout_percentage": 1, "runtime_evaluation_rule": {"==": [{"var": "plan"}, "pro"]}}]}}]}`
	c := client(t, WithReportExposures(false), WithDefinitions(definitions))
	explanation, err := c.Explain("f", Context{"distinct_id": "u1", "custom_properties": map[string]any{"plan": "Pro"}})
	if err != nil {
		t.Fatal(err)
	}
	var read struct {
		Step, Variant, Reason string
		Subject               struct{ Key, Text string }
		Rollouts              []struct{ Taken, Matches bool }
	}
	if err := json.Unmarshal(explanation, &read); err != nil {
		t.Fatal(err)
	}
	if read.Step != "rollout" || read.Variant != "on" || read.Reason != "TARGETING_MATCH" || read.Subject.Text != "u1" ||
		len(read.Rollouts) != 1 || !read.Rollouts[0].Taken || !read.Rollouts[0].Matches {
		t.Errorf("%s", explanation)
	}
	// An unusable attribute is not an error of Explain; the explanation describes its effect.
	if explanation, err := c.Explain("f", Context{"distinct_id": math.NaN()}); err != nil || !strings.Contains(string(explanation), "INVALID_CONTEXT") {
		t.Errorf("%s %v", explanation, err)
	}
	remote := client(t, WithRemote())
	if _, err := remote.Explain("f", nil); !errors.Is(err, ErrInvalidArgument) {
		t.Error(err)
	}
}
