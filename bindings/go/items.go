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

// pump pulls items from a start to its shutdown. It holds the core and not the client: a client that nobody holds is
// collected, and its cleanup ends the pump.
func (c *core) pump(stopped <-chan struct{}, done chan<- struct{}) {
	defer close(done)
	for {
		select {
		case <-stopped:
			return
		default:
		}
		if !c.calls.enter(0) {
			return
		}
		item, err := c.native.next(pullFor)
		c.calls.exit(0)
		if errors.Is(err, ErrClosed) {
			return
		}
		if err != nil {
			c.log(LogItem{slog.LevelError, "items cannot be taken any more: " + err.Error()})
			return
		}
		if item == nil {
			continue
		}
		if line, ok := item.(LogItem); ok {
			c.log(line)
		}
		for _, listener := range c.currentListeners() {
			listener.tell(item)
		}
	}
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
