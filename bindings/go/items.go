//go:build cgo

package mpflags

import (
	"context"
	"errors"
	"log/slog"
	"slices"
)

// State is a client's ability to evaluate flags.
type State string

const (
	// StateUnknown: the client is closed.
	StateUnknown State = "UNKNOWN"
	// StateNotReady: there are no definitions yet.
	StateNotReady State = "NOT_READY"
	// StateReady: definitions were fetched or given as an option.
	StateReady State = "READY"
	// StateStale: the client evaluates the definitions it has, but they come from the cache, Mixpanel cannot be reached, or
	// it refuses the credentials.
	StateStale State = "STALE"
	// StateError: there are no definitions, and the credentials were refused, the server speaks plain http instead of
	// https, or init_timeout_ms has passed. The client keeps polling and recovers by itself.
	StateError State = "ERROR"
)

// Item is something that a client reports: a [LogItem], a [StateItem], a [ChangeItem] or an [EventItem].
type Item interface{ item() }

// LogItem is a log line. The client also writes it to its logger; see [WithLogger].
type LogItem struct {
	Level   slog.Level
	Message string
}

// StateItem is a new state. Message describes the failure that led to it, if any.
type StateItem struct {
	State   State
	Message string
}

// ChangeItem holds the sorted keys of the flags whose definitions have changed.
type ChangeItem struct{ Flags []string }

// EventItem is an event in Mixpanel's format. With [WithEventSink] the client delivers events as items instead of
// sending them.
type EventItem struct{ JSON []byte }

// String returns the event's JSON.
func (e EventItem) String() string { return string(e.JSON) }

func (LogItem) item()    {}
func (StateItem) item()  {}
func (ChangeItem) item() {}
func (EventItem) item()  {}

// OnItem calls listen with every item from now on, in order, from a single goroutine. While listen runs, no other item is
// delivered and no log line is written, so it must be quick. It may use the client, but must not shut it down. stop
// removes listen; a call in progress is not interrupted. If listen is nil, OnItem only logs that as an error.
func (c *Client) OnItem(listen func(Item)) (stop func()) {
	core := c.own().core
	if core.unmade {
		return func() {}
	}
	if listen == nil {
		core.log(LogItem{slog.LevelError, "OnItem: the function is nil, so no items are passed on"})
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

type listener struct{ call func(Item) }

func (c *core) currentListeners() []*listener {
	if listeners := c.listeners.Load(); listeners != nil {
		return *listeners
	}
	return nil
}

func (c *core) setListeners(listeners []*listener) { c.listeners.Store(&listeners) }

// pullFor limits one wait for an item, in milliseconds, so that the pump notices when it is stopped.
const pullFor = 1000

// pump passes items on, from a start until the last item of the shutdown. It holds the core and not the client, so that a
// forgotten client can be collected, which ends the pump. It counts as a call in progress, so that the client is not freed
// before its last items.
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

// takeRest passes on the last items of a client that has no pump.
func (c *core) takeRest() {
	for range maxItems {
		if !c.take(0) {
			return
		}
	}
}

// maxItems is more than the library keeps.
const maxItems = 10_000

// take passes the next item on and reports whether there may be more.
func (c *core) take(ms uint32) bool {
	item, err := c.native.next(ms)
	switch {
	case errors.Is(err, ErrClosed):
		return false
	case err != nil:
		c.log(LogItem{slog.LevelError, "the client's items can no longer be read: " + err.Error()})
		return false
	case item == nil:
		return ms > 0
	}
	if line, ok := item.(LogItem); ok {
		c.log(line)
	}
	for _, listener := range c.currentListeners() {
		listener.call(item)
	}
	return true
}

func (c *core) log(line LogItem) {
	c.currentLogger().Log(context.Background(), line.Level, line.Message, "library", "mpflags")
}

// Logger returns the logger that the client writes to.
func (c *Client) Logger() *slog.Logger { return c.own().core.currentLogger() }

func (c *core) currentLogger() *slog.Logger { return orDefault(c.logger) }
