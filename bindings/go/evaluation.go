//go:build cgo

package mpflags

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
)

// Reason is OpenFeature's name for the reason of an evaluation's result.
type Reason string

const (
	// Static: every user gets this value. Also used for overrides.
	Static Reason = "STATIC"
	// Default: no rollout admitted the user, or one without a rule did after those with rules had not.
	Default Reason = "DEFAULT"
	// TargetingMatch: the user is a tester or matched a rollout's rule, or Mixpanel decided.
	TargetingMatch Reason = "TARGETING_MATCH"
	// Split: the user's bucket decided.
	Split Reason = "SPLIT"
	// Disabled: the flag is disabled or archived.
	Disabled Reason = "DISABLED"
	// Failure: the evaluation failed; see [Evaluation.Err].
	Failure Reason = "ERROR"
	// Unknown: the library returned a reason that this package does not know.
	Unknown Reason = "UNKNOWN"
)

// outcome is the result of an evaluation. It is shared and immutable.
type outcome struct {
	answer     uint64
	kind       kind
	assigned   bool
	boolean    bool
	tester     bool
	active     *bool
	integer    int64
	number     float64
	text       string
	json       string
	variant    string
	experiment string
	// The key that the flag is bucketed by, if the library did it.
	contextKey string
	// The flag's metadata. An outcome that stands for an answer has no contextId: it is the same for many users.
	metadata string
	// The same, parsed, and a contextId to be replaced if there is a contextKey. nil for an outcome that is used once.
	members map[string]any
	reason  Reason
	err     *EvaluationError
	// A message without an error.
	note   string
	object any
}

var (
	noMatch  = &outcome{answer: 1, reason: Default}
	disabled = &outcome{answer: 3, reason: Disabled}
)

// Evaluation is the result of [Client.Evaluate]: a variant, or why there is none. It is immutable.
type Evaluation struct {
	key    string
	of     *outcome
	source *exposable
	// The value that the flag was bucketed by, if it is a string that the outcome's metadata lacks: as the context has it,
	// since converting a string to any would allocate.
	contextID any
	// Finds that value if it is not a string.
	rest *rest
}

// String describes the evaluation for logs: the value as JSON, the variant and the reason, or why there is none.
func (e Evaluation) String() string {
	of := e.outcome()
	switch {
	case of == noEvaluation:
		return "no evaluation"
	case of.err != nil:
		return of.err.Error()
	case of.note != "":
		return fmt.Sprintf("%s: no variant (%s: %s)", e.key, of.reason, of.note)
	case !of.assigned:
		return fmt.Sprintf("%s: no variant (%s)", e.key, of.reason)
	}
	return fmt.Sprintf("%s: %s (variant %s, %s)", e.key, of.json, of.variant, of.reason)
}

// Key is the key of the flag.
func (e Evaluation) Key() string { return e.key }

// HasValue reports whether the user has a variant whose value is of the requested type. If not, use your default.
func (e Evaluation) HasValue() bool { return e.outcome().assigned }

// Variant is the key of the variant, "override" for an override, and empty if there is none.
func (e Evaluation) Variant() string { return e.outcome().variant }

// Reason is the reason of the result.
func (e Evaluation) Reason() Reason { return e.outcome().reason }

// Err is nil or an [*EvaluationError]. It is nil for a disabled flag, and for one whose rollouts do not admit the user.
func (e Evaluation) Err() error {
	if err := e.outcome().err; err != nil {
		return err
	}
	return nil
}

// Message describes the error. If the context has no custom_properties, it can also say that no rule could match; that is
// not an error. It is empty for every other evaluation.
func (e Evaluation) Message() string {
	of := e.outcome()
	if of.err != nil {
		return of.err.Message
	}
	return of.note
}

// ExperimentID is the ID of the flag's experiment, or empty.
func (e Evaluation) ExperimentID() string { return e.outcome().experiment }

// IsExperimentActive reports whether the flag's experiment is active; known is false if the definition does not say.
func (e Evaluation) IsExperimentActive() (active, known bool) {
	if of := e.outcome(); of.active != nil {
		return *of.active, true
	}
	return false, false
}

// IsQATester reports whether the user has the variant as a tester.
func (e Evaluation) IsQATester() bool { return e.outcome().tester }

// Metadata describes the flag and the evaluation. It has, where they apply: experiment_id and is_experiment_active;
// is_qa_tester, if it is true; unsupported, which names the parts of the definition that the library does not support;
// contextId, the value that the flag was bucketed by, as text; and flagSetId, the Mixpanel project. OpenFeature defines the
// last two names for OpenTelemetry. The caller owns the map, which is nil if there is no metadata.
func (e Evaluation) Metadata() map[string]any {
	of := e.outcome()
	if !of.assigned {
		return nil
	}
	if of.members == nil {
		return orNil(parsed(of.metadata))
	}
	// Copying the map as a whole costs a fraction of inserting its members one by one.
	metadata := maps.Clone(of.members)
	if of.contextKey != "" {
		id := e.contextID
		if e.rest != nil {
			id = e.rest.contextID(e.key, of.contextKey)
		}
		if id == nil {
			delete(metadata, contextID)
		} else {
			metadata[contextID] = id
		}
	}
	return orNil(metadata)
}

// contextID is the member of the metadata that differs from user to user.
const contextID = "contextId"

func orNil(metadata map[string]any) map[string]any {
	if len(metadata) == 0 {
		return nil
	}
	return metadata
}

// parsed reads metadata, which the library writes as JSON.
func parsed(metadata string) map[string]any {
	members := map[string]any{}
	_ = json.Unmarshal([]byte(metadata), &members) // the library wrote it, so it is valid
	return members
}

// Boolean returns the value if it is a boolean.
func (e Evaluation) Boolean() (value, ok bool) {
	of := e.outcome()
	return of.boolean, of.kind == kindBoolean
}

// Text returns the value if it is a string.
func (e Evaluation) Text() (value string, ok bool) {
	of := e.outcome()
	return of.text, of.kind == kindString
}

// Int returns the value if it is a whole number that fits an int64.
func (e Evaluation) Int() (value int64, ok bool) {
	of := e.outcome()
	// For a number that is not whole or too large, the library returns the integer 0.
	whole := of.kind == kindDouble && float64(of.integer) == of.number && (of.integer != 0 || of.number == 0)
	return of.integer, of.kind == kindInteger || whole
}

// Float returns the value if it is a number.
func (e Evaluation) Float() (value float64, ok bool) {
	of := e.outcome()
	return of.number, of.kind == kindInteger || of.kind == kindDouble
}

// JSON is the value, of whatever type, as compact JSON; empty if there is none.
func (e Evaluation) JSON() string { return e.outcome().json }

// Value returns the value as a bool, string, int64, float64, map[string]any, []any or nil. Inside objects and arrays, an
// integer that fits is an int64, any other number a float64. The caller owns maps and slices.
func (e Evaluation) Value() any {
	of := e.outcome()
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

func (e Evaluation) outcome() *outcome {
	if e.of == nil {
		return noEvaluation
	}
	return e.of
}

// noEvaluation is the outcome of the zero Evaluation.
var noEvaluation = &outcome{reason: Unknown}

// copied returns a deep copy, which the caller may change.
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

// decoded parses an object or array. It runs once per outcome.
func decoded(text string) any {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil
	}
	return numbers(value)
}

// numbers turns each json.Number into an int64, which is exact, or a float64.
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
		number, _ := v.Float64() // the library refuses numbers beyond a float64
		return number
	}
	return value
}
