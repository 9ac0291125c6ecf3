//go:build cgo

package mpflags

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mpflags/mpflags/bindings/go/internal/dev"
)

type plan string
type age int16
type score float32
type address struct {
	City string `json:"city"`
	Zip  string `json:"zip,omitempty"`
	note string
}
type failing string

func (f failing) MarshalJSON() ([]byte, error) { return nil, errors.New(string(f)) }

func pointer[T any](value T) *T { return &value }

func TestContextEncoding(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 890, time.FixedZone("", 5400))
	for name, c := range map[string]struct {
		value any
		want  string
	}{
		"nil": {nil, `null`}, "true": {true, `true`}, "false": {false, `false`},
		"string": {"a", `"a"`}, "empty string": {"", `""`}, "escapes": {"\x00\t\n\"\\/<\u2028é", "\"\\u0000\\u0009\\u000a\\\"\\\\/<\u2028é\""},
		"replacement character": {"\ufffd", "\"\ufffd\""},
		"int":                   {-1, `-1`}, "int8": {int8(-128), `-128`}, "int16": {int16(300), `300`}, "int32": {int32(7), `7`},
		"int64": {int64(math.MaxInt64), `9223372036854775807`}, "int64 min": {int64(math.MinInt64), `-9223372036854775808`},
		"uint": {uint(1), `1`}, "uint8": {uint8(255), `255`}, "uint16": {uint16(1), `1`}, "uint32": {uint32(1), `1`},
		"uint64": {uint64(math.MaxUint64), `18446744073709551615`}, "uintptr": {uintptr(9), `9`},
		"float64": {1.5, `1.5`}, "whole": {1.0, `1`}, "large whole": {1e20, `100000000000000000000`}, "1e21": {1e21, `1e+21`},
		"small": {1e-7, `1e-07`}, "0.1": {0.1, `0.1`}, "float32": {float32(0.1), `0.1`}, "float32 large": {float32(3e38), `3e+38`},
		"json.Number": {json.Number("12.50"), `12.50`}, "json.Number exact": {json.Number("9007199254740993"), `9007199254740993`},
		"json.Number empty": {json.Number(""), `0`}, "json.RawMessage": {json.RawMessage(`{"a": 1}`), `{"a":1}`},
		"backslashes and surrogates": {json.RawMessage(`["\\\\ud83d", "\\\\ufffd"]`), `["\\\\ud83d","\\\\ufffd"]`},
		"time":                       {at, `"2026-03-04T05:06:07.00000089+01:30"`}, "time pointer": {&at, `"2026-03-04T05:06:07.00000089+01:30"`},
		"duration": {time.Second, `1000000000`}, "bytes": {[]byte("ab"), `"YWI="`}, "byte array": {[2]byte{1, 2}, `[1,2]`},
		"named string": {plan("pro"), `"pro"`}, "named int": {age(3), `3`}, "named float": {score(2), `2`},
		"[]any": {[]any{1, "a", nil, []any{}}, `[1,"a",null,[]]`}, "[]string": {[]string{"a", "b"}, `["a","b"]`}, "[]int": {[]int{1, 2}, `[1,2]`},
		"[]float64": {[]float64{1, 2.5}, `[1,2.5]`}, "[]plan": {[]plan{"x"}, `["x"]`}, "array": {[2]bool{true, false}, `[true,false]`},
		"nil slice": {[]any(nil), `null`}, "nil []string": {[]string(nil), `null`}, "nil []int": {[]int(nil), `null`},
		"nil map": {map[string]any(nil), `null`}, "nil map[string]string": {map[string]string(nil), `null`},
		"map": {map[string]any{"a": map[string]any{}}, `{"a":{}}`}, "map[string]string": {map[string]string{"a": "b"}, `{"a":"b"}`},
		"map[plan]int": {map[plan]int{"a": 1}, `{"a":1}`}, "map[int]bool": {map[int]bool{-5: true}, `{"-5":true}`}, "map[uint8]bool": {map[uint8]bool{5: true}, `{"5":true}`},
		"map[netip.Addr]int": {map[netip.Addr]int{netip.MustParseAddr("::1"): 1}, `{"::1":1}`},
		"struct":             {address{City: "Bonn", note: "x"}, `{"city":"Bonn"}`}, "struct pointer": {&address{City: "Bonn", Zip: "1"}, `{"city":"Bonn","zip":"1"}`},
		"slice of structs": {[]address{{City: "Bonn"}}, `[{"city":"Bonn"}]`}, "pointer": {pointer(5), `5`}, "pointer to pointer": {pointer(pointer("a")), `"a"`},
		"nil pointer": {(*int)(nil), `null`}, "nil struct pointer": {(*address)(nil), `null`}, "pointer to map": {&map[string]any{"a": 1}, `{"a":1}`},
		"big.Int": {big.NewInt(5), `5`}, "text marshaler": {netip.MustParseAddr("10.0.0.1"), `"10.0.0.1"`},
		"a key to be escaped": {map[string]any{"a\"\n": 1}, `{"a\"\u000a":1}`},
	} {
		want := `{"k":` + c.want + `}`
		if got, err := encoded(Context{"k": c.value}); err != nil || got != want {
			t.Errorf("%s in JSON: want %s, got %s %v", name, want, got, err)
		}
		form, err := appendContext(nil, Context{"k": c.value})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := formText(t, form); !dev.Same(dev.Parse(t, want), dev.Parse(t, got)) {
			t.Errorf("%s: want %s, got %s", name, want, got)
		}
	}
}

// Of keys that differ only in case the last one counts, so they are in order of code points.
func TestFoldingKeys(t *testing.T) {
	for name, c := range map[string]struct {
		value any
		want  string
	}{
		"map":       {map[string]any{"plan": 1, "PLAN": 2, "Plan": 3, "é": 4}, `{"PLAN":2,"Plan":3,"plan":1,"é":4}`},
		"typed map": {map[plan]string{"b": "1", "B": "2"}, `{"B":"2","b":"1"}`},
		"struct": {struct {
			A int `json:"plan"`
			B int `json:"Plan"`
		}{A: 1, B: 2}, `{"Plan":2,"plan":1}`},
	} {
		for range 20 { // a Go map has a random order
			form, err := appendContext(nil, Context{"k": c.value})
			if want := `{"k":` + c.want + `}`; err != nil || formText(t, form) != want {
				t.Fatalf("%s: want %s, got %s %v", name, want, formText(t, form), err)
			}
			text, err := encoded(c.value)
			if err != nil || name != "struct" && text != c.want {
				t.Fatalf("%s in JSON: want %s, got %s %v", name, c.want, text, err)
			}
		}
	}
}

func TestContextErrors(t *testing.T) {
	loop := map[string]any{}
	loop["self"] = loop
	list := []any{nil}
	list[0] = list
	var tied *any
	knot := any(nil)
	tied = &knot
	knot = tied
	for name, c := range map[string]struct {
		value any
		want  string
	}{
		"NaN":                 {math.NaN(), "`k`: NaN is not a JSON number"},
		"infinity":            {math.Inf(-1), "`k`: -Inf is not a JSON number"},
		"float32 NaN":         {float32(math.NaN()), "`k`: NaN is not a JSON number"},
		"channel":             {make(chan int), "`k`: a chan int is not representable in JSON"},
		"function":            {func() {}, "`k`: a func() is not representable in JSON"},
		"complex":             {1i, "`k`: a complex128 is not representable in JSON"},
		"nested":              {map[string]any{"a": []any{1, math.NaN()}}, "`k.a[1]`: NaN is not a JSON number"},
		"typed slice":         {[]float64{1, math.Inf(1)}, "`k[1]`: +Inf is not a JSON number"},
		"typed map":           {map[string]float64{"x": math.NaN()}, "`k.x`: NaN is not a JSON number"},
		"under a folding key": {map[string]any{"X": math.NaN()}, "`k.X`: NaN is not a JSON number"},
		"in a struct":         {struct{ F float64 }{math.NaN()}, "`k`: json: unsupported value: NaN"},
		"chan in a struct":    {struct{ C chan int }{}, "`k`: json: unsupported type: chan int"},
		"marshaler":           {failing("will not"), "`k`: json: error calling MarshalJSON for type mpflags.failing: will not"},
		"map keys":            {map[float64]int{1: 1}, "`k`: a map with keys of type float64 is not representable in JSON"},
		"json.Number":         {json.Number("1x"), "`k`: a json.Number that is not a number"},
		"json.Number object":  {json.Number(`{"a":1}`), "`k`: a json.Number that is not a number"},
		"time":                {time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), "`k`: a time that RFC 3339 cannot represent"},
		"not UTF-8":           {"a\xffb", "`k`: a string that is not UTF-8"},
		"not UTF-8 in a list": {[]string{"\xc3\x28"}, "`k[0]`: a string that is not UTF-8"},
		"a lone surrogate":    {json.RawMessage(`"\ud83d\ude00 \ud83d"`), "`k`: a string in this json.RawMessage is not UTF-8"},
		"not UTF-8 in struct": {address{City: "\xff"}, "`k`: a string in this mpflags.address is not UTF-8"},
		"a key not UTF-8":     {map[string]any{"\xff": 1}, "`k.\"\\xff\"`: a string that is not UTF-8"},
		"a map in itself":     {loop, "nested more than 512 levels deep, or contains itself"},
		"a list in itself":    {list, "nested more than 512 levels deep, or contains itself"},
		"a pointer to itself": {tied, "nested more than 512 levels deep, or contains itself"},
	} {
		if form, err := appendContext(nil, Context{"k": c.value}); err == nil || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%s: want %s, got %v and %x", name, c.want, err, form)
		}
		if text, err := encoded(Context{"k": c.value}); err == nil || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%s in JSON: want %s, got %v and %s", name, c.want, err, text)
		}
	}
}

// A flag that reads a value that cannot be used fails with INVALID_CONTEXT and names the key, unless it is overridden.
func TestInvalidContext(t *testing.T) {
	c := client(t, WithDefinitions(`{"flags": []}`), WithOverrides(map[string]any{"forced": true}))
	ctx := context.Background()
	d := client(t, WithDefinitions(dev.Read(t, "dev", "samples", "definitions.json")), WithReportExposures(false))
	bad := Context{"distinct_id": "u", "custom_properties": map[string]any{"score": math.NaN()}}
	r := client(t, WithDefinitions(strings.ReplaceAll(readers, `"bad"`, `"score"`)), WithReportExposures(false))
	err := r.Evaluate(ctx, "rule", bad).Err()
	if !errors.Is(err, InvalidContext) || err.Error() != "rule: INVALID_CONTEXT: the context: `custom_properties.score`: NaN is not a JSON number" {
		t.Error(err)
	}
	if !c.Boolean(ctx, "forced", false, bad) {
		t.Error("the override did not win")
	}
	if all, err := r.EvaluateAll(ctx, bad); err != nil || !errors.Is(all["rule"].Err(), InvalidContext) {
		t.Error(err, all["rule"].Err())
	}
	if v := d.Evaluate(ctx, "new-checkout", bad); v.Err() != nil {
		t.Error("a flag that does not read it:", v.Err())
	}
	// For what only the library refuses, the message is the library's.
	deep := map[string]any{}
	for range 200 {
		deep = map[string]any{"in": deep}
	}
	if err := r.Evaluate(ctx, "rule", Context{"distinct_id": "u", "custom_properties": map[string]any{"score": deep}}).Err(); !errors.Is(err, InvalidContext) {
		t.Error(err)
	}
	if err := r.Evaluate(ctx, "subject", Context{"distinct_id": "u", "score": deep}).Err(); !errors.Is(err, InvalidContext) {
		t.Error(err)
	}
}

// This package encodes every value as encoding/json does, in either form, or returns an error.
func FuzzContext(f *testing.F) {
	f.Add("key", "value", 1.5, int64(7), true)
	f.Add("K\u00c9y", "\ufffd\u2028\x7f", 1e21, int64(-1), false)
	f.Add("\xff", "\xc3", math.Copysign(0, -1), int64(math.MinInt64), false)
	f.Fuzz(func(t *testing.T, key, value string, number float64, integer int64, truth bool) {
		user := Context{key: value, "n": number, "i": integer, "b": truth, "l": []any{value, number, map[string]any{key: value}},
			"f": float32(number), "s": struct{ Key string }{value}, "m": map[string]string{key: value}}
		form, failure := appendContext(nil, user)
		text, alsoFailure := encoded(user)
		want, err := json.Marshal(user)
		if !utf8.ValidString(key) || !utf8.ValidString(value) {
			if failure == nil || alsoFailure == nil {
				t.Fatalf("%q %q was taken: %x, %s", key, value, form, text)
			}
			return
		}
		if (failure != nil) != (err != nil) || (alsoFailure != nil) != (err != nil) {
			t.Fatalf("encoding/json: %v, here: %v, in JSON: %v", err, failure, alsoFailure)
		}
		if err != nil {
			return
		}
		for _, got := range []string{formText(t, form), text} {
			if !dev.Same(dev.Parse(t, string(want)), dev.Parse(t, got)) {
				t.Fatalf("want %s, got %s", want, got)
			}
		}
	})
}
