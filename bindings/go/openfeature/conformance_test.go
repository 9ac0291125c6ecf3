package openfeature

import (
	"context"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mpflags/mpflags/bindings/go"
	"github.com/mpflags/mpflags/bindings/go/internal/dev"
	of "github.com/open-feature/go-sdk/openfeature"
)

type vector struct {
	Name         string                     `json:"name"`
	Config       map[string]json.RawMessage `json:"config"`
	Flags        json.RawMessage            `json:"flags"`
	Setup        string                     `json:"setup"`
	Key          string                     `json:"key"`
	Type         string                     `json:"type"`
	Default      any                        `json:"default"`
	TargetingKey string                     `json:"targeting_key"`
	Attributes   map[string]any             `json:"attributes"`
	NaNAttribute string                     `json:"nan_attribute"`
	Want         struct {
		Value      json.RawMessage `json:"value"`
		Reason     string          `json:"reason"`
		ErrorCode  string          `json:"error_code"`
		Message    string          `json:"message"`
		MessageHas []string        `json:"message_has"`
		Variant    string          `json:"variant"`
		Metadata   map[string]any  `json:"metadata"`
	} `json:"want"`
	Why string `json:"why"`
}

func (v vector) Named() (string, string) { return v.Name, v.Why }

// resolved is the result of an evaluation.
type resolved struct {
	value            any
	reason           of.Reason
	code             of.ErrorCode
	message, variant string
	metadata         of.FlagMetadata
}

func (v vector) direct(p *Provider, user of.FlattenedContext) resolved {
	ctx := context.Background()
	result := func(value any, d of.ProviderResolutionDetail) resolved {
		r := d.ResolutionDetail()
		return resolved{value: value, reason: r.Reason, code: r.ErrorCode, message: r.ErrorMessage, variant: r.Variant, metadata: d.FlagMetadata}
	}
	switch v.Type {
	case "boolean":
		r := p.BooleanEvaluation(ctx, v.Key, v.Default.(bool), user)
		return result(r.Value, r.ProviderResolutionDetail)
	case "string":
		r := p.StringEvaluation(ctx, v.Key, v.Default.(string), user)
		return result(r.Value, r.ProviderResolutionDetail)
	case "integer":
		r := p.IntEvaluation(ctx, v.Key, int64(v.Default.(float64)), user)
		return result(r.Value, r.ProviderResolutionDetail)
	case "double":
		r := p.FloatEvaluation(ctx, v.Key, v.Default.(float64), user)
		return result(r.Value, r.ProviderResolutionDetail)
	}
	r := p.ObjectEvaluation(ctx, v.Key, v.Default, user)
	return result(r.Value, r.ProviderResolutionDetail)
}

func (v vector) compare(t *testing.T, how string, got resolved) {
	t.Helper()
	expect := func(what string, wanted, got any) {
		if !reflect.DeepEqual(wanted, got) {
			t.Errorf("%s: %s: want %v, got %v", how, what, wanted, got)
		}
	}
	w := v.Want
	value, err := json.Marshal(got.value)
	if err != nil || !dev.Same(dev.Parse(t, string(w.Value)), dev.Parse(t, string(value))) {
		t.Errorf("%s: value: want %s, got %s %v", how, w.Value, value, err)
	}
	expect("reason", of.Reason(w.Reason), got.reason)
	expect("error code", of.ErrorCode(w.ErrorCode), got.code)
	expect("variant", w.Variant, got.variant)
	if len(w.Metadata) > 0 || len(got.metadata) > 0 {
		expect("metadata", w.Metadata, map[string]any(got.metadata))
	}
	expect("a message", w.ErrorCode != "", got.message != "")
	if w.Message != "" {
		expect("message", w.Message, got.message)
	}
	for _, part := range w.MessageHas {
		if !strings.Contains(got.message, part) {
			t.Errorf("%s: message %q lacks %q", how, got.message, part)
		}
	}
}

// provider makes the provider that a vector describes.
func (v vector) provider(t *testing.T) *Provider {
	options := []mpflags.Option{mpflags.WithReportExposures(false), mpflags.WithLogger(quiet)}
	for key, value := range v.Config {
		options = append(options, mpflags.WithOption(key, value))
	}
	make := NewLocalProvider
	var failing *dev.Server
	switch v.Setup {
	case "":
		options = append(options, mpflags.WithEnablePolling(false), mpflags.WithDefinitions(dev.Document(t, v.Flags)))
	case "not_started":
	case "refused":
		failing = dev.Start(t)
		failing.Faults(`[{"path": "/flags/definitions", "kind": "status", "status": 401}]`)
		options = append(options, mpflags.WithAPIHost(failing.URL), mpflags.WithInitTimeout(2*time.Second))
	case "unanswered":
		failing = dev.Start(t)
		failing.Faults(`[{"path": "/flags", "kind": "status", "status": 500}]`)
		options = append(options, mpflags.WithAPIHost(failing.URL))
		make = NewRemoteProvider
	default:
		t.Fatalf("unknown setup %q", v.Setup)
	}
	p, err := make("t", options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Shutdown()
		if err := p.Client().Close(); err != nil {
			t.Error(err)
		}
	})
	if v.Setup == "not_started" {
		return p
	}
	if err := p.Init(of.EvaluationContext{}); (err != nil) != (v.Setup == "refused") {
		t.Fatalf("Init: %v", err)
	}
	return p
}

func TestProviderVectors(t *testing.T) {
	vectors := dev.Vectors[vector](t, "provider")
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			p := v.provider(t)
			user := of.FlattenedContext{}
			for key, value := range v.Attributes {
				user[key] = value
			}
			if v.NaNAttribute != "" {
				user[v.NaNAttribute] = math.NaN()
			}
			if v.TargetingKey != "" {
				user[of.TargetingKey] = v.TargetingKey
			}
			v.compare(t, "first", v.direct(p, user))
			v.compare(t, "again", v.direct(p, user))
		})
	}
	dev.Report(t, "provider", len(vectors), 0, "")
}
