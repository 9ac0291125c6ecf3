//go:build cgo

package mpflags

import (
	"bytes"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mpflags/mpflags/bindings/go/internal/dev"
)

// lockedLog is a log that several goroutines may write to.
type lockedLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// losing makes a client with five queued events that Mixpanel will not accept.
func losing(t *testing.T, start bool, listen func(Item)) (*Client, *lockedLog) {
	t.Helper()
	server := dev.Start(t)
	server.Faults(`[{"path": "/track", "kind": "status", "status": 503}]`)
	log := &lockedLog{}
	options := append(fast(), WithAPIHost(server.URL), WithShutdownTimeout(300*time.Millisecond), WithEventRetryBase(50*time.Millisecond),
		WithLogger(slog.New(slog.NewTextHandler(log, nil))))
	c, err := New("demo", options...)
	if err != nil {
		t.Fatal(err)
	}
	if listen != nil {
		c.OnItem(listen)
	}
	if start {
		if err := c.Start(background); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		if err := c.Track("Bought", "u1", nil); err != nil {
			t.Fatal(err)
		}
	}
	return c, log
}

// lines returns the log lines about lost events.
func (l *lockedLog) lines() []string {
	var lines []string
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line, "level=WARN") && strings.Contains(line, "5 events were not delivered") {
			lines = append(lines, line)
		}
	}
	return lines
}

// However a client ends, its lost events are returned, and logged once with the cause.
func TestLostEventsAreReported(t *testing.T) {
	for name, end := range map[string]func(*Client) error{
		"Close": func(c *Client) error { return c.Close() },
		"Shutdown and Close": func(c *Client) error {
			lost, err := c.Shutdown(background)
			if lost != 5 || err != nil {
				t.Error(lost, err)
			}
			return errors.Join(c.Close(), ErrUndelivered)
		},
	} {
		for _, started := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				var heard []string
				c, log := losing(t, started, func(item Item) {
					if line, ok := item.(LogItem); ok && strings.Contains(line.Message, "not delivered") {
						heard = append(heard, line.Message)
					}
				})
				err := end(c)
				if !errors.Is(err, ErrUndelivered) {
					t.Error(err)
				}
				// The client has ended, so nothing more will be logged.
				lines := log.lines()
				if len(lines) != 1 || len(heard) != 1 || started && !strings.Contains(lines[0], "503") {
					t.Errorf("started %v: %q, %q in\n%s", started, lines, heard, log)
				}
			})
		}
	}
}

// The lost events of a client that was never closed are logged too.
func TestLostEventsOfAForgottenClient(t *testing.T) {
	log := func() *lockedLog {
		_, log := losing(t, true, nil)
		return log
	}()
	eventually(t, "the line about lost events", func() bool {
		runtime.GC()
		return len(log.lines()) == 1
	})
}

// A listener that closes the client waits for itself for a second at most, and gets the remaining items.
func TestAListenerThatClosesTheClient(t *testing.T) {
	ended := make(chan error, 1)
	var c *Client
	made := make(chan struct{})
	once := sync.Once{}
	c, _ = losing(t, true, func(Item) {
		<-made
		once.Do(func() { ended <- c.Close() })
	})
	close(made)
	select {
	case err := <-ended:
		if !errors.Is(err, ErrUndelivered) {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Close does not return")
	}
	eventually(t, "the end of the client", func() bool {
		select {
		case <-c.own().core.calls.done:
			return true
		default:
			return false
		}
	})
}
