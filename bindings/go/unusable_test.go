//go:build cgo

package mpflags

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
)

type failingMarshaler struct{ panics bool }

func (f failingMarshaler) MarshalJSON() ([]byte, error) {
	if f.panics {
		panic("secret-7")
	}
	return nil, errors.New("secret-7")
}

// Three flags: plain reads custom_properties.age, rule reads custom_properties.bad, and subject is bucketed by "bad".
const readers = `{"flags": [
	{"key": "plain", "context": "distinct_id", "ruleset": {"variants": [{"key": "on", "value": true}], "rollout": [
		{"rollout_percentage": 1, "runtime_evaluation_rule": {">": [{"var": "age"}, 18]}}]}},
	{"key": "rule", "context": "distinct_id", "ruleset": {"variants": [{"key": "on", "value": true}], "rollout": [
		{"rollout_percentage": 1, "runtime_evaluation_rule": {"==": [{"var": "bad"}, 1]}}]}},
	{"key": "subject", "context": "bad", "ruleset": {"variants": [{"key": "on", "value": true}], "rollout": [{"rollout_percentage": 1}]}}]}`

// An unusable value makes only the flags that read it fail. It is logged once, by name and type.
func TestUnusableAttribute(t *testing.T) {
	cyclic := map[string]any{}
	cyclic["self"], cyclic["again"] = cyclic, cyclic
	var list []any
	list = []any{0, &list}
	for name, bad := range map[string]any{
		"NaN": math.NaN(), "infinity": math.Inf(-1), "channel": make(chan int), "function": func() {}, "complex": 1i, "not UTF-8": "secret-7\xff",
		"marshaler": failingMarshaler{}, "marshaler that panics": failingMarshaler{true}, "struct": struct{ F float64 }{math.NaN()}, "cyclic map": cyclic,
		"cyclic list": list, "typed map": map[string]float64{"x": math.NaN()}, "list": []any{1, math.NaN()}, "keys": map[struct{}]int{{}: 1},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			c := client(t, WithReportExposures(false), WithDefinitions(readers), WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
			top := Context{"distinct_id": "u1", "bad": bad, "custom_properties": map[string]any{"age": 31}}
			nested := Context{"distinct_id": "u1", "custom_properties": map[string]any{"age": 31, "bad": bad}}
			for _, user := range []Context{top, nested, top, nested} {
				if v := c.Evaluate(background, "plain", user); !v.HasValue() {
					t.Errorf("a flag that does not read it: %v", v.Err())
				}
				if v := c.Evaluate(background, "plain", user, AsBoolean, WithoutExposure); !v.HasValue() {
					t.Errorf("without exposure: %v", v.Err())
				}
				all, err := c.EvaluateAll(background, user)
				if err != nil || !all["plain"].HasValue() {
					t.Errorf("all: %v %v", err, all["plain"].Err())
				}
			}
			for flag, user := range map[string]Context{"subject": top, "rule": nested} {
				err := c.Evaluate(background, flag, user).Err()
				if !errors.Is(err, InvalidContext) || !strings.Contains(fmt.Sprint(err), "bad") || strings.Contains(fmt.Sprint(err), "age") {
					t.Errorf("%s, which reads it: %v", flag, err)
				}
			}
			if lines := strings.Count(log.String(), "cannot be used"); lines != 2 && name != "cyclic map" && name != "typed map" {
				t.Errorf("%d lines:\n%s", lines, &log)
			}
			for _, part := range []string{`attribute=bad`, "attribute=custom_properties.bad", "level=WARN"} {
				if !strings.Contains(log.String(), part) {
					t.Errorf("%q is not in\n%s", part, &log)
				}
			}
			if strings.Contains(log.String(), "secret-7") {
				t.Errorf("the value was logged:\n%s", &log)
			}
		})
	}
}

// The number of unusable attributes that are logged is limited.
func TestUnusableAttributesAreBounded(t *testing.T) {
	var log bytes.Buffer
	c := client(t, WithReportExposures(false), WithDefinitions(readers), WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	for i := range 3 * maxLogged {
		c.Evaluate(background, "plain", Context{"distinct_id": "u1", fmt.Sprint("k", i): math.NaN()})
	}
	if lines := strings.Count(log.String(), "\n"); lines != maxLogged+1 || !strings.Contains(log.String(), "further ones are not logged") {
		t.Errorf("%d lines", lines)
	}
	held := 0
	c.own().core.logged.Range(func(any, any) bool { held++; return true })
	if held > maxLogged+1 {
		t.Errorf("%d names are remembered", held)
	}
}
