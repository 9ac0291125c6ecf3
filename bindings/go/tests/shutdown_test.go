package tests

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mpflags/mpflags/bindings/go"
	provider "github.com/mpflags/mpflags/bindings/go/openfeature"
	of "github.com/open-feature/go-sdk/openfeature"
	"go.uber.org/goleak"
)

// The SDK shuts a replaced provider down, concurrently with the Init of its successor, and its exposures are delivered.
func TestReplacedProvider(t *testing.T) {
	s := newScene(t)
	for i := range 10 {
		p := s.provider(mpflags.WithEventFlushInterval(time.Hour))
		ctx, cancel := context.WithCancel(background)
		if err := s.api.SetProviderAndWait(ctx, p); err != nil {
			t.Fatal(err)
		}
		// The SDK shuts this provider down with the context of the next, which is cancelled by then.
		cancel()
		user := of.NewTargetlessEvaluationContext(map[string]any{"distinct_id": fmt.Sprint("u", i)})
		if !s.client.Boolean(background, "f", false, user) {
			t.Fatal("no value")
		}
	}
	ended, cancel := context.WithCancel(background)
	cancel()
	_ = s.api.SetProvider(ended, of.NoopProvider{})
	if events := s.server.Events(10); len(events) != 10 {
		t.Errorf("%d of 10 exposures", len(events))
	}
	s.wait("the end of all threads", func() bool { return libraryThreads() == 0 })
}

// Shutdown ends an Init in progress.
func TestShutdownDuringInit(t *testing.T) {
	s := newScene(t)
	s.server.Faults(`[{"path": "/flags/definitions", "kind": "hang"}]`)
	p := s.provider(mpflags.WithInitTimeout(time.Minute), mpflags.WithRequestTimeout(time.Minute))
	waiting := make(chan error)
	go func() { waiting <- p.Init(of.EvaluationContext{}) }()
	s.server.Requests(1)
	begun := time.Now()
	p.Shutdown()
	if err := <-waiting; !errors.Is(err, mpflags.ErrClosed) || time.Since(begun) > 4*time.Second {
		t.Error(err, time.Since(begun))
	}
	if got := p.BooleanEvaluation(background, "f", false, of.FlattenedContext{}); got.ResolutionDetail().ErrorCode != of.ProviderNotReadyCode {
		t.Errorf("%+v", got)
	}
	// The provider can be initialized again.
	s.server.NoFaults()
	s.server.Call("POST", "/__dev/restart", "")
	if err := p.Init(of.EvaluationContext{}); err != nil {
		t.Fatal(err)
	}
	if got := p.BooleanEvaluation(background, "f", false, of.FlattenedContext{"distinct_id": "u1"}); !got.Value {
		t.Errorf("%+v", got)
	}
	p.Shutdown()
	p.Shutdown()
}

// A shutdown with a context that has already ended delivers within shutdown_timeout_ms. If the context ends meanwhile, the
// shutdown returns at once.
func TestShutdownWithCancelledContext(t *testing.T) {
	s := newScene(t)
	p := s.provider(mpflags.WithEventFlushInterval(time.Hour))
	if err := s.api.SetProviderAndWait(background, p); err != nil {
		t.Fatal(err)
	}
	s.client.Boolean(background, "f", false, s.user)
	ended, cancel := context.WithCancel(background)
	cancel()
	if err := p.ShutdownWithContext(ended); err != nil {
		t.Error(err)
	}
	if events := s.server.Events(1); len(events) != 1 {
		t.Error(len(events))
	}
	// Threads disappear from /proc a moment after they were joined.
	s.wait("the end of the threads", func() bool { return libraryThreads() == 0 })

	if err := p.Init(of.EvaluationContext{}); err != nil {
		t.Fatal(err)
	}
	s.server.Faults(`[{"path": "/track", "kind": "hang"}]`)
	p.Track(background, "e", s.user, of.NewTrackingEventDetails(0))
	ctx, cancel := context.WithCancel(background)
	time.AfterFunc(20*time.Millisecond, cancel)
	begun := time.Now()
	if err := p.ShutdownWithContext(ctx); !errors.Is(err, context.Canceled) || time.Since(begun) > 2*time.Second {
		t.Error(err, time.Since(begun))
	}
	// The shutdown continues, and ends within its time limit.
	s.wait("the end of the threads", func() bool { return libraryThreads() == 0 })
	s.wait("the count of the loss", func() bool {
		stats, err := p.Client().Statistics()
		return err == nil && stats.Dropped.Shutdown == 1
	})
	// Lost events are reported.
	if err := p.Init(of.EvaluationContext{}); err != nil {
		t.Fatal(err)
	}
	p.Track(background, "e", s.user, of.NewTrackingEventDetails(0))
	short, cancel := context.WithTimeout(background, 50*time.Millisecond)
	defer cancel()
	if err := p.ShutdownWithContext(short); !errors.Is(err, mpflags.ErrUndelivered) && !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	s.wait("the end of the threads", func() bool { return libraryThreads() == 0 })
}

// Init starts a client that the program owns, and Shutdown leaves it running.
func TestWrappedClient(t *testing.T) {
	s := newScene(t)
	client, err := mpflags.New("demo", append(s.options(), mpflags.WithEventFlushInterval(time.Hour))...)
	if err != nil {
		t.Fatal(err)
	}
	p := provider.NewProvider(client)
	if err := s.api.SetProviderAndWait(background, p); err != nil {
		t.Fatal(err)
	}
	if s.code(s.client) != "" || p.Client() != client {
		t.Error(s.code(s.client))
	}
	p.Shutdown()
	if events := s.server.Events(1); len(events) != 1 {
		t.Error("the exposure was not delivered")
	}
	if client.State() != mpflags.StateReady || !client.Boolean(background, "f", false, mpflags.Context{"distinct_id": "u2"}) {
		t.Error("the program's client is not running:", client.State())
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
}

// 1,000 lifetimes leave no goroutine, no thread and no descriptor.
func TestLifetimes(t *testing.T) {
	s := newScene(t)
	live := func() {
		p, err := provider.NewLocalProvider("demo", s.options()...)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Init(of.EvaluationContext{}); err != nil {
			t.Fatal(err)
		}
		if got := p.BooleanEvaluation(background, "f", false, of.FlattenedContext{"distinct_id": "u1"}); !got.Value {
			t.Fatalf("%+v", got)
		}
		p.Shutdown()
		if err := p.Client().Close(); err != nil {
			t.Fatal(err)
		}
	}
	live()
	s.server.Idle()
	goroutines, descriptors, threads := goleak.IgnoreCurrent(), count("/proc/self/fd/*"), count("/proc/self/task/*")
	lifetimes := 1000
	if testing.Short() {
		lifetimes = 50
	}
	for range lifetimes {
		live()
	}
	s.server.Idle()
	if err := goleak.Find(goroutines); err != nil {
		t.Error(err)
	}
	s.wait("the end of the library's threads", func() bool { return libraryThreads() == 0 })
	// Go keeps and reuses threads that were blocked in calls, so their number does not grow with the lifetimes.
	if now := count("/proc/self/task/*"); now > threads+8 {
		t.Errorf("%d threads before, %d after", threads, now)
	}
	if now := count("/proc/self/fd/*"); now > descriptors {
		t.Errorf("%d descriptors before, %d after", descriptors, now)
	}
	t.Logf("%d lifetimes: threads %d before, %d after; descriptors %d before, %d after", lifetimes, threads, count("/proc/self/task/*"), descriptors, count("/proc/self/fd/*"))
}

func count(pattern string) int {
	names, _ := filepath.Glob(pattern)
	existing := 0
	for _, name := range names {
		if _, err := os.Lstat(name); err == nil {
			existing++
		}
	}
	return existing
}
