// Package dev runs mpflags-dev, the embedded Mixpanel stand-in, for tests.
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

// Server is one mpflags-dev. It ends with the test.
type Server struct {
	t       testing.TB
	URL     string
	control string
	http    *http.Client
	close   func()
}

// Start starts a server with these arguments.
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

// Idle closes the connections of control calls, whose goroutines would count among those of a test.
func (s *Server) Idle() { s.http.CloseIdleConnections() }

// Close ends the server before the test does.
func (s *Server) Close() { s.close() }

func address(t testing.TB, lines *bufio.Reader) string {
	t.Helper()
	line, err := lines.ReadString('\n')
	if err != nil {
		t.Fatalf("mpflags-dev did not start: %v", err)
	}
	return line[strings.LastIndexByte(line, ' ')+1 : len(line)-1]
}

// Call makes a control call and gives the answer.
func (s *Server) Call(method, path, body string) []byte {
	s.t.Helper()
	request, err := http.NewRequest(method, s.control+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	answer, err := s.http.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode >= 300 {
		s.t.Fatalf("%s %s: %s %s %v", method, path, answer.Status, text, err)
	}
	return text
}

// Faults replaces all faults.
func (s *Server) Faults(faults string) { s.t.Helper(); s.Call("PUT", "/__dev/faults", faults) }

// NoFaults ends them.
func (s *Server) NoFaults() { s.t.Helper(); s.Call("DELETE", "/__dev/faults", "") }

// Serve serves a definitions document from now on.
func (s *Server) Serve(document string) { s.t.Helper(); s.Call("PUT", "/__dev/definitions", document) }

// Request is one that came.
type Request struct {
	Number  int
	Method  string
	Path    string
	Query   map[string]string
	Headers map[string]string
	Status  *int
}

// Requests waits until at least so many have come, 5 s at most.
func (s *Server) Requests(atLeast int) []Request {
	s.t.Helper()
	var told struct{ Requests []Request }
	s.read(s.Call("GET", fmt.Sprintf("/__dev/requests?at_least=%d", atLeast), ""), &told)
	return told.Requests
}

// InFlight tells how many requests have no answer yet.
func (s *Server) InFlight() int {
	s.t.Helper()
	var told struct {
		InFlight int `json:"in_flight"`
	}
	s.read(s.Call("GET", "/__dev/requests", ""), &told)
	return told.InFlight
}

// Event is one that came, taken or not.
type Event struct {
	Endpoint  string
	Accepted  bool
	Duplicate bool
	JSON      struct {
		Event      string
		Properties map[string]any
	}
}

// Events waits until at least so many have come, 10 s at most.
func (s *Server) Events(atLeast int) []Event {
	s.t.Helper()
	var told struct{ Events []Event }
	s.read(s.Call("GET", fmt.Sprintf("/__dev/events?at_least=%d&within_ms=10000", atLeast), ""), &told)
	return told.Events
}

func (s *Server) read(answer []byte, into any) {
	s.t.Helper()
	if err := json.NewDecoder(bytes.NewReader(answer)).Decode(into); err != nil {
		s.t.Fatalf("%v: %s", err, answer)
	}
}

// Root is the project's root.
func Root() string {
	if root := os.Getenv("MPFLAGS_ROOT"); root != "" {
		return root
	}
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..", "..")
}

// Read reads a file of the project.
func Read(t testing.TB, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{Root()}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
