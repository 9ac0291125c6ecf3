// Package dev runs mpflags-dev, the stand-in for Mixpanel, in tests.
package dev

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// Server is a running mpflags-dev. It stops when the test ends.
type Server struct {
	t       testing.TB
	URL     string
	control string
	http    *http.Client
	close   func()
}

// Start runs mpflags-dev with these arguments.
func Start(t testing.TB, arguments ...string) *Server {
	t.Helper()
	path := os.Getenv("MPFLAGS_DEV")
	if path == "" {
		path = filepath.Join(Root(), "target", "debug", "mpflags-dev")
	}
	command := exec.Command(path, append([]string{"--stop-with-stdin"}, arguments...)...)
	command.Stderr = os.Stderr
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatalf("%s: %v (make builds it)", path, err)
	}
	lines := bufio.NewReader(out)
	transport := &http.Transport{}
	s := &Server{t: t, http: &http.Client{Transport: transport}}
	ended := false
	s.close = func() {
		if ended {
			return
		}
		ended = true
		transport.CloseIdleConnections()
		_ = in.Close()
		_, _ = io.Copy(io.Discard, lines)
		_ = command.Wait()
	}
	t.Cleanup(s.close)
	s.URL = address(t, lines)
	s.control = address(t, lines)
	return s
}

// Idle closes idle control connections, whose goroutines would look like a leak.
func (s *Server) Idle() { s.http.CloseIdleConnections() }

// Close stops the server before the test ends.
func (s *Server) Close() { s.close() }

func address(t testing.TB, lines *bufio.Reader) string {
	t.Helper()
	line, err := lines.ReadString('\n')
	if err != nil {
		t.Fatalf("mpflags-dev did not start: %v", err)
	}
	return line[strings.LastIndexByte(line, ' ')+1 : len(line)-1]
}

// Call sends a control request and returns the body of the response.
func (s *Server) Call(method, path, body string) []byte {
	s.t.Helper()
	request, err := http.NewRequest(method, s.control+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	response, err := s.http.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 300 {
		s.t.Fatalf("%s %s: %s %s %v", method, path, response.Status, text, err)
	}
	return text
}

// Faults replaces all planned faults.
func (s *Server) Faults(faults string) { s.t.Helper(); s.Call("PUT", "/__dev/faults", faults) }

// NoFaults removes all faults.
func (s *Server) NoFaults() { s.t.Helper(); s.Call("DELETE", "/__dev/faults", "") }

// Serve serves a definitions document from now on.
func (s *Server) Serve(document string) { s.t.Helper(); s.Call("PUT", "/__dev/definitions", document) }

// Request is a request that the server received.
type Request struct {
	Number  int
	Method  string
	Path    string
	Query   map[string]string
	Headers map[string]string
	Status  *int
}

// Requests waits up to 5 s for this many requests, and returns all received.
func (s *Server) Requests(atLeast int) []Request {
	s.t.Helper()
	var read struct{ Requests []Request }
	s.read(s.Call("GET", fmt.Sprintf("/__dev/requests?at_least=%d", atLeast), ""), &read)
	return read.Requests
}

// InFlight returns the number of requests without a response.
func (s *Server) InFlight() int {
	s.t.Helper()
	var read struct {
		InFlight int `json:"in_flight"`
	}
	s.read(s.Call("GET", "/__dev/requests", ""), &read)
	return read.InFlight
}

// Event is an event that the server received, accepted or not.
type Event struct {
	Endpoint  string
	Accepted  bool
	Duplicate bool
	JSON      struct {
		Event      string
		Properties map[string]any
	}
}

// Events waits up to 10 s for this many events, and returns all received.
func (s *Server) Events(atLeast int) []Event {
	s.t.Helper()
	var read struct{ Events []Event }
	s.read(s.Call("GET", fmt.Sprintf("/__dev/events?at_least=%d&within_ms=10000", atLeast), ""), &read)
	return read.Events
}

func (s *Server) read(text []byte, into any) {
	s.t.Helper()
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(into); err != nil {
		s.t.Fatalf("%v: %s", err, text)
	}
}

// Root returns the repository's root folder.
func Root() string {
	if root := os.Getenv("MPFLAGS_ROOT"); root != "" {
		return root
	}
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..", "..")
}

// Read returns the text of a file in the repository.
func Read(t testing.TB, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{Root()}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
