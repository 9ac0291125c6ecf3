package tests

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mpflags/mpflags/bindings/go"
	"github.com/mpflags/mpflags/bindings/go/internal/dev"
	provider "github.com/mpflags/mpflags/bindings/go/openfeature"
	of "github.com/open-feature/go-sdk/openfeature"
	"github.com/open-feature/go-sdk/openfeature/isolated"
	"go.uber.org/goleak"
)

// Each test is a trap that Go's SDK sets for a provider.

const gate = `{"flags": [{"key": "f", "context": "distinct_id", "ruleset": {"variants": [{"key": "on", "value": true, "split": 1}],
	"rollout": [{"rollout_percentage": 1}]}}]}`

// scene is a server and an API. It checks for leaks at the end of the test.
type scene struct {
	*testing.T
	server *dev.Server
	api    *of.EvaluationAPI
	client *of.Client
	user   of.EvaluationContext
}

func newScene(t *testing.T) *scene {
	ignored, threads := goleak.IgnoreCurrent(), libraryThreads()
	s := &scene{T: t, server: dev.Start(t), api: isolated.NewAPI(), user: of.NewTargetlessEvaluationContext(map[string]any{"distinct_id": "u1"})}
	s.server.Serve(gate)
	s.client = s.api.NewClient()
	t.Cleanup(func() {
		if err := s.api.Shutdown(background); err != nil {
			t.Error(err)
		}
		s.server.Close()
		if err := goleak.Find(ignored); err != nil {
			t.Error(err)
		}
		if err := eventually("the end of the threads", func() bool { return libraryThreads() <= threads }); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *scene) provider(options ...mpflags.Option) *provider.Provider {
	p, err := provider.NewLocalProvider("demo", append(s.options(), options...)...)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = p.Client().Close() })
	return p
}

func (s *scene) options() []mpflags.Option {
	return []mpflags.Option{mpflags.WithAPIHost(s.server.URL), mpflags.WithLogger(quiet), mpflags.WithPollingInterval(50 * time.Millisecond),
		mpflags.WithRetryBase(10 * time.Millisecond), mpflags.WithShutdownTimeout(3 * time.Second)}
}

func (s *scene) code(client *of.Client) of.ErrorCode {
	details, _ := client.BooleanValueDetails(background, "f", false, s.user)
	return details.ErrorCode
}

func (s *scene) wait(what string, is func() bool) {
	s.Helper()
	if err := eventually(what, is); err != nil {
		s.Fatal(err)
	}
}

// watch collects the events of a client.
func watch(client *of.Client) func() []string {
	var mu sync.Mutex
	var names []string
	for _, kind := range []of.EventType{of.ProviderReady, of.ProviderError, of.ProviderStale, of.ProviderConfigChange} {
		handler := func(details of.EventDetails) {
			mu.Lock()
			defer mu.Unlock()
			names = append(names, string(kind)+" of "+details.ProviderName)
		}
		client.AddHandler(kind, &handler)
	}
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(names)
	}
}

// If a provider replaces a ready one, the SDK evaluates with it before its Init has returned.
func TestNotReadyBeforeInitReturns(t *testing.T) {
	s := newScene(t)
	if err := s.api.SetProviderAndWait(background, s.provider()); err != nil {
		t.Fatal(err)
	}
	s.server.Faults(`[{"path": "/flags/definitions", "kind": "hang"}]`)
	for name, p := range map[string]*provider.Provider{"without definitions": s.provider(), "with definitions": s.provider(mpflags.WithDefinitions(gate))} {
		if got := p.BooleanEvaluation(background, "f", false, of.FlattenedContext{"distinct_id": "u1"}); got.Value || got.ResolutionDetail().ErrorCode != of.ProviderNotReadyCode {
			t.Errorf("%s, before Init: %+v", name, got)
		}
	}
	hanging := s.provider()
	if err := s.api.SetProvider(background, hanging); err != nil {
		t.Fatal(err)
	}
	// Before 1.20 the SDK takes it for READY.
	wanted := map[string]of.State{"go-sdk 1.18": of.ReadyState, "go-sdk 1.20": of.NotReadyState}[sdk]
	if state, code := s.client.State(), s.code(s.client); state != wanted || code != of.ProviderNotReadyCode {
		t.Errorf("the SDK's state is %s, the code %q", state, code)
	}
	s.server.NoFaults()
	s.server.Call("POST", "/__dev/restart", "")
	s.wait("the recovery", func() bool { return s.code(s.client) == "" })
}

// The SDK takes a CONFIGURATION_CHANGED for a READY, so a provider that failed or is stale must send READY first. The test
// reads the channel itself, since the SDK runs handlers in any order.
func TestChangeDoesNotUnfail(t *testing.T) {
	s := newScene(t)
	s.server.Faults(`[{"path": "/flags/definitions", "kind": "status", "status": 500}]`)
	p := s.provider(mpflags.WithInitTimeout(100 * time.Millisecond))
	var failure *of.ProviderInitError
	if err := p.Init(of.EvaluationContext{}); !errors.As(err, &failure) || failure.ErrorCode == of.ProviderFatalCode || !errors.Is(err, mpflags.ErrTimeout) {
		t.Fatal(err)
	}
	returned := time.Now()
	next := func() of.Event {
		select {
		case event := <-p.EventChannel():
			return event
		case <-time.After(10 * time.Second):
			t.Fatal("no event")
			return of.Event{}
		}
	}
	expect := func(kind of.EventType) of.Event {
		t.Helper()
		event := next()
		if event.EventType != kind || event.ProviderName != "mixpanel-provider" || event.ErrorCode != "" {
			t.Fatalf("want %s, got %+v", kind, event)
		}
		return event
	}
	changed := strings.Replace(gate, `"value": true`, `"value": false`, 1)
	s.server.Serve(changed)
	s.server.NoFaults()
	expect(of.ProviderReady)
	if waited := time.Since(returned); waited < 100*time.Millisecond {
		t.Errorf("the first event was sent %v after Init", waited)
	}
	s.server.Serve(gate)
	expect(of.ProviderConfigChange)
	for _, document := range []string{changed, gate} {
		s.server.Faults(`[{"path": "/flags/definitions", "kind": "status", "status": 500}]`)
		if event := expect(of.ProviderStale); !strings.Contains(event.Message, "HTTP 500") {
			t.Error(event.Message)
		}
		s.server.Serve(document)
		s.server.NoFaults()
		expect(of.ProviderReady)
		if event := expect(of.ProviderConfigChange); !slices.Equal(event.FlagChanges, []string{"f"}) {
			t.Error(event.FlagChanges)
		}
	}
	p.Shutdown()
}

// Events that nobody reads, as after a provider was replaced, block nothing.
func TestUnreadEvents(t *testing.T) {
	s := newScene(t)
	p := s.provider()
	channel := p.EventChannel()
	if err := p.Init(of.EvaluationContext{}); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		s.server.Serve(strings.Replace(gate, `"value": true`, fmt.Sprintf(`"value": %d`, i), 1))
		s.wait("the definition", func() bool {
			return p.IntEvaluation(background, "f", -1, of.FlattenedContext{"distinct_id": "u1"}).Value == int64(i)
		})
	}
	begun := time.Now()
	p.Shutdown()
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("the shutdown took %v", took)
	}
	if p.EventChannel() != channel || len(channel) != 0 {
		t.Error("the channel has changed, or still holds events from before the shutdown")
	}
}

// The SDK calls Init and Shutdown once for each domain.
func TestTwoDomains(t *testing.T) {
	s := newScene(t)
	p := s.provider()
	one, two := s.api.NewClient(of.WithDomain("one")), s.api.NewClient(of.WithDomain("two"))
	events := watch(two)
	for _, domain := range []string{"one", "two"} {
		if err := s.api.SetProviderAndWait(background, p, of.WithDomain(domain)); err != nil {
			t.Fatal(err)
		}
	}
	if s.code(one) != "" || s.code(two) != "" {
		t.Error(s.code(one), s.code(two))
	}
	// Only one client has been started. A thread gets its name when it first runs.
	s.wait("two threads", func() bool { return libraryThreads() == 2 })
	// One domain gets another provider, the other keeps this one.
	if err := s.api.SetProviderAndWait(background, of.NoopProvider{}, of.WithDomain("one")); err != nil {
		t.Fatal(err)
	}
	s.server.Serve(strings.Replace(gate, `"value": true`, `"value": false`, 1))
	s.wait("the change", func() bool { return slices.Contains(events(), "PROVIDER_CONFIGURATION_CHANGED of mixpanel-provider") })
	if s.code(two) != "" || libraryThreads() != 2 {
		t.Error(s.code(two), libraryThreads())
	}
	// Bound twice again, so that the API shuts it down twice.
	if err := s.api.SetProviderAndWait(background, p, of.WithDomain("one")); err != nil {
		t.Fatal(err)
	}
	if err := s.api.SetProviderAndWait(background, p); err != nil {
		t.Fatal(err)
	}
}

// A second Init that fails puts a provider that is ready into the SDK's error state. The provider sends READY again.
func TestSecondInitCancelled(t *testing.T) {
	s := newScene(t)
	p := s.provider()
	events := watch(s.client)
	if err := s.api.SetProviderAndWait(background, p); err != nil {
		t.Fatal(err)
	}
	// Handlers run in any order, so wait for each event before causing the next.
	s.wait("READY", func() bool { return len(events()) == 1 })
	ended, cancel := context.WithCancel(background)
	cancel()
	if err := s.api.SetProviderAndWait(ended, p, of.WithDomain("two")); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if s.code(s.client) != "" {
		t.Error("evaluations stopped:", s.code(s.client))
	}
	two := s.api.NewClient(of.WithDomain("two"))
	s.wait("ERROR and READY", func() bool { return len(events()) == 3 })
	if got := events(); got[1] != "PROVIDER_ERROR of mixpanel-provider" || got[2] != "PROVIDER_READY of mixpanel-provider" {
		t.Error(got)
	}
	if s.client.State() != of.ReadyState || two.State() != of.ReadyState {
		t.Error(s.client.State(), two.State())
	}
}

// A cancelled Init returns at once. The client keeps polling, and the provider recovers.
func TestInitCancelled(t *testing.T) {
	s := newScene(t)
	s.server.Faults(`[{"path": "/flags/definitions", "kind": "hang"}]`)
	p := s.provider(mpflags.WithInitTimeout(time.Minute), mpflags.WithRequestTimeout(time.Minute))
	ctx, cancel := context.WithCancel(background)
	go func() {
		s.server.Requests(1)
		cancel()
	}()
	begun := time.Now()
	err := s.api.SetProviderAndWait(ctx, p)
	if !errors.Is(err, context.Canceled) || time.Since(begun) > 10*time.Second {
		t.Fatal(err, time.Since(begun))
	}
	s.wait("ERROR", func() bool { return s.client.State() == of.ErrorState })
	if s.code(s.client) != of.ProviderNotReadyCode {
		t.Error(s.code(s.client))
	}
	s.server.NoFaults()
	s.server.Call("POST", "/__dev/restart", "")
	s.wait("READY", func() bool { return s.client.State() == of.ReadyState })
	if s.code(s.client) != "" {
		t.Error(s.code(s.client))
	}
}

// A start from the cache sends READY, then STALE.
func TestStartFromCache(t *testing.T) {
	s := newScene(t)
	cache := mpflags.WithDefinitionsCacheDir(t.TempDir())
	first := s.provider(cache)
	if err := first.Init(of.EvaluationContext{}); err != nil {
		t.Fatal(err)
	}
	first.Shutdown()
	s.server.Faults(`[{"path": "/flags/definitions", "kind": "status", "status": 500}]`)
	events := watch(s.client)
	if err := s.api.SetProviderAndWait(background, s.provider(cache)); err != nil {
		t.Fatal(err)
	}
	s.wait("STALE", func() bool { return s.client.State() == of.StaleState })
	s.server.NoFaults()
	s.wait("READY", func() bool { return s.client.State() == of.ReadyState })
	s.wait("three events", func() bool { return len(events()) >= 3 })
	if got := fmt.Sprint(events()); got != "[PROVIDER_READY of mixpanel-provider PROVIDER_STALE of mixpanel-provider PROVIDER_READY of mixpanel-provider]" {
		t.Error(got)
	}
}

// The order is the same after a failed Init. The test reads the channel itself, since the SDK runs handlers in any order.
func TestStartFromCacheAfterFailure(t *testing.T) {
	s := newScene(t)
	cache := mpflags.WithDefinitionsCacheDir(t.TempDir())
	first := s.provider(cache)
	if err := first.Init(of.EvaluationContext{}); err != nil {
		t.Fatal(err)
	}
	first.Shutdown()
	s.server.Faults(`[{"path": "/flags/definitions", "kind": "status", "status": 500}]`)
	p := s.provider(cache)
	ended, cancel := context.WithCancel(background)
	cancel()
	if err := p.InitWithContext(ended, of.EvaluationContext{}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	for _, wanted := range []of.EventType{of.ProviderReady, of.ProviderStale, of.ProviderReady} {
		select {
		case event := <-p.EventChannel():
			if event.EventType != wanted {
				t.Fatalf("want %s, got %+v", wanted, event)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("no %s", wanted)
		}
		if wanted == of.ProviderStale {
			s.server.NoFaults()
		}
	}
	p.Shutdown()
}

// A remote provider is ready at once, and its evaluations return when their context ends.
func TestRemoteProvider(t *testing.T) {
	s := newScene(t)
	p, err := provider.NewRemoteProvider("demo", s.options()...)
	if err != nil {
		t.Fatal(err)
	}
	s.Cleanup(func() { _ = p.Client().Close() })
	if err := s.api.SetProviderAndWait(background, p); err != nil {
		t.Fatal(err)
	}
	details, err := s.client.BooleanValueDetails(background, "f", false, s.user)
	if err != nil || !details.Value || details.Reason != of.TargetingMatchReason || details.Variant != "on" {
		t.Error(details, err)
	}
	s.server.Faults(`[{"path": "/flags", "kind": "hang"}]`)
	ctx, cancel := context.WithCancel(background)
	go func() {
		_ = eventually("the request", func() bool { return s.server.InFlight() == 1 })
		cancel()
	}()
	begun := time.Now()
	details, err = s.client.BooleanValueDetails(ctx, "f", true, s.user)
	if !details.Value || details.ErrorCode != of.GeneralCode || time.Since(begun) > 9*time.Second || !strings.Contains(err.Error(), "context canceled") {
		t.Error(details, err, time.Since(begun))
	}
}
