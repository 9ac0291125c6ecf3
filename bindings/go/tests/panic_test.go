package tests

import (
	"bytes"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/mpflags/mpflags/bindings/go"
	provider "github.com/mpflags/mpflags/bindings/go/openfeature"
	of "github.com/open-feature/go-sdk/openfeature"
)

// A panic in the library is a GENERAL error, its text is logged, and the next evaluation works. make panic builds a library
// that panics in the call after one with the text "mpflags-panic"; see bindings/c/tests/panic.rs.
func TestPanic(t *testing.T) {
	if os.Getenv("MPFLAGS_PANIC_LIBRARY") == "" {
		t.Skip("needs the library that panics: make panic")
	}
	// The panic is armed per thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var log lockedBuffer
	p, err := provider.NewLocalProvider("demo", mpflags.WithEnablePolling(false), mpflags.WithReportExposures(false),
		mpflags.WithDefinitions(gate), mpflags.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Client().Close() }()
	if err := p.Init(of.EvaluationContext{}); err != nil {
		t.Fatal(err)
	}
	user := of.FlattenedContext{"distinct_id": "u1"}
	for range 3 {
		if err := p.Client().ClearOverride("mpflags-panic"); err != nil {
			t.Fatal(err)
		}
		got := p.BooleanEvaluation(background, "f", false, user)
		if d := got.ResolutionDetail(); got.Value || d.ErrorCode != of.GeneralCode || d.Reason != of.ErrorReason || !strings.Contains(d.ErrorMessage, "bug") {
			t.Errorf("%+v", got)
		}
		if again := p.BooleanEvaluation(background, "f", false, user); !again.Value || again.Error() != nil {
			t.Errorf("%+v", again)
		}
	}
	// A call that keeps its evaluation returns the text itself.
	if err := p.Client().ClearOverride("mpflags-panic"); err != nil {
		t.Fatal(err)
	}
	if err := p.Client().Evaluate(background, "f", user, mpflags.WithoutExposure).Err(); err == nil || !strings.Contains(err.Error(), "a panic was caught: armed") {
		t.Error(err)
	}
	if err := eventually("the log", func() bool { return strings.Count(log.String(), "a panic was caught: armed") >= 4 }); err != nil {
		t.Error(err, log.String())
	}
	if err := p.ShutdownWithContext(background); err != nil {
		t.Error(err)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
