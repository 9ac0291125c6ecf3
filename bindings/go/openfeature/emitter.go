package openfeature

import (
	"slices"
	"sync"
	"time"

	"github.com/mpflags/mpflags/bindings/go"
	of "github.com/open-feature/go-sdk/openfeature"
)

// grace is how long the first event after an Init waits: the SDK tells the outcome of Init only after it has returned,
// and an event of ours that came before that would be overtaken, and stand for ever.
const grace = 100 * time.Millisecond

// emitter makes events of what the client tells. It compares what the SDK believes with the state of the client, and
// tells the difference, so that neither a missed nor a doubled item leaves the two apart.
type emitter struct {
	client *mpflags.Client
	events chan of.Event
	stop   func()
	wake   chan struct{}
	quit   chan struct{}
	done   chan struct{}

	mu sync.Mutex
	// How many Inits run. Until they have returned no event leaves.
	inits int
	// What the SDK believes: nothing before the first Init.
	told of.State
	// No event leaves before.
	after time.Time
	// The flags that have changed since it was last told.
	changed []string
	// What led to the state Stale.
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

// initialized is called when Init is about to return.
func (e *emitter) initialized(ready bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.inits--
	e.told = of.ErrorState
	if ready {
		e.told = of.ReadyState
	}
	e.after = time.Now().Add(grace)
	e.again()
}

func (e *emitter) end() {
	e.stop()
	close(e.quit)
	<-e.done
	// What nobody took belongs to the life that ends.
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
			// A provider that was replaced has nobody who reads.
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

// next gives the event that is due, or how long to wait for one.
func (e *emitter) next() (*of.Event, time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.inits > 0 || e.told == "" {
		return nil, 0
	}
	if wait := time.Until(e.after); wait > 0 {
		return nil, wait
	}
	switch state := e.client.State(); {
	case state == mpflags.StateReady && e.told != of.ReadyState:
		e.told = of.ReadyState
		return event(of.ProviderReady, of.ProviderEventDetails{Message: "definitions are up to date"}), 0
	case state == mpflags.StateStale && e.told == of.ErrorState:
		// That evaluations have a value is READY, that it may be an old one STALE: to the SDK the one is not the other.
		e.told = of.ReadyState
		return event(of.ProviderReady, of.ProviderEventDetails{Message: "definitions are held"}), 0
	case state == mpflags.StateStale && e.told != of.StaleState:
		e.told = of.StaleState
		return event(of.ProviderStale, of.ProviderEventDetails{Message: e.message}), 0
	case e.told == of.ReadyState && len(e.changed) > 0:
		// Only of a ready provider: to the SDK a change is a READY too.
		changed := e.changed
		e.changed = nil
		return event(of.ProviderConfigChange, of.ProviderEventDetails{Message: "definitions have changed", FlagChanges: changed}), 0
	}
	return nil, 0
}

func event(kind of.EventType, details of.ProviderEventDetails) *of.Event {
	return &of.Event{ProviderName: name, EventType: kind, ProviderEventDetails: details}
}
