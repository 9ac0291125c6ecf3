package openfeature

import (
	"context"
	"log/slog"
	"testing"

	of "github.com/open-feature/go-sdk/openfeature"
)

var quiet = slog.New(slog.DiscardHandler)

// An evaluation of the provider allocates nothing: a plain gate has no metadata, and the value is a value.
func TestAllocations(t *testing.T) {
	v := vector{Flags: []byte(`"provider.json"`)}
	p := v.provider(t)
	user := of.FlattenedContext{"distinct_id": "u1", "custom_properties": map[string]any{"plan": "pro", "age": 31}}
	evaluate := func() {
		if got := p.BooleanEvaluation(context.Background(), "targeted", false, user); !got.Value {
			t.Errorf("%+v", got)
		}
	}
	evaluate()
	allocations := testing.AllocsPerRun(1000, evaluate)
	// The race detector's sync.Pool drops some of what it is given.
	if allocations > 1 {
		t.Errorf("%v allocations", allocations)
	}
	t.Logf("%v allocations", allocations)
}

// What a provider hands out is the caller's own.
func TestHandedOut(t *testing.T) {
	v := vector{Flags: []byte(`"provider.json"`)}
	p := v.provider(t)
	user := of.FlattenedContext{"distinct_id": "u1"}
	object := p.ObjectEvaluation(context.Background(), "object", nil, user)
	object.Value.(map[string]any)["nested"].(map[string]any)["list"].([]any)[0] = "changed"
	if again := p.ObjectEvaluation(context.Background(), "object", nil, user); again.Value.(map[string]any)["nested"].(map[string]any)["list"].([]any)[0] != int64(1) {
		t.Error(again.Value)
	}
	flag := p.StringEvaluation(context.Background(), "experiment", "", user)
	flag.FlagMetadata["experiment_id"] = "changed"
	if again := p.StringEvaluation(context.Background(), "experiment", "", user); again.FlagMetadata["experiment_id"] != "exp-1" {
		t.Error(again.FlagMetadata)
	}
}
