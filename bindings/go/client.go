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

// Client evaluates the flags of one Mixpanel project and reports exposures. Any goroutine may call any method, and any
// number at once.
//
// Share the pointer. go vet reports a copy of the struct; a copy is the same client, and closing either closes both. A
// client that [New] did not make (nil, the zero value, one that a deep-copying library made) gives defaults, and its calls
// fail with [ErrInvalidArgument]. A client cannot be serialized: encoding/json and encoding/gob report an error.
type Client struct {
	_ handle.NoCopy
	notData
	owner *owner
}

type notData = handle.NotData

// owner is what the copies of a client share: when none of them is held any more, it is collected.
type owner struct {
	core    *core
	cleanup runtime.Cleanup
}

// nobody stands for the owner of a client that was not made by New: a core that is closed.
var nobody = func() *owner {
	c := &core{calls: newInflight(func() {}), life: make(chan struct{}, 1), unmade: true}
	c.calls.close()
	return &owner{core: c}
}()

// own gives what the client owns. Callers keep it alive for as long as they use its core.
func (c *Client) own() *owner {
	if c == nil || c.owner == nil {
		return nobody
	}
	return c.owner
}

// core is what a client's goroutines may hold without keeping the client itself.
type core struct {
	native          native
	calls           *inflight
	answers         answers
	remote          chan struct{} // nil of a local client; otherwise a place for each request
	logger          *slog.Logger
	listening       sync.Mutex
	listeners       atomic.Pointer[[]*listener]
	initTimeout     time.Duration
	requestTimeout  time.Duration
	shutdownTimeout time.Duration
	targetingKeyAs  string
	unmade          bool
	// Attributes that were logged because they cannot be used, and how many.
	unfit       sync.Map
	unfitLogged atomic.Int32
	// life holds a token: starting and shutting down exclude each other, and give up waiting with their context.
	life chan struct{}
	// The pump that runs, and how to end it. life guards both.
	stop chan struct{}
	done chan struct{}
}

var scratchNumber atomic.Uint32

// What the library takes without these options: the waits of Go are to be as long.
const (
	initTimeout     = 10 * time.Second
	requestTimeout  = 10 * time.Second
	shutdownTimeout = 5 * time.Second
)

// New makes a client. It can evaluate what the options bring (definitions, overrides), and opens no connection before
// [Client.Start].
//
// It fails with [ErrInvalidConfig] and a message that names the option, and with [ErrIncompatible] when the library that
// is linked is of another release. [Client.Close] is to be called when the client is not needed any more.
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
		native:          native,
		logger:          s.logger,
		initTimeout:     s.milliseconds("init_timeout_ms", initTimeout),
		requestTimeout:  s.milliseconds("request_timeout_ms", requestTimeout),
		shutdownTimeout: s.milliseconds("shutdown_timeout_ms", shutdownTimeout),
		targetingKeyAs:  s.text("targeting_key_as"),
		life:            make(chan struct{}, 1),
	}
	c.calls = newInflight(native.free)
	if s.config["mode"] == `"remote"` {
		c.remote = make(chan struct{}, s.remote)
	}
	o := &owner{core: c}
	// A backstop for a client that was forgotten. Cleanups run one after another, so it does not do it there.
	o.cleanup = runtime.AddCleanup(o, func(c *core) { go c.close() }, c)
	return &Client{owner: o}, nil
}

// Start starts the client's threads, and returns at once. Starting a started client does nothing; one that was shut down
// starts anew. With definitions in the options and polling off nothing is fetched.
//
// It fails with [ErrSystem] when no thread is to be had, and with [ErrClosed] after [Client.Close].
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
		c.calls.stay() // until the pump ends
		go c.pump(c.stop, c.done)
	}
	return nil
}

// WaitReady waits until there is something to evaluate: a fetch, definitions in the options, or, after the first failed
// fetch, the cache. It waits as long as ctx lets it, and init_timeout_ms at most.
//
// It fails with [ErrTimeout], with [ErrCredentialsRefused] as soon as Mixpanel answers 401 or 403, with [ErrClosed], with
// [ErrInvalidArgument] when the client was never started, and with ctx's error. Polling goes on in any case.
func (c *Client) WaitReady(ctx context.Context) error {
	own := c.own()
	defer runtime.KeepAlive(own)
	if err := ctx.Err(); err != nil {
		return err
	}
	core := own.core
	limit := time.Now().Add(core.initTimeout)
	// In slices, so that a wait that was given up soon ends.
	return waited(ctx, func(given func() bool) error {
		for {
			left := min(time.Until(limit), 100*time.Millisecond)
			if !core.calls.enter(0) {
				return core.closed()
			}
			err := core.native.waitReady(milliseconds(left))
			core.calls.exit(0)
			if err == nil || !isTimeout(err) || time.Now().After(limit) || given() {
				return err
			}
		}
	})
}

// Refresh fetches the definitions now, whether or not the client polls, and waits until that fetch has ended: as long as
// ctx lets it, or request_timeout_ms where ctx has no deadline. When ctx is cancelled it returns at once, with ctx's error,
// and the fetch goes on. Calls that wait at the same time share one fetch. A remote client has nothing to fetch.
//
// On failure the definitions held stay in service. It fails with [ErrBackend], [ErrCredentialsRefused], [ErrTimeout], with
// [ErrInvalidArgument] when the client was never started, and with [ErrClosed].
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

// longest is the longest time that the library takes: the number after it stands for an option.
const longest = time.Duration(math.MaxUint32-1) * time.Millisecond

// Remote tells whether Mixpanel decides, see [WithRemote].
func (c *Client) Remote() bool { return c.own().core.remote != nil }

// TargetingKeyAs is the context key that takes targetingKey, see [WithTargetingKeyAs]; empty where there is none.
func (c *Client) TargetingKeyAs() string { return c.own().core.targetingKeyAs }

// State tells whether the client can evaluate.
func (c *Client) State() State {
	own := c.own()
	defer runtime.KeepAlive(own)
	if !own.core.calls.enter(0) {
		return StateUnknown
	}
	defer own.core.calls.exit(0)
	return own.core.native.state()
}

// Flush sends what is enqueued, and waits until Mixpanel has it. It gives how many events are still enqueued when ctx's
// deadline, or shutdown_timeout_ms where ctx has none, is over; that is no failure. When ctx is cancelled it returns at
// once, with ctx's error, and sending goes on.
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

// Shutdown delivers the events that are enqueued and ends the client's threads and goroutine, within ctx's deadline, or
// shutdown_timeout_ms where it has none or a later one. It gives how many events were lost. Evaluations go on with the
// definitions held, without exposures. When ctx is cancelled it returns at once, and what it does goes on within that
// time. Shutting down twice is fine; the client can be started again.
func (c *Client) Shutdown(ctx context.Context) (undelivered uint64, err error) {
	own := c.own()
	defer runtime.KeepAlive(own)
	return own.core.shutdown(ctx)
}

func (c *core) shutdown(ctx context.Context) (undelivered uint64, err error) {
	left, err := bound(ctx, c.shutdownTimeout, c.shutdownTimeout)
	if err != nil {
		// What has no time left still ends: that is what a shutdown is for.
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

// endLocked shuts the library's client down. What it reports at its end, lost events among it, is passed on before it
// returns. The caller is in.
func (c *core) endLocked(limit time.Time) (uint64, error) {
	lost, err := c.native.shutdown(milliseconds(time.Until(limit)))
	if c.stop == nil {
		c.takeRest()
		return lost, err
	}
	// The pump ends when it has taken the last item. A listener that shuts the client down waits for itself, but not for
	// ever.
	select {
	case <-c.done:
	case <-time.After(max(time.Until(limit), time.Second)):
		close(c.stop)
	}
	c.stop, c.done = nil, nil
	return lost, err
}

// Close shuts the client down, within shutdown_timeout_ms, and frees it. Calls under way on other goroutines end safely;
// from then on evaluations give the default, and other calls [ErrClosed]. Closing twice is fine.
//
// It fails with [ErrUndelivered] when events were lost.
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
	// First of all, so that what is started, evaluated or sent beside this is not begun. The pump is in already.
	c.calls.close()
	lost, err := c.endLocked(limit)
	c.calls.exit(0)
	// A call that sleeps in a name look-up can take longer. The last one out frees.
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
	errUnmade = newError(ErrInvalidArgument, "the client was not made by mpflags.New: it is nil, a zero value, or memory of a "+
		"client that was copied; share the *mpflags.Client that New returns")
)

// closed is why a core's client cannot be used.
func (c *core) closed() error {
	if c.unmade {
		return errUnmade
	}
	return errClosed
}

// unmadeError is what calls fail with that a closed client takes.
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
