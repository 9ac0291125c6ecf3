package openfeature

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/mpflags/mpflags/bindings/go"
	of "github.com/open-feature/go-sdk/openfeature"
)

// lifecycle is what Init and Shutdown change. The SDK calls both more than once, and at the same time: Init once for
// each domain that a provider is bound to, Shutdown likewise, and the Shutdown of a replaced provider beside the Init of
// its successor.
type lifecycle struct {
	// begun is true from the return of the first Init until Shutdown.
	begun atomic.Bool
	// turn is held while the client is started or shut down.
	turn chan struct{}
	mu   sync.Mutex
	// life counts shutdowns: an Init that one of them ended does not begin anything.
	life    uint64
	emitter *emitter
	// events is the channel for good: the SDK asks for it again and again.
	events chan of.Event
}

func newLifecycle() lifecycle {
	return lifecycle{turn: make(chan struct{}, 1), events: make(chan of.Event, 8)}
}

func (l *lifecycle) initialized() bool { return l.begun.Load() }

// EventChannel gives the channel of events, always the same. READY and ERROR of Init are the SDK's to tell, and not here.
func (p *Provider) EventChannel() <-chan of.Event { return p.own().events }

// Init starts the client and waits for the first definitions, init_timeout_ms at most.
func (p *Provider) Init(user of.EvaluationContext) error {
	return p.InitWithContext(context.Background(), user)
}

// InitWithContext starts the client and waits for the first definitions, as long as ctx lets it and init_timeout_ms at
// most. On failure polling goes on: the provider heals by itself, and then tells READY. A remote provider is ready at
// once. A provider that was shut down can be initialized again.
func (p *Provider) InitWithContext(ctx context.Context, _ of.EvaluationContext) error {
	own := p.own()
	if own == unmade {
		return &initError{errUnmade}
	}
	started, err := own.begin(ctx)
	if err == nil {
		err = own.client.WaitReady(ctx)
	}
	return own.returns(started, err)
}

// started is what an Init has begun.
type started struct {
	life uint64
	// The emitter that counts it. None where it gave up before there was one: it is not to end another Init's count.
	emitter *emitter
}

// begin starts the client, and what passes its items on.
func (p *shared) begin(ctx context.Context) (started, error) {
	// A context that has ended does not keep the client from being started: it is what heals. But nothing waits for
	// a shutdown longer than ctx lets it.
	select {
	case p.turn <- struct{}{}:
	default:
		select {
		case p.turn <- struct{}{}:
		case <-ctx.Done():
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.counted(), ctx.Err()
		}
	}
	defer func() { <-p.turn }()
	p.mu.Lock()
	if p.emitter == nil {
		p.emitter = newEmitter(p.client, p.events)
	}
	s := p.counted()
	p.mu.Unlock()
	return s, p.client.Start(context.WithoutCancel(ctx))
}

// counted counts an Init. The caller holds mu.
func (p *shared) counted() started {
	if p.emitter != nil {
		p.emitter.initializing()
	}
	return started{p.life, p.emitter}
}

// returns is what an Init returns, and what the SDK believes from then on.
func (p *shared) returns(s started, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life != s.life {
		return &initError{errors.Join(err, mpflags.ErrClosed)}
	}
	if s.emitter != nil {
		p.begun.Store(true)
		s.emitter.initialized(err == nil)
	}
	if err != nil {
		return &initError{err}
	}
	return nil
}

// Shutdown shuts down within shutdown_timeout_ms. How many events were lost, and why, is logged by the client.
func (p *Provider) Shutdown() {
	if err := p.ShutdownWithContext(context.Background()); err != nil && !errors.Is(err, mpflags.ErrUndelivered) {
		p.Client().Logger().Warn("shutting the provider down failed", "error", err, "library", "mpflags")
	}
}

// ShutdownWithContext delivers the exposures that wait and ends what Init began, within ctx's deadline and
// shutdown_timeout_ms. When ctx is cancelled it returns at once, and what it does goes on within that time. A ctx that
// has ended before says nothing about this shutdown and is passed over: the SDK hands a replaced provider the context of
// its successor, and a program often the one that told it to end. A client that the program owns goes on running.
//
// It fails with [mpflags.ErrUndelivered] when events were lost.
func (p *Provider) ShutdownWithContext(ctx context.Context) error {
	own := p.own()
	if own == unmade {
		return errUnmade
	}
	return own.shutdown(ctx)
}

func (p *shared) shutdown(ctx context.Context) error {
	if ctx.Err() != nil {
		ctx = context.WithoutCancel(ctx)
	}
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	p.mu.Lock()
	p.life++
	p.begun.Store(false)
	ended := p.emitter
	p.emitter = nil
	p.mu.Unlock()
	if ended != nil {
		ended.end()
	}
	if !p.owned {
		count, err := p.client.Flush(ctx)
		if errors.Is(err, mpflags.ErrClosed) {
			return nil // by the program, which delivered then
		}
		if err == nil && count > 0 {
			p.client.Logger().Warn("events are not delivered yet; the program's client goes on with them", "events", count, "library", "mpflags")
		}
		return undelivered(count, err)
	}
	return undelivered(p.client.Shutdown(ctx))
}

func undelivered(count uint64, err error) error {
	if err != nil || count == 0 {
		return err
	}
	return fmt.Errorf("%d events were not delivered: %w", count, mpflags.ErrUndelivered)
}

// initError is why Init failed. To the SDK it is a ProviderInitError, whose message becomes that of the ERROR event. It
// never is PROVIDER_FATAL: then the SDK would stop evaluating, while refused credentials heal here.
type initError struct{ cause error }

func (e *initError) Error() string { return e.cause.Error() }

func (e *initError) Unwrap() []error {
	if errors.Is(e.cause, context.Canceled) || errors.Is(e.cause, context.DeadlineExceeded) {
		// The SDK has messages of its own for these.
		return []error{e.cause}
	}
	return []error{&of.ProviderInitError{ErrorCode: of.ProviderNotReadyCode, Message: e.cause.Error()}, e.cause}
}
