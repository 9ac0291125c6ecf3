// The host program of soak/soak.c, in Go: clients with several goroutines, and clients that come and go. A Go program does not fork.
//
//	soak URL [PLANT]
//
// It prints two more numbers, its goroutines and the kilobytes that Go and C have in use: Go keeps threads and memory that it does
// not need, so those of the process do not show a leak.
package main

// #include <malloc.h>
import "C"

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/mpflags/mpflags/bindings/go"
)

const (
	clients    = 10
	goroutines = 4
)

type host struct {
	url, plant      string
	clients         []*mpflags.Client
	mutex           sync.Mutex
	changed         sync.Cond
	working, ending bool
	busy            int
	users           uint64
	// Events of this program, and what clients that have ended say of theirs.
	events, sent, lost uint64
	kept               [][]byte
	files              []*os.File
	// The goroutines at the first rest.
	resting int
	jobs    sync.WaitGroup
}

func check(what string, err error) {
	if err != nil {
		log.Fatalf("soak: %s: %v", what, err)
	}
}

// within makes a call with a deadline.
func within[T any](limit time.Duration, call func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return call(ctx)
}

func (h *host) client() *mpflags.Client {
	// As in soak.c.
	client, err := mpflags.New("t", mpflags.WithAPIHost(h.url), mpflags.WithPollingInterval(100*time.Millisecond),
		mpflags.WithRetryBase(20*time.Millisecond), mpflags.WithRequestTimeout(2*time.Second),
		mpflags.WithEventFlushInterval(50*time.Millisecond), mpflags.WithEventRetryBase(50*time.Millisecond),
		mpflags.WithEventRetryMax(500*time.Millisecond), mpflags.WithEventQueueCapacity(200),
		mpflags.WithExposureDedupeCapacity(100), mpflags.WithLogLevel(slog.LevelDebug), mpflags.WithLogger(slog.New(slog.DiscardHandler)))
	check("client", err)
	check("start", client.Start(context.Background()))
	return client
}

// run does the job again and again while there is work.
func (h *host) run(job func(), pause time.Duration) {
	defer h.jobs.Done()
	for {
		h.mutex.Lock()
		for !h.working && !h.ending {
			h.changed.Wait()
		}
		ending := h.ending
		if !ending {
			h.busy++
		}
		h.mutex.Unlock()
		if ending {
			return
		}
		job()
		h.mutex.Lock()
		h.busy--
		h.changed.Broadcast()
		h.mutex.Unlock()
		time.Sleep(pause)
	}
}

// report shows the flag to a new user, and reports an event. It returns how many events that makes.
func (h *host) report(client *mpflags.Client) uint64 {
	h.mutex.Lock()
	h.users++
	user := mpflags.Context{"distinct_id": fmt.Sprintf("new-%d", h.users)}
	h.mutex.Unlock()
	events := uint64(1)
	// Without definitions there is no exposure.
	if client.Evaluate(context.Background(), "f", user).Variant() != "" {
		events++
	}
	// A full queue is counted by the client.
	if err := client.Track("Bought", "u", map[string]any{"price": 1}); !errors.Is(err, mpflags.ErrQueueFull) {
		check("track", err)
	}
	return events
}

func (h *host) count(events, sent, lost uint64) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.events += events
	h.sent += sent
	h.lost += lost
}

func (h *host) use(client *mpflags.Client) {
	for i := range 50 {
		client.Boolean(context.Background(), "none", false, mpflags.Context{"distinct_id": fmt.Sprintf("known-%d", i%16)})
	}
	known := mpflags.Context{"distinct_id": "known"}
	_, err := client.EvaluateAll(context.Background(), known)
	check("evaluate all", err)
	_, err = client.Explain("f", known)
	check("explain", err)
	h.count(h.report(client), 0, 0)
}

func (h *host) churn() {
	client := h.client()
	// It may fail, while the server does.
	_, _ = within(100*time.Millisecond, func(ctx context.Context) (any, error) { return nil, client.WaitReady(ctx) })
	var events uint64
	for range 5 {
		events += h.report(client)
	}
	h.count(events, 0, 0)
	h.finish(client)
}

// finish ends a client that nobody else uses, and adds its own counts.
func (h *host) finish(client *mpflags.Client) {
	_, err := within(3*time.Second, client.Shutdown)
	check("shutdown", err)
	sent, lost := said(client)
	h.count(0, sent, lost)
	check("close", client.Close())
}

// said returns a client's own counts of its events.
func said(client *mpflags.Client) (sent, lost uint64) {
	statistics, err := client.Statistics()
	check("statistics", err)
	return statistics.Sent, statistics.Dropped.QueueFull + statistics.Dropped.Rejected + statistics.Dropped.Shutdown
}

func (h *host) work() {
	switch h.plant {
	case "memory":
		leak := make([]byte, 512*1024)
		for i := 0; i < len(leak); i += 4096 {
			leak[i] = 1
		}
		h.kept = append(h.kept, leak)
	case "thread":
		go func() { select {} }()
	case "descriptor":
		file, err := os.Open(os.DevNull)
		check("open", err)
		h.files = append(h.files, file)
	case "lost":
		h.count(1, 0, 0)
	case "doubled":
		h.report(h.clients[0])
	}
	h.mutex.Lock()
	h.working = true
	h.changed.Broadcast()
	h.mutex.Unlock()
}

// rest stops the work, and delivers every event.
func (h *host) rest() {
	h.mutex.Lock()
	h.working = false
	for h.busy > 0 {
		h.changed.Wait()
	}
	h.mutex.Unlock()
	for _, client := range h.clients {
		left, err := within(time.Minute, client.Flush)
		check("flush", err)
		if left != 0 {
			log.Fatal("soak: events are stuck in a queue")
		}
		// The server may still be down for a moment.
		for attempt := 0; ; attempt++ {
			_, err := within(time.Minute, func(ctx context.Context) (any, error) { return nil, client.Refresh(ctx) })
			if err == nil {
				break
			}
			if attempt == 1200 {
				check("refresh", err)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}

func (h *host) end() {
	h.mutex.Lock()
	h.ending = true
	h.changed.Broadcast()
	h.mutex.Unlock()
	h.jobs.Wait()
	for _, client := range h.clients {
		h.finish(client)
	}
	h.clients, h.resting = nil, 1
}

func (h *host) print() {
	sent, lost := h.sent, h.lost
	for _, client := range h.clients {
		more, missing := said(client)
		sent, lost = sent+more, lost+missing
	}
	// A goroutine whose work is done may be counted for a moment longer.
	count := runtime.NumGoroutine()
	for deadline := time.Now().Add(5 * time.Second); count > h.resting && h.resting > 0 && time.Now().Before(deadline); count = runtime.NumGoroutine() {
		time.Sleep(time.Millisecond)
	}
	if h.resting == 0 {
		h.resting = count
	}
	runtime.GC()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	c := C.mallinfo2()
	fmt.Println(h.events, sent, lost, count, (memory.HeapAlloc+uint64(c.uordblks)+uint64(c.hblkhd))/1024)
}

func main() {
	h := &host{url: os.Args[1]}
	if len(os.Args) > 2 {
		h.plant = os.Args[2]
	}
	h.changed.L = &h.mutex
	start := func(job func(), pause time.Duration) {
		h.jobs.Add(1)
		go h.run(job, pause)
	}
	for range clients {
		client := h.client()
		_, err := within(10*time.Second, func(ctx context.Context) (any, error) { return nil, client.WaitReady(ctx) })
		check("wait", err)
		h.clients = append(h.clients, client)
		for range goroutines {
			start(func() { h.use(client) }, 50*time.Millisecond)
		}
	}
	start(h.churn, 100*time.Millisecond)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if lines.Text() == "work" {
			h.work()
			continue
		}
		h.rest()
		if lines.Text() == "end" {
			h.end()
		}
		h.print()
	}
}
