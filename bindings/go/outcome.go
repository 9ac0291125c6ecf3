//go:build cgo

package mpflags

import (
	"encoding/json"
	"maps"
	"strconv"
	"strings"
)

// Reason is OpenFeature's name for why an evaluation gave what it gave.
type Reason string

const (
	// Static: the same for everybody, or an override.
	Static Reason = "STATIC"
	// Default: nothing applied, or the group for everybody after the groups with rules.
	Default Reason = "DEFAULT"
	// TargetingMatch: a tester, a rollout whose rule matched, or an answer of Mixpanel.
	TargetingMatch Reason = "TARGETING_MATCH"
	// Split: the bucket decided.
	Split Reason = "SPLIT"
	// Disabled: the flag is disabled or archived.
	Disabled Reason = "DISABLED"
	// Failure: something is wrong; [Variant.Err] says what.
	Failure Reason = "ERROR"
	// Unknown: a reason that this package has no name for.
	Unknown Reason = "UNKNOWN"
)

// outcome is what an evaluation gave. It is shared and never changed.
type outcome struct {
	answer        uint64
	kind          kind
	assigned      bool
	boolean       bool
	tester        bool
	hasExperiment bool
	active        *bool
	integer       int64
	number        float64
	text          string
	json          string
	variant       string
	experiment    string
	unsupported   string
	reason        Reason
	err           *EvaluationError
	object        any
}

var (
	noMatch  = &outcome{answer: 1, reason: Default}
	disabled = &outcome{answer: 3, reason: Disabled}
)

// Variant is what an evaluation gave: a variant, or why there is none. It does not change.
type Variant struct {
	flag   string
	of     *outcome
	source *exposable
}

// Flag is the key of the flag.
func (v Variant) Flag() string { return v.flag }

// Assigned tells whether there is a variant, with a value of the type asked for. If not, the program's default applies.
func (v Variant) Assigned() bool { return v.outcome().assigned }

// Name is the variant's key, "override" for an override, and empty when none is assigned.
func (v Variant) Name() string { return v.outcome().variant }

// Reason tells why the evaluation gave what it gave.
func (v Variant) Reason() Reason { return v.outcome().reason }

// Err is nil, or an [*EvaluationError]. A flag that is disabled, or that the user is not in, is no error.
func (v Variant) Err() error {
	if err := v.outcome().err; err != nil {
		return err
	}
	return nil
}

// ExperimentID is the experiment that the flag belongs to, or empty.
func (v Variant) ExperimentID() string { return v.outcome().experiment }

// IsExperimentActive tells whether that experiment is active; known is false when nothing is known about it.
func (v Variant) IsExperimentActive() (active, known bool) {
	if of := v.outcome(); of.active != nil {
		return *of.active, true
	}
	return false, false
}

// IsQATester tells whether the user got the variant as a tester.
func (v Variant) IsQATester() bool { return v.outcome().tester }

// Metadata gives experiment_id and is_experiment_active where the flag has them, is_qa_tester where it is true, and as
// unsupported what of the flag's definition this library does not know. The map is the caller's, and nil when it would be
// empty.
func (v Variant) Metadata() map[string]any {
	of := v.outcome()
	if !of.assigned || !of.hasExperiment && of.active == nil && !of.tester && of.unsupported == "" {
		return nil
	}
	metadata := make(map[string]any, 4)
	if of.hasExperiment {
		metadata["experiment_id"] = of.experiment
	}
	if of.active != nil {
		metadata["is_experiment_active"] = *of.active
	}
	if of.tester {
		metadata["is_qa_tester"] = true
	}
	if of.unsupported != "" {
		metadata["unsupported"] = of.unsupported
	}
	return metadata
}

// unsupported reads that member of the metadata that the library writes as JSON. Rarely there: the rest is not read.
func unsupported(metadata string) string {
	if !strings.Contains(metadata, `"unsupported":`) {
		return ""
	}
	var read struct {
		Unsupported string `json:"unsupported"`
	}
	// The library writes it.
	_ = json.Unmarshal([]byte(metadata), &read)
	return read.Unsupported
}

// Boolean gives the value, if it is one.
func (v Variant) Boolean() (value, ok bool) {
	of := v.outcome()
	return of.boolean, of.kind == kindBoolean
}

// Text gives the value, if it is a string.
func (v Variant) Text() (value string, ok bool) {
	of := v.outcome()
	return of.text, of.kind == kindString
}

// Int gives the value, if it is an integer, or a whole number, within 64 bits.
func (v Variant) Int() (value int64, ok bool) {
	of := v.outcome()
	// Of a number that is not whole, or too large, the library tells the integer 0.
	whole := of.kind == kindDouble && float64(of.integer) == of.number && (of.integer != 0 || of.number == 0)
	return of.integer, of.kind == kindInteger || whole
}

// Float gives the value, if it is a number.
func (v Variant) Float() (value float64, ok bool) {
	of := v.outcome()
	return of.number, of.kind == kindInteger || of.kind == kindDouble
}

// JSON is the value as compact JSON, whatever it is; empty when there is none.
func (v Variant) JSON() string { return v.outcome().json }

// Value gives the value: a bool, a string, an int64 or float64, a map[string]any, a []any, or nil. In an object or array
// an integer is an int64 where it fits, and any other number a float64. Maps and slices are the caller's.
func (v Variant) Value() any {
	of := v.outcome()
	switch of.kind {
	case kindBoolean:
		return of.boolean
	case kindString:
		return of.text
	case kindInteger:
		return of.integer
	case kindDouble:
		return of.number
	case kindObject, kindArray:
		return copied(of.object)
	}
	return nil
}

func (v Variant) outcome() *outcome {
	if v.of == nil {
		return noVariant
	}
	return v.of
}

// noVariant is what the zero Variant tells.
var noVariant = &outcome{reason: Unknown}

// copied makes what was handed out the caller's own.
func copied(value any) any {
	switch v := value.(type) {
	case map[string]any:
		result := maps.Clone(v)
		for key, value := range result {
			result[key] = copied(value)
		}
		return result
	case []any:
		result := make([]any, len(v))
		for i, value := range v {
			result[i] = copied(value)
		}
		return result
	}
	return value
}

// decoded reads the JSON of an object or array, once for all that are given the outcome.
func decoded(text string) any {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil
	}
	return numbers(value)
}

// numbers keeps integers exact.
func numbers(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, value := range v {
			v[key] = numbers(value)
		}
	case []any:
		for i, value := range v {
			v[i] = numbers(value)
		}
	case json.Number:
		if integer, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			return integer
		}
		number, _ := v.Float64() // the library takes no number that a float64 cannot hold
		return number
	}
	return value
}
