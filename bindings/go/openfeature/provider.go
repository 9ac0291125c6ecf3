// Package openfeature is the OpenFeature provider of Mixpanel feature flags.
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

// Provider evaluates Mixpanel feature flags for OpenFeature's SDK. Make it with [NewLocalProvider], [NewRemoteProvider] or
// [NewProvider]. Any goroutine may call any method.
//
// Share the pointer. go vet reports a copy of the struct; a copy is the same provider. One that these functions did not
// make, nil or the zero value, answers PROVIDER_NOT_READY, and its Init fails. A provider cannot be serialized.
type Provider struct {
	_ handle.NoCopy
	notData
	shared *shared
}

type notData = handle.NotData

// shared is what the copies of a provider share.
type shared struct {
	client *mpflags.Client
	owned  bool
	nobody sync.Once
	lifecycle
}

// unmade stands for what a provider lacks that was not made by one of the functions here.
var unmade = &shared{lifecycle: newLifecycle()}

var errUnmade = errors.New("the provider was not made by NewLocalProvider, NewRemoteProvider or NewProvider: it is nil or a zero value")

func (p *Provider) own() *shared {
	if p == nil || p.shared == nil {
		return unmade
	}
	return p.shared
}

// NewLocalProvider makes a provider that evaluates in process. It opens no connection before Init. It fails as
// [mpflags.New] does.
func NewLocalProvider(token string, options ...mpflags.Option) (*Provider, error) {
	client, err := mpflags.New(token, options...)
	if err != nil {
		return nil, err
	}
	return newProvider(client, true), nil
}

// NewRemoteProvider makes a provider that asks Mixpanel, with one request per evaluation. It is ready at once.
func NewRemoteProvider(token string, options ...mpflags.Option) (*Provider, error) {
	return NewLocalProvider(token, append([]mpflags.Option{mpflags.WithRemote()}, options...)...)
}

// NewProvider makes a provider of a client that the program has made, and goes on to own: Init starts it, Shutdown
// delivers its events and leaves it running, and the program closes it.
func NewProvider(client *mpflags.Client) *Provider { return newProvider(client, false) }

func newProvider(client *mpflags.Client, owned bool) *Provider {
	return &Provider{shared: &shared{client: client, owned: owned, lifecycle: newLifecycle()}}
}

// Client is the client behind the provider.
func (p *Provider) Client() *mpflags.Client { return p.own().client }

// Metadata gives the provider's name, "mixpanel-provider".
func (p *Provider) Metadata() of.Metadata { return of.Metadata{Name: name} }

// Hooks gives none: exposures are made in the library.
func (p *Provider) Hooks() []of.Hook { return nil }

// BooleanEvaluation evaluates a flag whose value is to be true or false.
func (p *Provider) BooleanEvaluation(ctx context.Context, flag string, otherwise bool, user of.FlattenedContext) of.BoolResolutionDetail {
	return resolve(p.own(), ctx, flag, otherwise, user, mpflags.AsBoolean, mpflags.Variant.Boolean)
}

// StringEvaluation evaluates a flag whose value is to be a string.
func (p *Provider) StringEvaluation(ctx context.Context, flag string, otherwise string, user of.FlattenedContext) of.StringResolutionDetail {
	return resolve(p.own(), ctx, flag, otherwise, user, mpflags.AsString, mpflags.Variant.Text)
}

// FloatEvaluation evaluates a flag whose value is to be a number.
func (p *Provider) FloatEvaluation(ctx context.Context, flag string, otherwise float64, user of.FlattenedContext) of.FloatResolutionDetail {
	return resolve(p.own(), ctx, flag, otherwise, user, mpflags.AsFloat, mpflags.Variant.Float)
}

// IntEvaluation evaluates a flag whose value is to be an integer, or a whole number, within 64 bits.
func (p *Provider) IntEvaluation(ctx context.Context, flag string, otherwise int64, user of.FlattenedContext) of.IntResolutionDetail {
	return resolve(p.own(), ctx, flag, otherwise, user, mpflags.AsInteger, mpflags.Variant.Int)
}

// ObjectEvaluation evaluates a flag whose value is to be an object, an array or null: a map[string]any, a []any or nil,
// the caller's own.
func (p *Provider) ObjectEvaluation(ctx context.Context, flag string, otherwise any, user of.FlattenedContext) of.InterfaceResolutionDetail {
	return resolve(p.own(), ctx, flag, otherwise, user, mpflags.AsObject, func(v mpflags.Variant) (any, bool) {
		return v.Value(), v.Assigned()
	})
}

func resolve[T any](p *shared, ctx context.Context, flag string, otherwise T, user of.FlattenedContext,
	as mpflags.Ask, read func(mpflags.Variant) (T, bool)) of.GenericResolutionDetail[T] {
	if p == unmade {
		return of.GenericResolutionDetail[T]{Value: otherwise, ProviderResolutionDetail: notMade}
	}
	var v mpflags.Variant
	if p.initialized() || p.client.Remote() {
		v = p.client.Variant(ctx, flag, mpflags.Context(user), as)
	} else if v = p.client.Variant(ctx, flag, mpflags.Context(user), as|mpflags.WithoutExposure); !unready(v) {
		// The SDK asks a provider whose Init has not returned, when it replaces one that is ready.
		return of.GenericResolutionDetail[T]{Value: otherwise, ProviderResolutionDetail: notInitialized}
	}
	value, ok := read(v)
	if !ok {
		value = otherwise
	}
	return of.GenericResolutionDetail[T]{Value: value, ProviderResolutionDetail: detail(v)}
}

// Track sends an event of the context's user, with the attributes of details, and their value if it is not 0. The user
// is distinct_id; the targeting key is it only where the option targeting_key_as is "distinct_id" and there is none. An
// event without a user needs an attribute "$device_id". Track never blocks; what cannot be sent is logged by the client,
// and that there is no user once.
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

// missing tells whether there is no id: nil or a nil pointer, which are null in the context's JSON.
func missing(id any) bool {
	v := reflect.ValueOf(id)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

// identity writes an id as it is in the context's JSON: fmt would write a whole float with an exponent, and a pointer as
// an address.
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
	return "", fmt.Errorf("distinct_id is a %T, and not a string or a finite number", id)
}
