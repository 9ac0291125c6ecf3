package mpflags

import (
	"context"
	"testing"
)

func BenchmarkVariant(b *testing.B) {
	c, err := New("t", WithEnablePolling(false), WithReportExposures(false), WithDefinitions(`{"flags":[{"key":"f","context":"distinct_id","ruleset":{"variants":[{"key":"on","value":true,"split":1}],"rollout":[{"rollout_percentage":1,"runtime_evaluation_rule":{"==":[{"var":"plan"},"pro"]}}]}}]}`))
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	ctx := context.Background()
	user := func() Context {
		return Context{"distinct_id": "user-1", "custom_properties": map[string]any{"plan": "pro", "country": "DE", "age": 31, "version": "1.2.3", "beta": true}}
	}
	v := c.Variant(ctx, "f", user(), AsBoolean)
	b.Log(v.Reason(), v.Name(), v.Value(), v.Err())
	b.Run("kept", func(b *testing.B) {
		u := user()
		for b.Loop() {
			c.Variant(ctx, "f", u, AsBoolean)
		}
	})
	b.Run("fresh", func(b *testing.B) {
		for b.Loop() {
			c.Variant(ctx, "f", user(), AsBoolean)
		}
	})
	b.Run("fresh-only", func(b *testing.B) {
		for b.Loop() {
			sink = user()
		}
	})
	b.Run("encode", func(b *testing.B) {
		u := user()
		buf := make([]byte, 0, 1024)
		for b.Loop() {
			buf, _ = appendContext(buf[:0], u)
		}
	})
}

var sink Context
