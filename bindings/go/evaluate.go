//go:build cgo

package mpflags

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"time"
	"unicode/utf8"
)

// EvaluateOption changes how [Client.Evaluate] evaluates a flag.
type EvaluateOption uint32

// The type that the value must have; a value of another type is a [TypeMismatch]. Pass one of them at most.
const (
	AsBoolean EvaluateOption = 1
	AsString  EvaluateOption = 2
	AsInteger EvaluateOption = 3
	AsFloat   EvaluateOption = 4
	AsObject  EvaluateOption = 5 // an object, an array or null
)

// WithoutExposure keeps an evaluation from reporting an exposure. Call [Client.TrackExposure] once the user sees the
// variant.
const WithoutExposure EvaluateOption = 1 << 8

// Boolean returns the value of a boolean flag. It returns defaultValue if the flag has no value for the user, or a value
// of another type.
func (c *Client) Boolean(ctx context.Context, flag string, defaultValue bool, user Context) bool {
	if value, ok := c.Evaluate(ctx, flag, user, AsBoolean).Boolean(); ok {
		return value
	}
	return defaultValue
}

// String is like [Client.Boolean] for a string.
func (c *Client) String(ctx context.Context, flag string, defaultValue string, user Context) string {
	if value, ok := c.Evaluate(ctx, flag, user, AsString).Text(); ok {
		return value
	}
	return defaultValue
}

// Int is like [Client.Boolean] for a whole number that fits an int64.
func (c *Client) Int(ctx context.Context, flag string, defaultValue int64, user Context) int64 {
	if value, ok := c.Evaluate(ctx, flag, user, AsInteger).Int(); ok {
		return value
	}
	return defaultValue
}

// Float is like [Client.Boolean] for a number.
func (c *Client) Float(ctx context.Context, flag string, defaultValue float64, user Context) float64 {
	if value, ok := c.Evaluate(ctx, flag, user, AsFloat).Float(); ok {
		return value
	}
	return defaultValue
}

// Object is like [Client.Boolean] for an object, an array or null, which it returns as a map[string]any, a []any or nil.
// The caller owns the map or slice.
func (c *Client) Object(ctx context.Context, flag string, defaultValue any, user Context) any {
	if v := c.Evaluate(ctx, flag, user, AsObject); v.HasValue() {
		return v.Value()
	}
	return defaultValue
}

// Evaluate evaluates a flag and returns its value, variant and reason, and what went wrong if it failed. An evaluation
// that assigns a variant reports an exposure, unless an option or report_exposures turns that off. Exposures are
// queued, and another thread sends them.
//
// A local client evaluates the definitions that it holds and never blocks. A remote client sends a request, limited by
// ctx's deadline and request_timeout_ms. When ctx is cancelled Evaluate returns at once, and the request runs on until
// its own deadline.
func (c *Client) Evaluate(ctx context.Context, flag string, user Context, options ...EvaluateOption) Evaluation {
	own := c.own()
	defer runtime.KeepAlive(own)
	combined := EvaluateOption(0)
	for _, option := range options {
		combined |= option
	}
	s := scratches.Get().(*scratch)
	body, found := own.core.encode(s.buffer[:0], user)
	s.buffer = body[:0]
	e := own.core.evaluate(ctx, flag, user, s, body, combined)
	if err := e.of.err; found != nil && err != nil && err.Code == InvalidContext {
		e.of = failure(flag, InvalidContext, contextMessage(found, err.Message), ErrInvalidContext)
	}
	return e
}

// evaluate also releases the scratch that holds the context.
func (c *core) evaluate(ctx context.Context, flag string, user Context, s *scratch, body []byte, options EvaluateOption) Evaluation {
	if c.remote != nil {
		return c.evaluateRemote(ctx, flag, s, body, options)
	}
	// No defer: it would cost as much as the counting, and nothing here panics.
	if !c.calls.enter(s.number) {
		s.release()
		return Evaluation{key: flag, of: c.closedOutcome(flag)}
	}
	e := c.evaluateLocal(flag, user, body, options)
	c.calls.exit(s.number)
	s.release()
	return e
}

func (c *core) evaluateLocal(flag string, user Context, body []byte, options EvaluateOption) Evaluation {
	if options&WithoutExposure != 0 {
		return c.evaluateFully(flag, body, options, 0)
	}
	packed := c.native.packed(flag, body, options)
	switch {
	case packed == noMatch.answer:
		return Evaluation{key: flag, of: noMatch}
	case packed == disabled.answer:
		return Evaluation{key: flag, of: disabled}
	case packed&1 == 1:
		of := c.answers.get(packed)
		if of == nil {
			if of = c.native.answer(flag, packed); of == nil {
				// The definition has been replaced since.
				return c.evaluateFully(flag, body, options, 0)
			}
			of.members = parsed(of.metadata)
			if of.contextKey != "" {
				of.members[contextID] = nil // every evaluation sets it in its copy
			}
			c.answers.put(of)
		}
		return c.bucketed(Evaluation{key: flag, of: of}, user, body)
	case packed != 0:
		return Evaluation{key: flag, of: takeOutcome(packed)}
	case !utf8.ValidString(flag):
		return Evaluation{key: flag, of: failure(flag, General, "the flag's key is not UTF-8", ErrInvalidArgument)}
	}
	return Evaluation{key: flag, of: failure(flag, General, "internal error: a bug in libmpflags; the client's log has the details", ErrGeneral)}
}

// bucketed adds the value that the flag was bucketed by. It is almost always a string. For other values the library knows
// the text, so the context is kept in case the metadata is read.
func (c *core) bucketed(e Evaluation, user Context, body []byte) Evaluation {
	key := e.of.contextKey
	if key == "" {
		return e
	}
	value := user[key]
	if value == nil && key == c.targetingKeyAs {
		value = user["targetingKey"]
	}
	if _, ok := value.(string); ok {
		e.contextID = value
	} else {
		e.rest = &rest{core: c, body: slices.Clone(body)}
	}
	return e
}

// rest is the context of an evaluation, kept for what the answer does not have.
type rest struct {
	core *core
	body []byte
}

// contextID returns nil if the client has been closed, or if the flag's definition has changed so that it has another key.
func (r *rest) contextID(flag, key string) any {
	if !r.core.calls.enter(0) {
		return nil
	}
	defer r.core.calls.exit(0)
	of, _, err := r.core.native.evaluate(flag, r.body, WithoutExposure, 0)
	if err != nil || of.contextKey != key {
		return nil
	}
	return parsed(of.metadata)[contextID]
}

// evaluateFully does what the packed call cannot: it takes a time limit, and keeps the evaluation for TrackExposure.
func (c *core) evaluateFully(flag string, body []byte, options EvaluateOption, ms uint32) Evaluation {
	of, kept, err := c.native.evaluate(flag, body, options, ms)
	if err != nil {
		return Evaluation{key: flag, of: failure(flag, General, err.Error(), err)}
	}
	return Evaluation{key: flag, of: of, source: kept}
}

// evaluateRemote holds a thread until the request ends, so it waits for a place first.
func (c *core) evaluateRemote(ctx context.Context, flag string, s *scratch, body []byte, options EvaluateOption) Evaluation {
	if err := c.takePlace(ctx); err != nil {
		s.release()
		return Evaluation{key: flag, of: failure(flag, General, err.Error(), err)}
	}
	result := make(chan Evaluation, 1)
	err := waited(ctx, func(func() bool) error {
		defer s.release()
		defer c.leavePlace()
		if !c.calls.enter(s.number) {
			return c.closed()
		}
		defer c.calls.exit(s.number)
		result <- c.evaluateFully(flag, body, options, c.timeLeft(ctx))
		return nil
	})
	if err != nil {
		return Evaluation{key: flag, of: failure(flag, General, err.Error(), err)}
	}
	return <-result
}

// EvaluateAll evaluates every flag, overrides included, and returns the evaluations by key. A local client evaluates all
// flags that it holds; a remote client sends one request, and Mixpanel returns the flags that the user is in. No exposure
// is reported: call [Client.TrackExposure] for the variants that the user sees.
//
// If there are no definitions, or the request fails, it returns the overrides and an [*EvaluationError].
func (c *Client) EvaluateAll(ctx context.Context, user Context) (map[string]Evaluation, error) {
	own := c.own()
	defer runtime.KeepAlive(own)
	core := own.core
	body, found := core.encode(nil, user)
	all := make(chan map[string]Evaluation, 1)
	call := func(func() bool) error {
		if !core.calls.enter(0) {
			return core.closed()
		}
		defer core.calls.exit(0)
		evaluations := map[string]Evaluation{}
		err := core.native.evaluateAll(body, core.timeLeft(ctx), core.known, func(flag string, of *outcome, source *exposable) {
			e := Evaluation{key: flag, of: of, source: source}
			if of.members != nil {
				e = core.bucketed(e, user, body)
			}
			evaluations[flag] = e
		})
		if errors.Is(err, ErrInvalidContext) {
			message := err.Error()
			if found != nil {
				message = contextMessage(found, message)
			}
			err = failure("", InvalidContext, message, ErrInvalidContext).err
		}
		all <- evaluations
		return err
	}
	if core.remote == nil {
		err := call(nil)
		if len(all) == 0 {
			return nil, err
		}
		return <-all, err
	}
	if err := core.takePlace(ctx); err != nil {
		return nil, err
	}
	err := waited(ctx, func(abandoned func() bool) error {
		defer core.leavePlace()
		return call(abandoned)
	})
	select {
	case evaluations := <-all:
		return evaluations, err
	default:
		return nil, err
	}
}

func (c *core) known(answer uint64) *outcome {
	switch answer {
	case 0:
		return nil
	case noMatch.answer:
		return noMatch
	case disabled.answer:
		return disabled
	}
	return c.answers.get(answer)
}

func (c *core) takePlace(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case c.remote <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *core) leavePlace() { <-c.remote }

// timeLeft is the time limit of a request in milliseconds; 0 stands for request_timeout_ms. A deadline can shorten that
// limit, and never extend it.
func (c *core) timeLeft(ctx context.Context) uint32 {
	if deadline, ok := ctx.Deadline(); ok {
		return max(1, milliseconds(min(time.Until(deadline), c.requestTimeout)))
	}
	return 0
}

func (c *core) closedOutcome(flag string) *outcome {
	err := c.closed()
	return failure(flag, General, err.Error(), err)
}

func failure(flag string, code ErrorCode, message string, cause error) *outcome {
	return &outcome{reason: Failure, err: &EvaluationError{Code: code, Flag: flag, Message: message, cause: cause}}
}

func isTimeout(err error) bool { return errors.Is(err, ErrTimeout) }
