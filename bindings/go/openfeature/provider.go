// Package openfeature is the OpenFeature provider for Mixpanel feature flags.
//
//	provider, err := openfeature.NewLocalProvider("YOUR_PROJECT_TOKEN")
//	…
//	err = of.SetProviderAndWait(provider)
//
// where of is github.com/open-feature/go-sdk/openfeature.
package openfeature

import (
	"context"
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"sync"

	"github.com/mpflags/mpflags/bindings/go"
	"github.com/mpflags/mpflags/bindings/go/internal/handle"
	of "github.com/open-feature/go-sdk/openfeature"
)

var (
	_ of.FeatureProvider          = (*Provider)(nil)
	_ of.StateHandler             = (*Provider)(nil)
	_ of.ContextAwareStateHandler = (*Provider)(nil)
	_ of.EventHandler             = (*Provider)(nil)
	_ of.Tracker                  = (*Provider)(nil)
)

const name = "mixpanel-provider"

// Provider evaluates Mixpanel feature flags for OpenFeature's SDK. Make one with [NewLocalProvider], [NewRemoteProvider] or
// [NewProvider]. Any number of goroutines may call its methods at the same time.
//
// Share the pointer. A copy of the struct, which go vet reports, is the same provider. A nil or zero Provider returns
// PROVIDER_NOT_READY, and its Init fails. A provider cannot be serialized.
type Provider struct {
	_ handle.NoCopy
	notData
	shared *shared
}

type notData = handle.NotData

// shared is the state that the copies of a provider share.
type shared struct {
	client *mpflags.Client
	owned  bool
	nobody sync.Once
	lifecycle
}

// unmade is the state of a nil or zero provider.
var unmade = &shared{lifecycle: newLifecycle()}

var errUnmade = errors.New("the provider was not made by NewLocalProvider, NewRemoteProvider or NewProvider: it is nil or the zero value")

func (p *Provider) own() *shared {
	if p == nil || p.shared == nil {
		return unmade
	}
	return p.shared
}

// NewLocalProvider returns a provider that evaluates in process. It opens no connection before Init. It fails like
// [mpflags.New].
func NewLocalProvider(token string, options ...mpflags.Option) (*Provider, error) {
	client, err := mpflags.New(token, options...)
	if err != nil {
		return nil, err
	}
	return newProvider(client, true), nil
}

// NewRemoteProvider returns a provider that sends a request to Mixpanel for each evaluation. It is ready at once.
func NewRemoteProvider(token string, options ...mpflags.Option) (*Provider, error) {
	return NewLocalProvider(token, append([]mpflags.Option{mpflags.WithRemote()}, options...)...)
}

// NewProvider returns a provider that uses a client of the program. Init starts the client; Shutdown delivers its events and
// leaves it running. The program closes it.
func NewProvider(client *mpflags.Client) *Provider { return newProvider(client, false) }

func newProvider(client *mpflags.Client, owned bool) *Provider {
	return &Provider{shared: &shared{client: client, owned: owned, lifecycle: newLifecycle()}}
}

// Client returns the provider's client.
func (p *Provider) Client() *mpflags.Client { return p.own().client }

// String returns the provider's name and the state of its client, as in mixpanel-provider(READY).
func (p *Provider) String() string { return name + "(" + string(p.Client().State()) + ")" }

// Metadata returns the provider's name, "mixpanel-provider".
func (p *Provider) Metadata() of.Metadata { return of.Metadata{Name: name} }

// Hooks returns none. The library reports exposures itself.
func (p *Provider) Hooks() []of.Hook { return nil }

// BooleanEvaluation evaluates a boolean flag.
func (p *Provider) BooleanEvaluation(ctx context.Context, flag string, defaultValue bool, user of.FlattenedContext) of.BoolResolutionDetail {
	return resolve(p.own(), ctx, flag, defaultValue, user, mpflags.AsBoolean, mpflags.Evaluation.Boolean)
}

// StringEvaluation evaluates a string flag.
func (p *Provider) StringEvaluation(ctx context.Context, flag string, defaultValue string, user of.FlattenedContext) of.StringResolutionDetail {
	return resolve(p.own(), ctx, flag, defaultValue, user, mpflags.AsString, mpflags.Evaluation.Text)
}

// FloatEvaluation evaluates a flag whose value is a number.
func (p *Provider) FloatEvaluation(ctx context.Context, flag string, defaultValue float64, user of.FlattenedContext) of.FloatResolutionDetail {
	return resolve(p.own(), ctx, flag, defaultValue, user, mpflags.AsFloat, mpflags.Evaluation.Float)
}

// IntEvaluation evaluates a flag whose value is a whole number that fits an int64.
func (p *Provider) IntEvaluation(ctx context.Context, flag string, defaultValue int64, user of.FlattenedContext) of.IntResolutionDetail {
	return resolve(p.own(), ctx, flag, defaultValue, user, mpflags.AsInteger, mpflags.Evaluation.Int)
}

// ObjectEvaluation evaluates a flag whose value is an object, an array or null, and returns it as a map[string]any, a []any
// or nil. The caller owns the map or slice.
func (p *Provider) ObjectEvaluation(ctx context.Context, flag string, defaultValue any, user of.FlattenedContext) of.InterfaceResolutionDetail {
	return resolve(p.own(), ctx, flag, defaultValue, user, mpflags.AsObject, func(e mpflags.Evaluation) (any, bool) {
		return e.Value(), e.HasValue()
	})
}

func resolve[T any](p *shared, ctx context.Context, flag string, defaultValue T, user of.FlattenedContext,
	as mpflags.EvaluateOption, read func(mpflags.Evaluation) (T, bool)) of.GenericResolutionDetail[T] {
	if p == unmade {
		return of.GenericResolutionDetail[T]{Value: defaultValue, ProviderResolutionDetail: notMade}
	}
	var evaluation mpflags.Evaluation
	if p.initialized() || p.client.Remote() {
		evaluation = p.client.Evaluate(ctx, flag, mpflags.Context(user), as)
	} else if evaluation = p.client.Evaluate(ctx, flag, mpflags.Context(user), as, mpflags.WithoutExposure); !beforeInit(evaluation) {
		// The SDK evaluates with a provider before its Init has returned if it replaces one that is ready.
		return of.GenericResolutionDetail[T]{Value: defaultValue, ProviderResolutionDetail: notInitialized}
	}
	value, ok := read(evaluation)
	if !ok {
		value = defaultValue
	}
	return of.GenericResolutionDetail[T]{Value: value, ProviderResolutionDetail: detail(evaluation)}
}

// Track queues an event with the attributes of details, and their value unless it is 0. The user is the context's
// distinct_id, or its targeting key if there is none and [mpflags.WithTargetingKeyAs] is "distinct_id". An event without a
// user needs the attribute "$device_id". Track never blocks. An event that cannot be sent is logged; a missing user is
// logged once.
func (p *Provider) Track(ctx context.Context, event string, user of.EvaluationContext, details of.TrackingEventDetails) {
	p.own().track(ctx, event, user, details)
}

func (p *shared) track(ctx context.Context, event string, user of.EvaluationContext, details of.TrackingEventDetails) {
	id := user.Attribute("distinct_id")
	if missing(id) && p.client.TargetingKeyAs() == "distinct_id" {
		id = user.TargetingKey()
	}
	properties := details.Attributes()
	if value := details.Value(); value != 0 {
		properties["value"] = value
	}
	device, _ := properties["$device_id"].(string)
	if (missing(id) || id == "") && device == "" {
		p.nobody.Do(func() {
			p.client.Logger().WarnContext(ctx, "events are not tracked for contexts without distinct_id", "library", "mpflags")
		})
		return
	}
	distinctID, err := identity(id)
	if err == nil {
		err = p.client.Track(event, distinctID, properties)
	}
	if err != nil {
		p.client.Logger().WarnContext(ctx, "an event was not tracked", "event", event, "error", err, "library", "mpflags")
	}
}

// missing reports whether an id is nil or a nil pointer, which the context's JSON has as null.
func missing(id any) bool {
	v := reflect.ValueOf(id)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

// identity formats an id as in the context's JSON. fmt would format a whole float with an exponent, and a pointer as an
// address.
func identity(id any) (string, error) {
	if missing(id) {
		return "", nil
	}
	if marshaler, ok := id.(encoding.TextMarshaler); ok {
		text, err := marshaler.MarshalText()
		return string(text), err
	}
	v := reflect.ValueOf(id)
	if v.Kind() == reflect.Pointer {
		return identity(v.Elem().Interface())
	}
	switch v.Kind() {
	case reflect.String:
		return v.String(), nil
	case reflect.Bool:
		return strconv.FormatBool(v.Bool()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return strconv.FormatUint(v.Uint(), 10), nil
	case reflect.Float32, reflect.Float64:
		if number := v.Float(); !math.IsNaN(number) && !math.IsInf(number, 0) {
			return strconv.FormatFloat(number, 'f', -1, v.Type().Bits()), nil
		}
	}
	return "", fmt.Errorf("distinct_id is a %T; expected a string or a finite number", id)
}
