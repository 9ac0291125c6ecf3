//go:build cgo

package mpflags

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mpflags/mpflags/bindings/go/internal/handle"
)

// Client evaluates the flags of one Mixpanel project and reports exposures. Any number of goroutines may call its methods
// at the same time.
//
// Share the pointer. A copy of the struct, which go vet reports, is the same client: closing one closes both. A client
// that did not come from [New] (nil, the zero value, a deep copy) returns defaults, and its other methods fail with
// [ErrInvalidArgument]. A client cannot be serialized: encoding/json and encoding/gob return an error.
type Client struct {
	_ handle.NoCopy
	notData
	owner *owner
}

type notData = handle.NotData

// owner is shared by the copies of a client. It is collected with the last of them.
type owner struct {
	core    *core
	cleanup runtime.Cleanup
}

// noOwner stands in for the owner of a client that New did not return. Its core is closed.
var noOwner = func() *owner {
	c := &core{calls: newInflight(func() {}), life: make(chan struct{}, 1), unmade: true}
	c.calls.close()
	return &owner{core: c}
}()

// own returns the client's owner. Callers keep it alive while they use its core.
func (c *Client) own() *owner {
	if c == nil || c.owner == nil {
		return noOwner
	}
	return c.owner
}

// core is the part of a client that its goroutines hold, so that they do not keep a forgotten client from being collected.
type core struct {
	native          native
	calls           *inflight
	answers         answers
	remote          chan struct{} // nil for a local client; otherwise a semaphore for requests
	logger          *slog.Logger
	listening       sync.Mutex
	listeners       atomic.Pointer[[]*listener]
	initTimeout     time.Duration
	requestTimeout  time.Duration
	shutdownTimeout time.Duration
	targetingKeyAs  string
	unmade          bool
	// The unusable attributes that were logged.
	logged      sync.Map
	loggedCount atomic.Int32
	// life is a mutex for starting and shutting down; unlike a sync.Mutex, its Lock can give up.
	life chan struct{}
	// Ends the running pump, and reports its end. Guarded by life.
	stop chan struct{}
	done chan struct{}
}

var scratchNumber atomic.Uint32

// New returns a client. It opens no connection before [Client.Start]; until then it evaluates the definitions and
// overrides given as options. Call [Client.Close] when done with it.
//
// It fails with [ErrInvalidConfig] and a message that names the option if one is invalid, and with [ErrIncompatible] if
// the linked library is from another release.
func New(token string, options ...Option) (*Client, error) {
	s, err := collect(token, options)
	if err != nil {
		return nil, err
	}
	native, err := newNative(s.json())
	if err != nil {
		return nil, err
	}
	c := &core{
		native:         native,
		logger:         s.logger,
		targetingKeyAs: s.text("targeting_key_as"),
		life:           make(chan struct{}, 1),
	}
	c.initTimeout, c.requestTimeout, c.shutdownTimeout = native.timeouts()
	c.calls = newInflight(native.free)
	if s.config["mode"] == `"remote"` {
		c.remote = make(chan struct{}, s.remote)
	}
	o := &owner{core: c}
	// A backstop for a client that was never closed. Closing takes time, and a slow cleanup would hold up all others.
	o.cleanup = runtime.AddCleanup(o, func(c *core) { go c.close() }, c)
	return &Client{owner: o}, nil
}

// Start starts the client's threads and returns at once. It does nothing if they run already, and restarts a client that
// was shut down. Nothing is fetched if the options contain definitions and turn polling off.
//
// It fails with [ErrSystem] if a thread cannot be created, and with [ErrClosed] after [Client.Close].
func (c *Client) Start(ctx context.Context) error {
	own := c.own()
	defer runtime.KeepAlive(own)
	return own.core.start(ctx)
}

func (c *core) start(ctx context.Context) error {
	if err := c.lockLife(ctx); err != nil {
		return err
	}
	defer c.unlockLife()
	if !c.calls.enter(0) {
		return c.closed()
	}
	defer c.calls.exit(0)
	if err := c.native.start(); err != nil {
		return err
	}
	if c.stop == nil {
		c.stop, c.done = make(chan struct{}), make(chan struct{})
		c.calls.stay() // the pump exits
		go c.pump(c.stop, c.done)
	}
	return nil
}

// WaitReady blocks until the client has definitions: fetched, given as an option, or, once a fetch has failed, from the
// cache. It gives up when ctx ends or init_timeout_ms has passed.
//
// It fails with [ErrTimeout], with [ErrCredentialsRefused] as soon as Mixpanel responds with 401 or 403, with [ErrBackend]
// as soon as a server speaks plain http although the configuration says https, with [ErrClosed], with [ErrInvalidArgument]
// if the client was never started, and with ctx's error. At ctx's deadline the error is both [ErrTimeout] and
// [context.DeadlineExceeded], and says why the last fetch failed. The client keeps polling either way.
func (c *Client) WaitReady(ctx context.Context) error {
	own := c.own()
	defer runtime.KeepAlive(own)
	core := own.core
	within, err := bound(ctx, core.initTimeout, core.initTimeout)
	if err != nil {
		return err
	}
	limit := time.Now().Add(within)
	// In slices, so that an abandoned wait ends soon.
	return waited(ctx, func(abandoned func() bool) error {
		for {
			left := min(time.Until(limit), 100*time.Millisecond)
			if !core.calls.enter(0) {
				return core.closed()
			}
			err := core.native.waitReady(milliseconds(left))
			core.calls.exit(0)
			if err == nil || !isTimeout(err) || time.Now().After(limit) || abandoned() {
				return err
			}
		}
	})
}

// Refresh fetches the definitions now, whether or not the client polls, and blocks until the fetch has ended. It waits
// until ctx's deadline, or for request_timeout_ms if ctx has none. When ctx is cancelled it returns ctx's error at once,
// and the fetch continues. Concurrent calls share one fetch. For a remote client, Refresh does nothing.
//
// It fails with [ErrBackend], [ErrCredentialsRefused], [ErrTimeout], with [ErrInvalidArgument] if the client was never
// started, and with [ErrClosed]. After a failure the client keeps its definitions.
func (c *Client) Refresh(ctx context.Context) error {
	own := c.own()
	defer runtime.KeepAlive(own)
	core := own.core
	left, err := bound(ctx, core.requestTimeout, longest)
	if err != nil {
		return err
	}
	return waited(ctx, func(func() bool) error {
		if !core.calls.enter(0) {
			return core.closed()
		}
		defer core.calls.exit(0)
		return core.native.refresh(max(1, milliseconds(left))) // 0 would not wait
	})
}

// longest is the longest time limit that the library accepts: the next number means the configured one.
const longest = time.Duration(math.MaxUint32-1) * time.Millisecond

// Remote reports whether Mixpanel evaluates the flags; see [WithRemote].
func (c *Client) Remote() bool { return c.own().core.remote != nil }

// TargetingKeyAs is the context key set by [WithTargetingKeyAs], or empty.
func (c *Client) TargetingKeyAs() string { return c.own().core.targetingKeyAs }

// State reports whether the client can evaluate flags.
func (c *Client) State() State {
	own := c.own()
	defer runtime.KeepAlive(own)
	if !own.core.calls.enter(0) {
		return StateUnknown
	}
	defer own.core.calls.exit(0)
	return own.core.native.state()
}

// Format makes fmt print the client's state with every verb, as in mpflags.Client(READY). (It cannot have a method String
// for fmt, since that evaluates a string flag.)
func (c *Client) Format(to fmt.State, _ rune) {
	_, _ = fmt.Fprintf(to, "mpflags.Client(%s)", string(c.State()))
}

// Flush sends the queued events and blocks until Mixpanel has accepted them, until ctx's deadline, or for
// shutdown_timeout_ms if ctx has none. It returns the number of events that are still queued then; that is not an
// error. When ctx is cancelled it returns ctx's error at once, and sending continues.
func (c *Client) Flush(ctx context.Context) (undelivered uint64, err error) {
	own := c.own()
	defer runtime.KeepAlive(own)
	core := own.core
	left, err := bound(ctx, core.shutdownTimeout, longest)
	if err != nil {
		return 0, err
	}
	err = waited(ctx, func(func() bool) error {
		if !core.calls.enter(0) {
			return core.closed()
		}
		defer core.calls.exit(0)
		count, err := core.native.flush(milliseconds(left))
		atomic.StoreUint64(&undelivered, count)
		return err
	})
	return atomic.LoadUint64(&undelivered), err
}

// Shutdown delivers the queued events and stops the client's threads and goroutine. It takes at most until ctx's
// deadline or shutdown_timeout_ms, whichever is sooner, and returns the number of events that were lost. When ctx is
// cancelled it returns at once, and the shutdown continues within that time limit.
//
// Afterwards the client still evaluates the definitions that it holds, without exposures. It can be shut down again, and
// started again.
func (c *Client) Shutdown(ctx context.Context) (undelivered uint64, err error) {
	own := c.own()
	defer runtime.KeepAlive(own)
	return own.core.shutdown(ctx)
}

func (c *core) shutdown(ctx context.Context) (undelivered uint64, err error) {
	left, err := bound(ctx, c.shutdownTimeout, c.shutdownTimeout)
	if err != nil {
		// A shutdown must happen even if nobody has the time to wait for it.
		go c.end(c.shutdownTimeout)
		return 0, err
	}
	lost := make(chan uint64, 1)
	err = waited(ctx, func(func() bool) error {
		count, err := c.end(left)
		lost <- count
		return err
	})
	select {
	case undelivered = <-lost:
	default:
	}
	return undelivered, err
}

func (c *core) end(within time.Duration) (uint64, error) {
	limit := time.Now().Add(within)
	c.life <- struct{}{}
	defer c.unlockLife()
	if !c.calls.enter(0) {
		return 0, c.unmadeError()
	}
	defer c.calls.exit(0)
	return c.endLocked(limit)
}

// endLocked shuts the library's client down and passes on its last items, such as the report of lost events. The caller
// holds life and has entered calls.
func (c *core) endLocked(limit time.Time) (uint64, error) {
	lost, err := c.native.shutdown(milliseconds(time.Until(limit)))
	if c.stop == nil {
		c.takeRest()
		return lost, err
	}
	// The pump ends after the last item. There is a limit because a listener may have called this, and the pump waits for it.
	select {
	case <-c.done:
	case <-time.After(max(time.Until(limit), time.Second)):
		close(c.stop)
	}
	c.stop, c.done = nil, nil
	return lost, err
}

// Close shuts the client down within shutdown_timeout_ms and frees it. Other goroutines may still be using the client.
// From then on evaluations return the default, and other methods fail with [ErrClosed]. Closing twice does nothing.
//
// It fails with [ErrUndelivered] if events were lost.
func (c *Client) Close() error {
	own := c.own()
	defer runtime.KeepAlive(own)
	own.cleanup.Stop()
	return own.core.close()
}

func (c *core) close() error {
	limit := time.Now().Add(c.shutdownTimeout)
	c.life <- struct{}{}
	defer c.unlockLife()
	if !c.calls.enter(0) {
		return c.unmadeError()
	}
	// First, so that no other call begins any more. The pump has entered already.
	c.calls.close()
	lost, err := c.endLocked(limit)
	c.calls.exit(0)
	// A call that is stuck in a DNS lookup can take longer. The last call to exit frees the client.
	select {
	case <-c.calls.done:
	case <-time.After(max(time.Until(limit), 100*time.Millisecond)):
	}
	if err == nil && lost > 0 {
		err = newError(ErrUndelivered, fmt.Sprintf("%d events were not delivered", lost))
	}
	return err
}

var (
	errClosed = newError(ErrClosed, "the client is closed")
	errUnmade = newError(ErrInvalidArgument, "the client was not made by mpflags.New: it is nil, the zero value or a deep copy; "+
		"share the *mpflags.Client that New returns")
)

// closed returns the error of a client that cannot be used.
func (c *core) closed() error {
	if c.unmade {
		return errUnmade
	}
	return errClosed
}

// unmadeError returns the error of methods that succeed on a closed client.
func (c *core) unmadeError() error {
	if c.unmade {
		return errUnmade
	}
	return nil
}

func (c *core) lockLife(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case c.life <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *core) unlockLife() { <-c.life }
