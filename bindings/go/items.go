//go:build cgo

package mpflags

import (
	"context"
	"errors"
	"log/slog"
	"slices"
)

// State tells whether a client can evaluate.
type State string

const (
	// StateUnknown: the client is closed.
	StateUnknown State = "UNKNOWN"
	// StateNotReady: there is nothing to evaluate yet.
	StateNotReady State = "NOT_READY"
	// StateReady: definitions were fetched, or stand in the options.
	StateReady State = "READY"
	// StateStale: definitions are held and evaluated, but Mixpanel cannot be reached or refuses the credentials, or they
	// come from the cache.
	StateStale State = "STALE"
	// StateError: there is nothing to evaluate, and the credentials were refused or the initialisation time has passed.
	// Polling goes on: the client heals by itself.
	StateError State = "ERROR"
)

// Item is something that a client tells: a [LogItem], a [StateItem], a [ChangeItem] or an [EventItem].
type Item interface{ item() }

// LogItem is a line for the log. The client writes it to its logger, see [WithLogger].
type LogItem struct {
	Level   slog.Level
	Message string
}

// StateItem tells a new state, and what led to it where something failed.
type StateItem struct {
	State   State
	Message string
}

// ChangeItem names the flags whose definitions have changed, in order.
type ChangeItem struct{ Flags []string }

// EventItem is an event that would have been sent, as Mixpanel takes it. There are such with [WithEventSink] only.
type EventItem struct{ JSON []byte }

func (LogItem) item()    {}
func (StateItem) item()  {}
func (ChangeItem) item() {}
func (EventItem) item()  {}

// OnItem calls listen with every item from now on, one at a time, in order, from one goroutine. While it runs no other
// item is told and no log line is written, so it is to be short. It may use the client, but not shut it down. The
// function that it gives ends that; an item that is being told then still is.
func (c *Client) OnItem(listen func(Item)) (stop func()) {
	core := c.own().core
	if core.unmade {
		return func() {}
	}
	l := &listener{listen}
	core.listening.Lock()
	defer core.listening.Unlock()
	core.setListeners(append(slices.Clone(core.currentListeners()), l))
	return func() {
		core.listening.Lock()
		defer core.listening.Unlock()
		core.setListeners(slices.DeleteFunc(slices.Clone(core.currentListeners()), func(other *listener) bool {
			return other == l
		}))
	}
}

type listener struct{ tell func(Item) }

func (c *core) currentListeners() []*listener {
	if listeners := c.listeners.Load(); listeners != nil {
		return *listeners
	}
	return nil
}

func (c *core) setListeners(listeners []*listener) { c.listeners.Store(&listeners) }

// pullFor bounds one wait for an item, so that a pump that was told to stop does.
const pullFor = 1000

// pump passes items on from a start until its shutdown has nothing more to report. It holds the core and not the client:
// a client that nobody holds is collected, and its cleanup ends the pump. It stays in from its start to its end, so that
// closing the client does not cut off what it reports last.
func (c *core) pump(stopped <-chan struct{}, done chan<- struct{}) {
	defer close(done)
	defer c.calls.exit(0)
	for {
		select {
		case <-stopped:
			return
		default:
		}
		if !c.take(pullFor) {
			return
		}
	}
}

// takeRest passes on what a client that has no pump reports at its end.
func (c *core) takeRest() {
	for range mostItems {
		if !c.take(0) {
			return
		}
	}
}

// mostItems is more than the library keeps.
const mostItems = 10_000

// take passes the next item on, and tells whether there may be more.
func (c *core) take(ms uint32) bool {
	item, err := c.native.next(ms)
	switch {
	case errors.Is(err, ErrClosed):
		return false
	case err != nil:
		c.log(LogItem{slog.LevelError, "items cannot be taken any more: " + err.Error()})
		return false
	case item == nil:
		return ms > 0
	}
	if line, ok := item.(LogItem); ok {
		c.log(line)
	}
	for _, listener := range c.currentListeners() {
		listener.tell(item)
	}
	return true
}

func (c *core) log(line LogItem) {
	c.currentLogger().Log(context.Background(), line.Level, line.Message, "library", "mpflags")
}

// Logger is where the client's log lines go.
func (c *Client) Logger() *slog.Logger { return c.own().core.currentLogger() }

func (c *core) currentLogger() *slog.Logger {
	if c.logger != nil {
		return c.logger
	}
	return slog.Default()
}
