//go:build cgo

package mpflags

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/mpflags/mpflags/bindings/go/internal/dev"
)

// reader reads the binary form as JSON, in the order of the form. It prints a value that cannot be used as !"why".
type reader struct {
	t    testing.TB
	rest []byte
}

// formText returns the JSON of a form.
func formText(t testing.TB, form []byte) string {
	t.Helper()
	if len(form) == 0 || form[0] != 1 {
		t.Fatalf("%x has no version", form)
	}
	return (&reader{t, form[1:]}).container('{', '}')
}

func (r *reader) take(n int) []byte {
	r.t.Helper()
	if n > len(r.rest) {
		r.t.Fatalf("%x ends early", r.rest)
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *reader) number(digits int) (n uint64) {
	for i, digit := range r.take(digits) {
		if digit > 0x7F {
			r.t.Fatalf("%x is not a digit", digit)
		}
		n |= uint64(digit) << (7 * i)
	}
	return n
}

func (r *reader) text() []byte {
	length := int(r.take(1)[0])
	if length == 0x7F {
		length = int(r.number(5))
	}
	return r.take(length)
}

func (r *reader) container(first, last rune) string {
	var parts []string
	for len(r.rest) > 0 {
		tag, name := r.take(1)[0], ""
		if first == '{' {
			name = r.json(string(r.text())) + ":"
		}
		parts = append(parts, name+r.content(tag))
	}
	return string(first) + strings.Join(parts, ",") + string(last)
}

func (r *reader) content(tag byte) string {
	switch tag {
	case 0:
		return "null"
	case 1, 2:
		return fmt.Sprint(tag == 2)
	case 3:
		return fmt.Sprint(int64(r.number(10)))
	case 4:
		return fmt.Sprint(r.number(10))
	case 5:
		return r.json(math.Float64frombits(r.number(10)))
	case 6:
		return r.json(string(r.text()))
	case 7:
		return (&reader{r.t, r.text()}).container('[', ']')
	case 8:
		return (&reader{r.t, r.text()}).container('{', '}')
	case 9:
		return fmt.Sprintf("!%q", r.text())
	}
	r.t.Fatalf("unknown tag %d", tag)
	return ""
}

func (r *reader) json(value any) string {
	text, err := encoded(value)
	if err != nil {
		r.t.Fatal(err)
	}
	return text
}

// The example of docs/binary.md, in the order that the page has. A Go map has no order, so it takes some attempts.
func TestDocumentedForm(t *testing.T) {
	_, page, _ := strings.Cut(dev.Read(t, "docs", "binary.md"), "```hex\n")
	page, _, found := strings.Cut(page, "```")
	var digits strings.Builder
	for line := range strings.Lines(page) {
		digits.WriteString(line[:min(len(line)-1, 45)]) // the bytes, and not what they mean
	}
	want, err := hex.DecodeString(strings.ReplaceAll(digits.String(), " ", ""))
	if err != nil || !found || len(want) < 50 {
		t.Fatalf("docs/binary.md has no example: %x %v", want, err)
	}
	var got []byte
	for range 10_000 {
		user := Context{"distinct_id": "u1", "custom_properties": map[string]any{"plan": "pro", "seats": 12, "tags": []any{"a", nil}}}
		var failure *unencodable
		if got, failure = appendContext(nil, user); failure != nil {
			t.Fatal(failure)
		}
		if string(got) == string(want) {
			return
		}
	}
	t.Errorf("want %x\ngot  %x", want, got)
}

// Each number gets the tag with which the library reads it as it reads what encoding/json writes.
func TestNumberTags(t *testing.T) {
	const signed, unsigned, double = 3, 4, 5
	for name, c := range map[string]struct {
		value any
		tag   byte
		bits  uint64
	}{
		"int64":           {int64(math.MinInt64), signed, 1 << 63},
		"uint64":          {uint64(math.MaxInt64), signed, math.MaxInt64},
		"large uint64":    {uint64(1 << 63), unsigned, 1 << 63},
		"largest uint64":  {uint64(math.MaxUint64), unsigned, math.MaxUint64},
		"fraction":        {1.5, double, math.Float64bits(1.5)},
		"a billion":       {1e9, signed, 1_000_000_000},
		"whole":           {-3.0, signed, 1<<64 - 3},
		"zero":            {0.0, signed, 0},
		"negative zero":   {math.Copysign(0, -1), double, 1 << 63},
		"2^53":            {float64(1 << 53), signed, 1 << 53},
		"2^60":            {float64(1 << 60), signed, 1152921504606847000}, // the shortest digits
		"beyond int64":    {1e19, unsigned, 10_000_000_000_000_000_000},
		"beyond uint64":   {1e20, double, math.Float64bits(1e20)},
		"1e21":            {1e21, double, math.Float64bits(1e21)},
		"large":           {-math.MaxFloat64, double, math.Float64bits(-math.MaxFloat64)},
		"small":           {5e-324, double, 1},
		"float32":         {float32(0.1), double, math.Float64bits(0.1)},
		"whole float32":   {float32(7), signed, 7},
		"2^24":            {float32(1 << 24), signed, 1 << 24},
		"large float32":   {float32(123456789), signed, 123456790},
		"largest float32": {float32(math.MaxFloat32), double, math.Float64bits(3.4028235e38)},
		"small float32":   {float32(1e-10), double, math.Float64bits(1e-10)},
		"duration":        {time.Duration(5), signed, 5},
		"json.Number":     {json.Number("-9223372036854775808"), signed, 1 << 63},
		"a large one":     {json.Number("18446744073709551615"), unsigned, math.MaxUint64},
		"a larger one":    {json.Number("18446744073709551616"), double, math.Float64bits(1 << 64)},
		"with a fraction": {json.Number("1.0"), double, math.Float64bits(1)},
		"minus zero":      {json.Number("-0"), double, 1 << 63},
		"in a marshaler":  {json.RawMessage("9007199254740993"), signed, 9007199254740993},
	} {
		form, err := appendContext(nil, Context{"": c.value})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		digits := &reader{t, form[3:]}
		if bits := digits.number(10); form[1] != c.tag || bits != c.bits || len(digits.rest) != 0 {
			t.Errorf("%s: want %d %x, got %d %x", name, c.tag, c.bits, form[1], bits)
		}
	}
}

// Lengths of one and of six bytes, of texts, objects and arrays.
func TestLengths(t *testing.T) {
	for _, length := range []int{0, 1, 126, 127, 128, 1 << 14, 1 << 17} {
		text := strings.Repeat("x", length)
		user := Context{"s": text, text: "k", "o": map[string]any{"in": map[string]any{"deeper": text}}, "a": []any{text, []string{text, ""}}}
		form, failure := appendContext(nil, user)
		want, err := json.Marshal(user)
		if failure != nil || err != nil || !dev.Same(dev.Parse(t, string(want)), dev.Parse(t, formText(t, form))) {
			t.Errorf("%d bytes: %v %v", length, failure, err)
		}
	}
	largest, err := appendLength(nil, math.MaxUint32)
	if err != nil || string(largest) != "\x7f\x7f\x7f\x7f\x7f\x0f" {
		t.Errorf("%x %v", largest, err)
	}
	if _, err := appendLength(nil, math.MaxUint32+1); err == nil || err.Error() != "longer than 4 GiB" {
		t.Error(err)
	}
}

// Values and keys that cannot be used are marked where they are, and everything else is kept.
func TestMarks(t *testing.T) {
	for name, c := range map[string]struct {
		user Context
		want string
	}{
		"attribute":         {Context{"a": 1, "b": math.NaN(), "c": "x"}, `{"a":1,"b":!"NaN is not a JSON number","c":"x"}`},
		"property":          {Context{"p": map[string]any{"a": func() {}, "b": true}}, `{"p":{"a":!"a func() is not representable in JSON","b":true}}`},
		"of a typed map":    {Context{"p": map[plan]float32{"a": float32(math.Inf(1)), "b": 2}}, `{"p":{"a":!"+Inf is not a JSON number","b":2}}`},
		"in an array":       {Context{"p": []any{1, math.NaN()}}, `{"p":!"NaN is not a JSON number"}`},
		"string":            {Context{"s": "\xff"}, `{"s":!"a string that is not UTF-8"}`},
		"key":               {Context{"a": 1, "k\xff": 2}, `{"a":1,"k` + "\ufffd" + `":!"a string that is not UTF-8"}`},
		"key of a property": {Context{"p": map[string]any{"\xff": 2, "a": 1}}, `{"p":{"a":1,"` + "\ufffd" + `":!"a string that is not UTF-8"}}`},
		"surrogate":         {Context{"s": json.RawMessage(`{"a": "\ud800"}`)}, `{"s":!"a string in this json.RawMessage is not UTF-8"}`},
		"number":            {Context{"n": json.Number("1e999")}, `{"n":!"a number beyond a float64"}`},
		"why not UTF-8":     {Context{"e": failing("\xff")}, `{"e":!"json: error calling MarshalJSON for type mpflags.failing: ` + "\ufffd" + `"}`},
		"deep": {Context{"p": map[string]any{"q": map[string]any{"r": map[string]any{"s": math.NaN(), "t": 1}, "u": 1}}},
			`{"p":{"q":{"r":!"NaN is not a JSON number","u":1}}}`},
		"many": {Context{"p": map[string]any{strings.Repeat("k", 200): math.NaN()}, "q": math.NaN()},
			`{"p":{"` + strings.Repeat("k", 200) + `":!"NaN is not a JSON number"},"q":!"NaN is not a JSON number"}`},
	} {
		form, found := appendMarked(nil, c.user)
		if got := formText(t, form); got != c.want || strings.Count(got, "!") != len(found) {
			t.Errorf("%s: want %s, got %s, %d found", name, c.want, got, len(found))
		}
	}
}

// Encoding the common types allocates nothing.
func TestEncodingAllocatesNothing(t *testing.T) {
	user := Context{"distinct_id": "u1", "custom_properties": map[string]any{"plan": "pro", "seats": 12, "rate": 0.5, "beta": true, "none": nil,
		"tags": []any{"a", int64(1)}, "names": []string{"a", "b"}, "Capital": "x", "capital": uint8(1), "since": time.Now(), "f": float32(0.25),
		"address": map[string]any{"city": "Bonn"}, "text": strings.Repeat("x", 1000)}}
	buffer := make([]byte, 0, 4096)
	allocated := testing.AllocsPerRun(100, func() {
		if _, err := appendContext(buffer, user); err != nil {
			t.Fatal(err)
		}
	})
	if allocated != 0 {
		t.Errorf("%v allocations", allocated)
	}
}

// Random contexts are evaluated alike in the binary form and as the JSON that encoding/json writes, whatever a flag reads.
func TestFormsAgree(t *testing.T) {
	names := []string{"a", "b", "Plan", "plan", "é", "É", "n.m", ""}
	var flags []string
	for i, name := range names {
		quoted, _ := json.Marshal(name)
		flags = append(flags, fmt.Sprintf(`{"key": "subject-%d", "context": %s, "ruleset": {"variants": [{"key": "on", "value": true, "split": 0.5},
			{"key": "off", "value": false, "split": 0.5}], "rollout": [{"rollout_percentage": 1}]}}`, i, quoted),
			fmt.Sprintf(`{"key": "rule-%d", "context": "id", "ruleset": {"variants": [{"key": "on", "value": true}], "rollout": [{"rollout_percentage": 1,
			"runtime_evaluation_rule": {"<": [{"cat": [{"var": %s}]}, {"var": "b"}]}}]}}`, i, quoted))
	}
	c := client(t, WithReportExposures(false), WithDefinitions(`{"flags": [`+strings.Join(flags, ",")+`]}`))
	random := rand.New(rand.NewPCG(5, 8))
	outcomes := map[string]int{}
	for range 500 {
		user := Context{"id": "u1", "custom_properties": randomObject(random, names, 3)}
		for name, value := range randomObject(random, names, 2) {
			user[name] = value
		}
		var encoded [2][]byte
		var failure *unencodable
		var err error
		if encoded[0], failure = appendContext(nil, user); failure != nil {
			t.Fatal(failure)
		}
		if encoded[1], err = json.Marshal(user); err != nil {
			t.Fatal(err)
		}
		for i := range len(flags) {
			flag := fmt.Sprintf("%s-%d", []string{"subject", "rule"}[i%2], i/2)
			var got [2]string
			for form, encoding := range []int32{encodingBinary, encodingJSON} {
				c.own().core.native.encoding = encoding
				e := c.raw(flag, encoding, encoded[form], 0)
				explanation, err := c.own().core.native.explain(flag, encoded[form])
				got[form] = fmt.Sprintln(e, e.Metadata(), e.Message(), explanation, err)
				outcomes[outcomeOf(t, e)]++
			}
			if got[0] != got[1] {
				t.Fatalf("%s for %s: in the binary form\n%sas JSON\n%s", flag, encoded[1], got[0], got[1])
			}
		}
	}
	if outcomes["variant"] < 1000 || outcomes["no_rollout_match"] < 1000 || outcomes["missing_context_key"] < 1000 || outcomes["invalid_context"] < 100 {
		t.Errorf("the contexts cover too little: %v", outcomes)
	}
	t.Log(outcomes)
}

func randomObject(random *rand.Rand, names []string, depth int) map[string]any {
	object := map[string]any{}
	for range random.IntN(len(names)) {
		object[names[random.IntN(len(names))]] = randomValue(random, names, depth)
	}
	return object
}

func randomValue(random *rand.Rand, names []string, depth int) any {
	kinds := 14
	if depth > 0 {
		kinds += 5
	}
	switch random.IntN(kinds) {
	case 0:
		return nil
	case 1:
		return random.IntN(2) == 0
	case 2:
		return random.IntN(20) - 10
	case 3:
		return int64(random.Uint64())
	case 4:
		return random.Uint64()
	case 5:
		return float64(random.IntN(100)) / 4
	case 6:
		return math.Ldexp(random.Float64(), random.IntN(300)-150)
	case 7:
		return float32(random.NormFloat64() * 1e9)
	case 8:
		return json.Number([]string{"-0", "1.0", "12345678901234567890123", "1e2", "-7", "1e300"}[random.IntN(6)])
	case 9:
		return []string{"", "a", "É", "\ufffd", "7", "2.5", "\x00\"\\", strings.Repeat("long", 50)}[random.IntN(8)]
	case 10:
		return time.Unix(int64(random.Uint32()), 0).UTC()
	case 11:
		return plan(names[random.IntN(len(names))])
	case 12:
		return address{City: "Bonn"}
	case 13:
		return binary.LittleEndian.AppendUint32(nil, random.Uint32())
	case 14:
		return randomObject(random, names, depth-1)
	case 15:
		return []any{randomValue(random, names, depth-1), randomValue(random, names, depth-1)}
	case 16:
		return []string{"a", "é"}[:random.IntN(3)]
	case 17:
		return map[plan]int{"Plan": 1, "plan": 2}
	}
	var deep any = true
	for range 120 + random.IntN(10) {
		deep = []any{deep}
	}
	return deep
}
