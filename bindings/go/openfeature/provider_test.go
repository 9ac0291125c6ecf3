package openfeature

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mpflags/mpflags/bindings/go"
	"github.com/mpflags/mpflags/bindings/go/internal/dev"
	of "github.com/open-feature/go-sdk/openfeature"
)

var quiet = slog.New(slog.DiscardHandler)

// Evaluating a boolean flag allocates the metadata that it returns and nothing else: a map and its entries.
func TestAllocations(t *testing.T) {
	v := vector{Flags: []byte(`"provider.json"`)}
	p := v.provider(t)
	user := of.FlattenedContext{"distinct_id": "u1", "custom_properties": map[string]any{"plan": "pro", "age": 31}}
	evaluate := func() {
		if got := p.BooleanEvaluation(context.Background(), "targeted", false, user); !got.Value || got.FlagMetadata["contextId"] != "u1" {
			t.Errorf("%+v", got)
		}
	}
	evaluate()
	allocations := testing.AllocsPerRun(1000, evaluate)
	// With the race detector, sync.Pool drops items at random.
	if allocations > 2 {
		t.Errorf("%v allocations", allocations)
	}
	t.Logf("%v allocations", allocations)
}

// Reading the wrong type returns the default, so it is not an exposure.
func TestNoExposureOfTheWrongType(t *testing.T) {
	server := dev.Start(t)
	server.Serve(`{"flags": [{"key": "f", "context": "distinct_id", "ruleset": {
		"variants": [{"key": "v", "value": "text"}], "rollout": [{"rollout_percentage": 1}]}}]}`)
	p, err := NewLocalProvider("t", mpflags.WithAPIHost(server.URL), mpflags.WithLogger(quiet))
	if err != nil {
		t.Fatal(err)
	}
	if err := of.SetNamedProviderAndWait(t.Name(), p); err != nil {
		t.Fatal(err)
	}
	client, user := of.NewClient(t.Name()), of.NewEvaluationContext("", map[string]any{"distinct_id": "u1"})
	ctx := context.Background()
	if value := client.Boolean(ctx, "f", true, user); !value {
		t.Error(value)
	}
	client.Int(ctx, "f", 5, user)
	client.Float(ctx, "f", 2.5, user)
	client.Object(ctx, "f", nil, user)
	if left, err := p.Client().Flush(ctx); left != 0 || err != nil {
		t.Error(left, err)
	}
	if stats, err := p.Client().Statistics(); err != nil || stats.Enqueued != 0 {
		t.Errorf("%+v %v", stats, err)
	}
	if value := client.String(ctx, "f", "", user); value != "text" {
		t.Error(value)
	}
	p.Shutdown()
	if events := server.Events(1); len(events) != 1 {
		t.Error(events)
	}
}

// The resolution error wraps ours, with the codes for which the SDK's constructor takes an error.
func TestResolutionErrorWrapsOurs(t *testing.T) {
	flags := []byte(`{"flags": [{"key": "malformed", "context": "distinct_id"}]}`)
	p := vector{Flags: flags}.provider(t)
	remote := vector{Setup: "unanswered"}.provider(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	user := of.FlattenedContext{"distinct_id": "u1"}
	for name, test := range map[string]struct {
		got     of.BoolResolutionDetail
		targets []error
	}{
		"PARSE_ERROR": {p.BooleanEvaluation(t.Context(), "malformed", false, user), []error{mpflags.ParseError}},
		"GENERAL":     {remote.BooleanEvaluation(ended, "f", false, user), []error{mpflags.General, context.Canceled}},
	} {
		var ours *mpflags.EvaluationError
		if !errors.As(test.got.ResolutionError, &ours) || ours.Message == "" {
			t.Errorf("%s: %+v", name, test.got)
		}
		for _, target := range test.targets {
			if !errors.Is(test.got.ResolutionError, target) {
				t.Errorf("%s is not %v: %+v", name, target, test.got)
			}
		}
	}
}

// An SDK call with a deadline returns why there are no definitions, and the SDK's event has the same message.
func TestInitDeadlineKeepsTheReason(t *testing.T) {
	server := dev.Start(t)
	server.Faults(`[{"path": "/flags/definitions", "kind": "status", "status": 500}]`)
	p, err := NewLocalProvider("t", mpflags.WithAPIHost(server.URL), mpflags.WithLogger(quiet))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Client().Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err = p.InitWithContext(ctx, of.EvaluationContext{})
	var initial *of.ProviderInitError
	if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &initial) || !strings.Contains(initial.Message, "HTTP 500") || !strings.Contains(err.Error(), "HTTP 500") {
		t.Error(err)
	}
}

// The caller owns the objects and metadata that a provider returns.
func TestCallerOwnsResults(t *testing.T) {
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

// An Init that gives up while a shutdown is in progress has no emitter. It must not end the next Init's count, or events
// would be sent before that Init has returned.
func TestInitGivesUpBesideAnother(t *testing.T) {
	provider := vector{Flags: []byte(`"provider.json"`)}.provider(t)
	p := provider.own()
	provider.Shutdown()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	p.turn <- struct{}{} // as during a shutdown
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

// A copy of a provider is the same provider, which can be shut down twice and initialized again.
func TestCopiedProvider(t *testing.T) {
	p := vector{Flags: []byte(`"provider.json"`)}.provider(t)
	if text := fmt.Sprint(p, p.Client()); text != "mixpanel-provider(READY) mpflags.Client(READY)" {
		t.Error(text)
	}
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

// A nil or zero provider returns defaults, and errors that explain why.
func TestProviderThatWasNotMade(t *testing.T) {
	var zero Provider
	for name, p := range map[string]*Provider{"zero": &zero, "nil": nil, "without a client": NewProvider(nil)} {
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
			if text := fmt.Sprint(p); text != "mixpanel-provider(UNKNOWN)" {
				t.Error(text)
			}
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
