//go:build cgo

package mpflags

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mpflags/mpflags/bindings/go/internal/dev"
)

type vector struct {
	Name      string          `json:"name"`
	Flags     json.RawMessage `json:"flags"`
	Key       string          `json:"key"`
	Context   json.RawMessage `json:"context"`
	Overrides json.RawMessage `json:"overrides"`
	Read      string          `json:"read"`
	Want      struct {
		Outcome            string          `json:"outcome"`
		Reason             string          `json:"reason"`
		Variant            string          `json:"variant"`
		Value              json.RawMessage `json:"value"`
		IsQATester         *bool           `json:"is_qa_tester"`
		ExperimentID       json.RawMessage `json:"experiment_id"`
		IsExperimentActive json.RawMessage `json:"is_experiment_active"`
		Message            string          `json:"message"`
		MessageHas         []string        `json:"message_has"`
	} `json:"want"`
	Why string `json:"why"`
}

func (v vector) Named() (string, string) { return v.Name, v.Why }

type ruleVector struct {
	Name     string          `json:"name"`
	Rule     json.RawMessage `json:"rule"`
	RuleText string          `json:"rule_text"`
	Data     json.RawMessage `json:"data"`
	DataText *string         `json:"data_text"`
	Want     any             `json:"want"`
	Why      string          `json:"why"`
}

func (v ruleVector) Named() (string, string) { return v.Name, v.Why }

func client(t testing.TB, options ...Option) *Client {
	t.Helper()
	c, err := New("t", append([]Option{WithEnablePolling(false)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// The numbers of mpflags.h, which TestNumbers compares.
const (
	encodingJSON   = 1
	encodingBinary = 2
)

// raw evaluates with an encoded context, as Evaluate does after encoding one. No other goroutine may use the client.
func (c *Client) raw(flag string, encoding int32, context []byte, options EvaluateOption) Evaluation {
	core := c.own().core
	defer func(before native) { core.native = before }(core.native)
	core.native.encoding = encoding
	return core.evaluate(background, flag, nil, scratches.Get().(*scratch), context, options)
}

func outcomeOf(t testing.TB, e Evaluation) string {
	t.Helper()
	err, _ := e.Err().(*EvaluationError)
	switch {
	case err != nil:
		name := map[ErrorCode]string{FlagNotFound: "flag_not_found", ParseError: "malformed", TypeMismatch: "type_mismatch",
			TargetingKeyMissing: "missing_context_key", InvalidContext: "invalid_context"}[err.Code]
		if name == "" {
			t.Fatalf("unexpected error %v", err)
		}
		return name
	case e.HasValue():
		return "variant"
	case e.Reason() == Disabled:
		return "disabled"
	}
	return "no_rollout_match"
}

func (v vector) compare(t *testing.T, got Evaluation) {
	t.Helper()
	expect := func(what string, wanted, got any) {
		if !reflect.DeepEqual(wanted, got) {
			t.Errorf("%s: want %v, got %v", what, wanted, got)
		}
	}
	w := v.Want
	expect("outcome", w.Outcome, outcomeOf(t, got))
	expect("reason", Reason(w.Reason), got.Reason())
	expect("variant", w.Variant, got.Variant())
	expect("flag", v.Key, got.Key())
	message := ""
	if err, ok := got.Err().(*EvaluationError); ok {
		message = err.Message
	}
	expect("a message", got.Reason() == Failure, message != "")
	if w.Message != "" {
		expect("message", w.Message, message)
	}
	for _, part := range w.MessageHas {
		if !strings.Contains(message, part) {
			t.Errorf("message %q lacks %q", message, part)
		}
	}
	if w.Value != nil {
		wanted := dev.Parse(t, string(w.Value))
		if !dev.Same(wanted, dev.Parse(t, got.JSON())) {
			t.Errorf("value: want %s, got %s", w.Value, got.JSON())
		}
		// Compare the accessors too: Value, and the one for the value's type.
		if float, ok := got.Value().(float64); ok {
			wantedFloat, err := wanted.(json.Number).Float64()
			expect("Value", wantedFloat, float)
			expect("its error", nil, err)
		} else if again, err := json.Marshal(got.Value()); err != nil || !dev.Same(wanted, dev.Parse(t, string(again))) {
			t.Errorf("Value: want %s, got %s %v", w.Value, again, err)
		}
		typed := map[bool]int{true: 1}
		boolean, isBoolean := got.Boolean()
		text, isText := got.Text()
		_, isInt := got.Int()
		number, isFloat := got.Float()
		switch wanted := wanted.(type) {
		case bool:
			expect("Boolean", wanted, boolean && isBoolean)
			expect("other accessors", 0, typed[isText]+typed[isInt]+typed[isFloat])
		case string:
			expect("Text", wanted, text)
			expect("other accessors", 1, typed[isBoolean]+typed[isText]+typed[isInt]+typed[isFloat])
		case json.Number:
			wantedFloat, _ := wanted.Float64()
			expect("Float", wantedFloat, number)
			expect("is Float", true, isFloat)
			_, notInt := wanted.Int64()
			whole := wantedFloat == math.Trunc(wantedFloat) && -(1<<63) <= wantedFloat && wantedFloat < 1<<63
			expect("is Int", notInt == nil || whole, isInt)
		default:
			expect("accessors", 0, typed[isBoolean]+typed[isText]+typed[isInt]+typed[isFloat])
		}
	}
	if w.IsQATester != nil {
		expect("is_qa_tester", *w.IsQATester, got.IsQATester())
	}
	if w.ExperimentID != nil {
		id, _ := dev.TextOf(w.ExperimentID)
		expect("experiment_id", id, got.ExperimentID())
	}
	if w.IsExperimentActive != nil {
		active, known := got.IsExperimentActive()
		expect("is_experiment_active", string(w.IsExperimentActive), map[bool]string{true: fmt.Sprint(active), false: "null"}[known])
	}
}

func TestVectors(t *testing.T) {
	reads := map[string]EvaluateOption{"": 0, "boolean": AsBoolean, "string": AsString, "integer": AsInteger, "double": AsFloat, "object": AsObject}
	vectors := dev.Vectors[vector](t, "evaluate")
	maps := 0
	for _, vector := range vectors {
		t.Run(vector.Name, func(t *testing.T) {
			options := []Option{WithReportExposures(false), WithDefinitions(dev.Document(t, vector.Flags))}
			if vector.Overrides != nil {
				options = append(options, WithOption("overrides", vector.Overrides))
			}
			c := client(t, options...)
			as, known := reads[vector.Read]
			if !known {
				t.Fatalf("unknown read %q", vector.Read)
			}
			body, isText := dev.TextOf(vector.Context)
			if !isText {
				body = string(vector.Context)
			}
			// Packed twice, since the second finds a cached answer, and by the call that keeps the evaluation.
			vector.compare(t, c.raw(vector.Key, encodingJSON, []byte(body), as))
			vector.compare(t, c.raw(vector.Key, encodingJSON, []byte(body), as))
			vector.compare(t, c.raw(vector.Key, encodingJSON, []byte(body), as|WithoutExposure))
			if isText {
				return
			}
			// With a Go map, which this package passes in the binary form.
			maps++
			user, isObject := dev.Parse(t, body).(map[string]any)
			if !isObject {
				t.Fatalf("a context that is not an object must be a string: %s", body)
			}
			vector.compare(t, c.Evaluate(context.Background(), vector.Key, user, as))
			vector.compare(t, c.Evaluate(context.Background(), vector.Key, user, as, WithoutExposure))
			if as != 0 {
				return
			}
			all, err := c.EvaluateAll(context.Background(), user)
			if err != nil {
				t.Fatal(err)
			}
			if v, ok := all[vector.Key]; ok && vector.Want.Outcome != "flag_not_found" {
				vector.compare(t, v)
			} else if ok != (vector.Want.Outcome != "flag_not_found") && vector.Want.Outcome != "malformed" {
				t.Errorf("EvaluateAll has the flag: %v", ok)
			}
		})
	}
	t.Logf("%d of them with a Go map too", maps)
	dev.Report(t, "evaluate", len(vectors), 0, "")
}

func TestRuleVectors(t *testing.T) {
	vectors := dev.Vectors[ruleVector](t, "rules")
	for _, vector := range vectors {
		t.Run(vector.Name, func(t *testing.T) {
			rule, properties := string(vector.Rule), ""
			if vector.RuleText != "" {
				rule = vector.RuleText
			}
			if vector.DataText != nil {
				properties = *vector.DataText
			} else if vector.Data != nil {
				properties = string(vector.Data)
			}
			c := client(t, WithReportExposures(false), WithDefinitions(`{"flags": [{"key": "f", "context": "id", "ruleset": {"variants":
				[{"key": "on", "value": true}], "rollout": [{"rollout_percentage": 1, "runtime_evaluation_rule": `+rule+`}]}}]}`))
			body := `{"id": 1}`
			if properties != "" {
				body = `{"id": 1, "custom_properties": ` + properties + `}`
			}
			check := func(v Evaluation) {
				var got any
				switch outcome := outcomeOf(t, v); outcome {
				case "variant":
					got = true
				case "no_rollout_match":
					got = false
				default:
					got = outcome
				}
				if got != vector.Want {
					t.Errorf("want %v, got %v", vector.Want, got)
				}
			}
			check(c.raw("f", encodingJSON, []byte(body), 0))
			if vector.DataText == nil {
				check(c.Evaluate(context.Background(), "f", dev.Parse(t, body).(map[string]any)))
			}
		})
	}
	dev.Report(t, "rules", len(vectors), 0, "")
}

// The bucket vectors are read but not run: no C function returns a bucket.
type bucketVector struct {
	Name    string  `json:"name"`
	Subject string  `json:"subject"`
	Salt    string  `json:"salt"`
	Want    float64 `json:"want"`
	Why     string  `json:"why"`
}

func (v bucketVector) Named() (string, string) { return v.Name, v.Why }

// Every suite is run here, or skipped with a reason.
func TestEverySuiteIsKnown(t *testing.T) {
	entries, err := os.ReadDir(filepath.Join(dev.Root(), "conformance", "vectors"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		name := entry.Name()
		switch {
		case !entry.IsDir() || slices.Contains([]string{"flags", "evaluate", "rules"}, name):
		case name == "provider":
			t.Log("provider: run by package openfeature")
		case name == "bucket":
			dev.Report(t, name, 0, len(dev.Vectors[bucketVector](t, name)), "the C interface has no function that returns a bucket")
		default:
			t.Errorf("conformance/vectors/%s is neither run nor skipped", name)
		}
	}
}
