package dev

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Vector has the two members that every vector has.
type Vector interface{ Named() (name, why string) }

// Vectors reads all vectors of a suite. An empty suite, an unknown field, an empty why and a repeated name fail the test.
func Vectors[V Vector](t testing.TB, suite string) []V {
	t.Helper()
	folder := filepath.Join(Root(), "conformance", "vectors", suite)
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no vectors (%v)", folder, err)
	}
	var all []V
	names := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var read struct {
			Suite   string `json:"suite"`
			Note    string `json:"note"`
			Vectors []V    `json:"vectors"`
		}
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&read); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if read.Suite != suite || len(read.Vectors) == 0 {
			t.Fatalf("%s: suite %q with %d vectors", file, read.Suite, len(read.Vectors))
		}
		for _, vector := range read.Vectors {
			name, why := vector.Named()
			if name == "" || why == "" || names[name] {
				t.Fatalf("%s: the vector %q has no name, no why, or a repeated name", file, name)
			}
			names[name] = true
		}
		all = append(all, read.Vectors...)
	}
	return all
}

// Document returns the definitions that a vector's flags are: a file's name, an inline object, or JSON in a string.
func Document(t testing.TB, flags json.RawMessage) string {
	t.Helper()
	text, ok := TextOf(flags)
	switch {
	case !ok:
		return string(flags)
	case strings.HasPrefix(text, "{"):
		return text
	}
	return Read(t, "conformance", "vectors", "flags", text)
}

// TextOf returns the string, if the JSON value is one. Vectors use strings for text that a JSON value cannot represent.
func TextOf(value json.RawMessage) (string, bool) {
	var text string
	err := json.Unmarshal(value, &text)
	return text, err == nil && len(value) > 0 && value[0] == '"'
}

// Same compares JSON values. Numbers are compared by value, integers exactly.
func Same(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		b, ok := b.(json.Number)
		if !ok {
			return false
		}
		if x, err := a.Int64(); err == nil {
			if y, err := b.Int64(); err == nil {
				return x == y
			}
		}
		x, errX := a.Float64()
		y, errY := b.Float64()
		return a == b || errX == nil && errY == nil && x == y
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for key, value := range a {
			other, ok := b[key]
			if !ok || !Same(value, other) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !Same(a[i], b[i]) {
				return false
			}
		}
		return true
	}
	return a == b
}

// Parse parses JSON and keeps numbers as they are written.
func Parse(t testing.TB, text string) any {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return value
}

// Report logs the result of a suite. If the test has passed, it also appends the result to the file MPFLAGS_REPORT, for
// `make conformance`.
func Report(t testing.TB, suite string, passed, skipped int, reason string) {
	t.Helper()
	t.Logf("%s: %d of %d vectors %s", suite, passed, passed+skipped, reason)
	path := os.Getenv("MPFLAGS_REPORT")
	if path == "" || t.Failed() {
		return
	}
	line, err := json.Marshal(map[string]any{"layer": "Go", "suite": suite, "passed": passed, "skipped": skipped, "reason": reason})
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write(append(line, '\n')); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}
