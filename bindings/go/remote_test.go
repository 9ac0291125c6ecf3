//go:build cgo

package mpflags

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mpflags/mpflags/bindings/go/internal/dev"
)

func TestRemote(t *testing.T) {
	server := dev.Start(t)
	c := ready(t, against(t, server, flagOf(`"x"`), WithRemote()))
	user := Context{"distinct_id": "u1"}
	v := c.Evaluate(background, "f", user)
	if value, ok := v.Text(); !ok || value != "x" || v.Reason() != TargetingMatch || v.ExperimentID() != "e1" || !c.Remote() {
		t.Error(v.Value(), v.Reason(), v.Err())
	}
	all, err := c.EvaluateAll(background, user)
	if err != nil || all["f"].Variant() != "on" {
		t.Error(all, err)
	}
	if err := c.TrackExposure(all["f"]); err != nil {
		t.Error(err)
	}
	server.Faults(`[{"path": "/flags", "kind": "status", "status": 500}]`)
	if err := c.Evaluate(background, "f", user).Err(); !errors.Is(err, General) {
		t.Error(err)
	}
	if all, err := c.EvaluateAll(background, user); !errors.Is(err, General) || len(all) != 0 {
		t.Error(all, err)
	}
}

// A remote evaluation returns as soon as its context ends. The request runs until its own deadline, and is counted.
func TestRemoteCancelled(t *testing.T) {
	server := dev.Start(t)
	c := ready(t, against(t, server, flagOf(`true`), WithRemote(), WithRequestTimeout(60*time.Second)))
	server.Faults(`[{"path": "/flags", "kind": "hang"}]`)
	user := Context{"distinct_id": "u1"}
	ctx, cancel := context.WithCancel(background)
	go func() {
		for server.InFlight() < 1 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	begun := time.Now()
	v := c.Evaluate(ctx, "f", user)
	if !errors.Is(v.Err(), context.Canceled) || !errors.Is(v.Err(), General) || time.Since(begun) > 10*time.Second {
		t.Error(v.Err(), time.Since(begun))
	}
	if stats, _ := c.Statistics(); stats.RemoteInFlight != 1 || server.InFlight() != 1 {
		t.Error("the request did not continue", stats.RemoteInFlight, server.InFlight())
	}
	// With a context that has already ended, no request is sent.
	if _, err := c.EvaluateAll(ctx, user); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if c.Boolean(ctx, "f", true, user) != true || server.InFlight() != 1 {
		t.Error("a call whose context has ended made a request")
	}
	// The context's deadline limits the request.
	ctx, cancel = context.WithTimeout(background, 50*time.Millisecond)
	defer cancel()
	if err := c.Evaluate(ctx, "f", user).Err(); !errors.Is(err, General) {
		t.Error(err)
	}
	eventually(t, "the end of the second request", func() bool { stats, _ := c.Statistics(); return stats.RemoteInFlight == 1 })
	// Close interrupts abandoned requests.
	begun = time.Now()
	if err := c.Close(); err != nil || time.Since(begun) > 8*time.Second {
		t.Error(err, time.Since(begun))
	}
}

// Concurrent requests are limited, and waiting for a place ends with the context.
func TestRemoteConcurrency(t *testing.T) {
	server := dev.Start(t)
	c := ready(t, against(t, server, flagOf(`true`), WithRemote(), WithRemoteConcurrency(2)))
	server.Faults(`[{"path": "/flags", "kind": "hang"}]`)
	user := Context{"distinct_id": "u1"}
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	var ended atomic.Int32
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if err := c.Evaluate(ctx, "f", user).Err(); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			ended.Add(1)
		})
	}
	eventually(t, "two requests", func() bool { return server.InFlight() == 2 })
	if stats, _ := c.Statistics(); stats.RemoteInFlight != 2 || ended.Load() != 0 {
		t.Error(stats.RemoteInFlight, ended.Load())
	}
	cancel()
	group.Wait()
}

// request_timeout_ms limits the request even if the context has a later deadline.
func TestRemoteTimeout(t *testing.T) {
	server := dev.Start(t)
	c := ready(t, against(t, server, flagOf(`true`), WithRemote(), WithRequestTimeout(200*time.Millisecond)))
	server.Faults(`[{"path": "/flags", "kind": "hang"}]`)
	user := Context{"distinct_id": "u1"}
	ctx, cancel := context.WithTimeout(background, 15*time.Second)
	defer cancel()
	if err := c.Evaluate(ctx, "f", user).Err(); !errors.Is(err, General) || ctx.Err() != nil {
		t.Error(err, ctx.Err())
	}
	if _, err := c.EvaluateAll(ctx, user); !errors.Is(err, General) || ctx.Err() != nil {
		t.Error(err, ctx.Err())
	}
}
