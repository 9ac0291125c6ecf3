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

// lifecycle is the state that Init and Shutdown change. The SDK calls both repeatedly and concurrently: once for each domain
// that the provider is bound to, and the Shutdown of a replaced provider during the Init of its successor.
type lifecycle struct {
	// begun is true from the return of the first Init until Shutdown.
	begun atomic.Bool
	// turn is a mutex, held while the client is started or shut down.
	turn chan struct{}
	mu   sync.Mutex
	// life counts shutdowns, so that an Init notices one that overtook it.
	life    uint64
	emitter *emitter
	// events never changes, since the SDK calls EventChannel repeatedly.
	events chan of.Event
}

func newLifecycle() lifecycle {
	return lifecycle{turn: make(chan struct{}, 1), events: make(chan of.Event, 8)}
}

func (l *lifecycle) initialized() bool { return l.begun.Load() }

// EventChannel returns the provider's events, always on the same channel. The READY or ERROR after an Init is not among
// them: the SDK makes that one itself.
func (p *Provider) EventChannel() <-chan of.Event { return p.own().events }

// Init starts the client and waits for the first definitions, at most for init_timeout_ms.
func (p *Provider) Init(user of.EvaluationContext) error {
	return p.InitWithContext(context.Background(), user)
}

// InitWithContext starts the client and waits for the first definitions, until ctx ends or init_timeout_ms has passed. A
// remote provider is ready at once. If it fails, the client keeps polling and the provider sends READY once it recovers. A
// provider that was shut down can be initialized again.
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

// started is an Init in progress.
type started struct {
	life uint64
	// The emitter that counts this Init, or nil if there was none yet.
	emitter *emitter
}

// begin starts the client and the emitter.
func (p *shared) begin(ctx context.Context) (started, error) {
	// The client is started even if ctx has ended, so that the provider can recover. But ctx limits the wait for a shutdown
	// in progress.
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

// counted records an Init. The caller holds mu.
func (p *shared) counted() started {
	if p.emitter != nil {
		p.emitter.initializing()
	}
	return started{p.life, p.emitter}
}

// returns ends an Init: it records the state that the SDK derives from the result, which it returns.
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

// Shutdown is like [Provider.ShutdownWithContext] with shutdown_timeout_ms. The client logs lost events.
func (p *Provider) Shutdown() {
	if err := p.ShutdownWithContext(context.Background()); err != nil && !errors.Is(err, mpflags.ErrUndelivered) {
		p.Client().Logger().Warn("failed to shut the provider down", "error", err, "library", "mpflags")
	}
}

// ShutdownWithContext delivers the queued events and stops the client, until ctx's deadline or shutdown_timeout_ms,
// whichever is sooner. When ctx is cancelled it returns at once, and the shutdown continues within that time limit. A
// client that the program owns keeps running.
//
// A ctx that has already ended is ignored: the SDK passes a replaced provider the context of its successor's Init, and
// programs often pass the context whose end makes them stop.
//
// It fails with [mpflags.ErrUndelivered] if events were lost.
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
			return nil // the program closed the client, which delivered its events
		}
		if err == nil && count > 0 {
			p.client.Logger().Warn("events are still queued; the program's client keeps sending them", "events", count, "library", "mpflags")
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

// initError is the error of Init. It wraps a ProviderInitError, whose message the SDK copies into its ERROR event. The code
// is never PROVIDER_FATAL, which would stop the SDK from evaluating: a client recovers even from refused credentials.
type initError struct{ cause error }

func (e *initError) Error() string { return e.cause.Error() }

func (e *initError) Unwrap() []error {
	if errors.Is(e.cause, context.Canceled) {
		// The SDK has its own message for this.
		return []error{e.cause}
	}
	return []error{&of.ProviderInitError{ErrorCode: of.ProviderNotReadyCode, Message: e.cause.Error()}, e.cause}
}
