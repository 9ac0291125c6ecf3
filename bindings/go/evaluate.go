//go:build cgo

package mpflags

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"
)

// Ask says how [Client.Variant] evaluates; values are joined by |.
type Ask uint32

// The type that the value is to have: another one is a [TypeMismatch]. Without one of them any will do.
const (
	AsBoolean Ask = 1
	AsString  Ask = 2
	AsInteger Ask = 3
	AsFloat   Ask = 4
	AsObject  Ask = 5 // an object, an array or null
)

// WithoutExposure reports no exposure: [Client.TrackExposure] does when the variant is shown.
const WithoutExposure Ask = 1 << 8

// Boolean evaluates a flag and gives its value if that is a boolean, and otherwise the value given.
func (c *Client) Boolean(ctx context.Context, flag string, otherwise bool, user Context) bool {
	if value, ok := c.Variant(ctx, flag, user, AsBoolean).Boolean(); ok {
		return value
	}
	return otherwise
}

// String evaluates a flag and gives its value if that is a string, and otherwise the value given.
func (c *Client) String(ctx context.Context, flag string, otherwise string, user Context) string {
	if value, ok := c.Variant(ctx, flag, user, AsString).Text(); ok {
		return value
	}
	return otherwise
}

// Int evaluates a flag and gives its value if that is an integer, or a whole number, within 64 bits, and otherwise the
// value given.
func (c *Client) Int(ctx context.Context, flag string, otherwise int64, user Context) int64 {
	if value, ok := c.Variant(ctx, flag, user, AsInteger).Int(); ok {
		return value
	}
	return otherwise
}

// Float evaluates a flag and gives its value if that is a number, and otherwise the value given.
func (c *Client) Float(ctx context.Context, flag string, otherwise float64, user Context) float64 {
	if value, ok := c.Variant(ctx, flag, user, AsFloat).Float(); ok {
		return value
	}
	return otherwise
}

// Object evaluates a flag and gives its value if that is an object, an array or null, and otherwise the value given.
// What it gives is the caller's own, see [Variant.Value].
func (c *Client) Object(ctx context.Context, flag string, otherwise any, user Context) any {
	if v := c.Variant(ctx, flag, user, AsObject); v.Assigned() {
		return v.Value()
	}
	return otherwise
}

// Variant evaluates a flag and tells everything about it. An evaluation that assigns a variant is an exposure, unless
// ask or report_exposures says otherwise; it is sent later, by another thread.
//
// A local client answers from what it holds and waits for nothing. A remote one asks Mixpanel, within ctx's deadline and
// request_timeout_ms; when ctx is cancelled it returns at once, and the request goes on to its own deadline.
func (c *Client) Variant(ctx context.Context, flag string, user Context, ask ...Ask) Variant {
	own := c.own()
	defer runtime.KeepAlive(own)
	asked := uint32(0)
	for _, a := range ask {
		asked |= uint32(a)
	}
	s := scratches.Get().(*scratch)
	body, found := own.core.encode(s.buffer[:0], user)
	s.buffer = body[:0]
	v := own.core.evaluate(ctx, flag, s, body, asked)
	if err := v.of.err; found != nil && err != nil && err.Code == InvalidContext {
		v.of = failure(flag, InvalidContext, unfitMessage(found, err.Message), ErrInvalidContext)
	}
	return v
}

// encode appends the JSON of a context. What cannot be encoded is marked, logged and given.
func (c *core) encode(to []byte, user Context) ([]byte, []*unfit) {
	body, err := appendContext(to, user)
	if err == nil {
		return body, nil
	}
	body, found := appendMarked(to, user)
	for _, one := range found {
		c.logUnfit(one)
	}
	return body, found
}

// mostUnfit bounds the names that are remembered as logged.
const mostUnfit = 100

// logUnfit logs once per attribute. Its value may be a secret, and stays out.
func (c *core) logUnfit(one *unfit) {
	name := one.name()
	if _, logged := c.unfit.Load(name); logged || c.unfitLogged.Load() > mostUnfit {
		return
	}
	if _, logged := c.unfit.LoadOrStore(name, true); logged {
		return
	}
	switch n := c.unfitLogged.Add(1); {
	case n <= mostUnfit:
		c.currentLogger().Warn("a context attribute cannot be used: flags that read it give their default",
			"attribute", name, "type", one.kind, "library", "mpflags")
	case n == mostUnfit+1:
		c.currentLogger().Warn("more context attributes cannot be used; they are not logged any more", "library", "mpflags")
	}
}

// unfitMessage tells why an evaluation cannot use its context: the value that the library names, where it names one.
func unfitMessage(found []*unfit, message string) string {
	for _, one := range found {
		if strings.Contains(message, one.name()) {
			return "the context: " + one.Error()
		}
	}
	for _, one := range found {
		if strings.Contains(message, one.path[len(one.path)-1]) {
			return "the context: " + one.Error()
		}
	}
	return "the context: " + found[0].Error()
}

// evaluate releases the scratch, which holds the context.
func (c *core) evaluate(ctx context.Context, flag string, s *scratch, body []byte, ask uint32) Variant {
	if c.remote != nil {
		return c.evaluateRemote(ctx, flag, s, body, ask)
	}
	// No defer: it would cost as much as the counting, and nothing here panics.
	if !c.calls.enter(s.number) {
		s.release()
		return Variant{flag: flag, of: c.closedOutcome(flag)}
	}
	v := c.evaluateLocal(flag, body, ask)
	c.calls.exit(s.number)
	s.release()
	return v
}

func (c *core) evaluateLocal(flag string, body []byte, ask uint32) Variant {
	if ask&uint32(WithoutExposure) != 0 {
		return c.slow(flag, body, ask, 0)
	}
	packed := c.native.packed(flag, body, ask)
	switch {
	case packed == noMatch.answer:
		return Variant{flag: flag, of: noMatch}
	case packed == disabled.answer:
		return Variant{flag: flag, of: disabled}
	case packed&1 == 1:
		of := c.answers.get(packed)
		if of == nil {
			if of = c.native.answer(flag, packed); of == nil {
				// Another definition has taken its place since. This one is told by itself.
				return c.slow(flag, body, ask, 0)
			}
			c.answers.put(of)
		}
		return Variant{flag: flag, of: of}
	case packed != 0:
		return Variant{flag: flag, of: takeOutcome(packed)}
	case !utf8.ValidString(flag):
		return Variant{flag: flag, of: failure(flag, General, "the key of the flag is not UTF-8", ErrInvalidArgument)}
	}
	return Variant{flag: flag, of: failure(flag, General, "the library failed, which is a bug of it; its log line tells where", ErrGeneral)}
}

// slow is for what the packed call cannot do.
func (c *core) slow(flag string, body []byte, ask, ms uint32) Variant {
	of, kept, err := c.native.evaluate(flag, body, ask&0xFF, ask>>8, ms, ask&uint32(WithoutExposure) != 0)
	if err != nil {
		return Variant{flag: flag, of: failure(flag, General, err.Error(), err)}
	}
	return Variant{flag: flag, of: of, source: kept}
}

// evaluateRemote holds a thread for as long as the request takes, so it waits for a place first.
func (c *core) evaluateRemote(ctx context.Context, flag string, s *scratch, body []byte, ask uint32) Variant {
	if err := c.takePlace(ctx); err != nil {
		s.release()
		return Variant{flag: flag, of: failure(flag, General, err.Error(), err)}
	}
	result := make(chan Variant, 1)
	err := waited(ctx, func(func() bool) error {
		defer s.release()
		defer c.leavePlace()
		if !c.calls.enter(s.number) {
			return c.closed()
		}
		defer c.calls.exit(s.number)
		result <- c.slow(flag, body, ask, c.timeLeft(ctx))
		return nil
	})
	if err != nil {
		return Variant{flag: flag, of: failure(flag, General, err.Error(), err)}
	}
	return <-result
}

// AllVariants evaluates every flag: of a local client all that it holds, of a remote one those that the user is in, with
// one request; and the overrides. It reports no exposure: [Client.TrackExposure] does, for what is shown.
//
// Without definitions or an answer it gives the overrides, and an [*EvaluationError] that tells why.
func (c *Client) AllVariants(ctx context.Context, user Context) (map[string]Variant, error) {
	own := c.own()
	defer runtime.KeepAlive(own)
	core := own.core
	body, found := core.encode(nil, user)
	all := make(chan map[string]Variant, 1)
	call := func(func() bool) error {
		if !core.calls.enter(0) {
			return core.closed()
		}
		defer core.calls.exit(0)
		variants := map[string]Variant{}
		err := core.native.evaluateAll(body, core.timeLeft(ctx), core.known, func(flag string, of *outcome, source *exposable) {
			variants[flag] = Variant{flag: flag, of: of, source: source}
		})
		if errors.Is(err, ErrInvalidContext) {
			message := err.Error()
			if found != nil {
				message = unfitMessage(found, message)
			}
			err = failure("", InvalidContext, message, ErrInvalidContext).err
		}
		all <- variants
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
	err := waited(ctx, func(given func() bool) error {
		defer core.leavePlace()
		return call(given)
	})
	select {
	case variants := <-all:
		return variants, err
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

// timeLeft is a request's time in milliseconds. 0 stands for request_timeout_ms, which any other number takes the place
// of: a later deadline must not.
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

// GoString keeps a client out of dumps: what it holds is of no use there.
func (c *Client) GoString() string { return fmt.Sprintf("mpflags.Client(%s)", c.State()) }
