package openfeature

import (
	"slices"
	"sync"
	"time"

	"github.com/mpflags/mpflags/bindings/go"
	of "github.com/open-feature/go-sdk/openfeature"
)

// grace delays the first event after an Init. The SDK reports the outcome of Init only after it has returned; if an event
// of ours came first, that outcome would replace the newer state for good.
const grace = 100 * time.Millisecond

// emitter turns the client's items into events. It compares the SDK's state with the client's and sends the difference, so
// that a missed or repeated item cannot leave the two apart.
type emitter struct {
	client *mpflags.Client
	events chan of.Event
	stop   func()
	wake   chan struct{}
	quit   chan struct{}
	done   chan struct{}

	mu sync.Mutex
	// The number of Inits in progress. No event is sent until they have returned.
	inits int
	// The SDK's state of this provider; empty before the first Init.
	state of.State
	// No event is sent before this time.
	after time.Time
	// The flags that have changed since the last event about changes.
	changed []string
	// The failure that led to the state Stale.
	message string
}

func newEmitter(client *mpflags.Client, events chan of.Event) *emitter {
	e := &emitter{client: client, events: events, wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
	e.stop = client.OnItem(e.listen)
	go e.run()
	return e
}

func (e *emitter) listen(item mpflags.Item) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch item := item.(type) {
	case mpflags.StateItem:
		e.message = item.Message
	case mpflags.ChangeItem:
		e.changed = append(e.changed, item.Flags...)
		slices.Sort(e.changed)
		e.changed = slices.Compact(e.changed)
	default:
		return
	}
	e.again()
}

func (e *emitter) again() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

func (e *emitter) initializing() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.inits++
}

// initialized is called just before Init returns.
func (e *emitter) initialized(ready bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.inits--
	e.state = of.ErrorState
	if ready {
		e.state = of.ReadyState
	}
	e.after = time.Now().Add(grace)
	e.again()
}

func (e *emitter) end() {
	e.stop()
	close(e.quit)
	<-e.done
	// Events that nobody read are obsolete.
	for {
		select {
		case <-e.events:
		default:
			return
		}
	}
}

func (e *emitter) run() {
	defer close(e.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		event, wait := e.next()
		if event != nil {
			// Sending can block for good, since nobody reads the channel of a provider that was replaced.
			select {
			case e.events <- *event:
			case <-e.quit:
				return
			}
			continue
		}
		var later <-chan time.Time
		if wait > 0 {
			timer.Reset(wait)
			later = timer.C
		}
		select {
		case <-e.wake:
		case <-later:
		case <-e.quit:
			return
		}
	}
}

// next returns the event that is due, or how long to wait for one.
func (e *emitter) next() (*of.Event, time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.inits > 0 || e.state == "" {
		return nil, 0
	}
	if wait := time.Until(e.after); wait > 0 {
		return nil, wait
	}
	switch state := e.client.State(); {
	case state == mpflags.StateReady && e.state != of.ReadyState:
		e.state = of.ReadyState
		return event(of.ProviderReady, of.ProviderEventDetails{Message: "definitions are up to date"}), 0
	case state == mpflags.StateStale && e.state == of.ErrorState:
		// To the SDK, STALE does not mean that evaluations work again, so READY comes first, and STALE next.
		e.state = of.ReadyState
		return event(of.ProviderReady, of.ProviderEventDetails{Message: "definitions are available"}), 0
	case state == mpflags.StateStale && e.state != of.StaleState:
		e.state = of.StaleState
		return event(of.ProviderStale, of.ProviderEventDetails{Message: e.message}), 0
	case e.state == of.ReadyState && len(e.changed) > 0:
		// Only if the provider is ready, since the SDK treats a change as a READY.
		changed := e.changed
		e.changed = nil
		return event(of.ProviderConfigChange, of.ProviderEventDetails{Message: "definitions have changed", FlagChanges: changed}), 0
	}
	return nil, 0
}

func event(kind of.EventType, details of.ProviderEventDetails) *of.Event {
	return &of.Event{ProviderName: name, EventType: kind, ProviderEventDetails: details}
}
