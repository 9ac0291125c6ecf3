package openfeature

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"reflect"
	"strings"
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

// An Init that gives up behind a shutdown, before there is an emitter, leaves the count of the next one alone: otherwise
// events would leave before that has returned.
func TestInitGivesUpBesideAnother(t *testing.T) {
	provider := vector{Flags: []byte(`"provider.json"`)}.provider(t)
	p := provider.own()
	provider.Shutdown()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	p.turn <- struct{}{} // as a shutdown holds it
	first, err := p.begin(ended)
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	<-p.turn
	second, failed := p.begin(context.Background())
	if failed != nil {
		t.Fatal(failed)
	}
	inits := func() int {
		p.emitter.mu.Lock()
		defer p.emitter.mu.Unlock()
		return p.emitter.inits
	}
	if err := p.returns(first, err); !errors.Is(err, context.Canceled) || inits() != 1 || p.initialized() {
		t.Error(err, inits(), p.initialized())
	}
	if err := p.returns(second, nil); err != nil || inits() != 0 || !p.initialized() {
		t.Error(err, inits(), p.initialized())
	}
}

// A copy of a provider is the same one: it can be shut down twice, and initialized again.
func TestCopiedProvider(t *testing.T) {
	p := vector{Flags: []byte(`"provider.json"`)}.provider(t)
	copied := reflect.New(reflect.TypeFor[Provider]())
	copied.Elem().Set(reflect.ValueOf(p).Elem())
	other := copied.Interface().(*Provider)
	user := of.FlattenedContext{"distinct_id": "u1"}
	value := func(p *Provider) string { return p.StringEvaluation(t.Context(), "experiment", "default", user).Value }
	if value(p) == "default" || value(other) != value(p) {
		t.Error(value(p), value(other))
	}
	other.Shutdown()
	p.Shutdown()
	if value(p) != "default" || value(other) != "default" {
		t.Error(value(p), value(other))
	}
	if err := p.Init(of.EvaluationContext{}); err != nil || value(other) == "default" {
		t.Error(err, value(other))
	}
}

// A provider that was not made gives defaults and says so.
func TestProviderThatWasNotMade(t *testing.T) {
	var zero Provider
	for name, p := range map[string]*Provider{"zero": &zero, "nil": nil, "of no client": NewProvider(nil)} {
		t.Run(name, func(t *testing.T) {
			user := of.FlattenedContext{"distinct_id": "u1"}
			if got := p.BooleanEvaluation(t.Context(), "f", true, user); !got.Value || got.ResolutionDetail().ErrorCode != of.ProviderNotReadyCode {
				t.Errorf("%+v", got)
			}
			if err := p.Init(of.EvaluationContext{}); err == nil || !strings.Contains(err.Error(), "was not made by") {
				t.Error(err)
			}
			if got := p.IntEvaluation(t.Context(), "f", 7, user); got.Value != 7 || !strings.Contains(got.ResolutionDetail().ErrorMessage, "was not made by") {
				t.Errorf("%+v", got)
			}
			p.Track(t.Context(), "e", of.NewTargetlessEvaluationContext(map[string]any{"distinct_id": "u1"}), of.NewTrackingEventDetails(1))
			if p.EventChannel() == nil || p.Metadata().Name != "mixpanel-provider" || p.Hooks() != nil {
				t.Error(p.EventChannel(), p.Metadata(), p.Hooks())
			}
			if err := p.ShutdownWithContext(t.Context()); err == nil || !strings.Contains(err.Error(), "was not made by") {
				t.Error(err)
			}
			p.Shutdown()
		})
	}
	if _, err := json.Marshal(struct{ Provider *Provider }{&zero}); err == nil || !strings.Contains(err.Error(), "cannot be serialized or copied") {
		t.Error(err)
	}
}
