// Package mpflagstest makes clients and providers for unit tests. They open no connection, have the flags that the test
// sets, and record the events that the program tracks.
//
//	func TestCheckout(t *testing.T) {
//		flags := mpflagstest.New(t, map[string]any{"new-checkout": true})
//		shop := NewShop(flags.Client)
//		…
//		flags.Set("new-checkout", false)
//		…
//		if !flags.Tracked("Bought") { t.Error("nothing was tracked") }
//	}
package mpflagstest

import (
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/mpflags/mpflags/bindings/go"
	"github.com/mpflags/mpflags/bindings/go/openfeature"
)

// Flags are the flags of one test.
type Flags struct {
	// Client evaluates the flags. It is closed when the test ends.
	Client *mpflags.Client
	// Provider evaluates the flags for OpenFeature. The test sets it, in an isolated API or the global one.
	Provider *openfeature.Provider

	t      testing.TB
	mu     sync.Mutex
	events []Event
}

// Event is an event that the program tracked, or an exposure.
type Event struct {
	Name       string         `json:"event"`
	Properties map[string]any `json:"properties"`
}

// New makes a client whose flags have these values for every user. To test with rules, splits and exposures, pass
// definitions instead: mpflagstest.New(t, nil, mpflags.WithDefinitions(document)).
func New(t testing.TB, values map[string]any, options ...mpflags.Option) *Flags {
	t.Helper()
	base := []mpflags.Option{
		mpflags.WithEnablePolling(false), mpflags.WithDefinitions(`{"flags": []}`), mpflags.WithEventSink(true), mpflags.WithEventFlushInterval(10 * time.Millisecond),
		mpflags.WithLogger(slog.New(slog.DiscardHandler)),
	}
	if values != nil {
		base = append(base, mpflags.WithOverrides(values))
	}
	client, err := mpflags.New("test", append(base, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	f := &Flags{Client: client, Provider: openfeature.NewProvider(client), t: t}
	client.OnItem(f.listen)
	if err := client.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.Provider.Shutdown()
		_ = client.Close() // ignored: the test need not read all events
	})
	return f
}

// Set changes the value of a flag.
func (f *Flags) Set(flag string, value any) {
	f.t.Helper()
	if err := f.Client.SetOverride(flag, value); err != nil {
		f.t.Fatal(err)
	}
}

// Unset removes a value of New or Set. The flag is then evaluated by its definition, or not found.
func (f *Flags) Unset(flag string) {
	f.t.Helper()
	if err := f.Client.ClearOverride(flag); err != nil {
		f.t.Fatal(err)
	}
}

// Events returns the events so far, including exposures ("$experiment_started"). A flag whose value is from New or Set
// makes no exposure.
func (f *Flags) Events() []Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Event(nil), f.events...)
}

// Tracked waits up to a second for an event with this name and reports whether there was one.
func (f *Flags) Tracked(name string) bool {
	for end := time.Now().Add(time.Second); ; time.Sleep(time.Millisecond) {
		for _, event := range f.Events() {
			if event.Name == name {
				return true
			}
		}
		if time.Now().After(end) {
			return false
		}
	}
}

func (f *Flags) listen(item mpflags.Item) {
	tracked, ok := item.(mpflags.EventItem)
	if !ok {
		return
	}
	var event Event
	if err := json.Unmarshal(tracked.JSON, &event); err != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, event)
}
