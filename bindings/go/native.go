package mpflags

/*
#cgo noescape mpflags_client_evaluate_packed
#cgo nocallback mpflags_client_evaluate_packed

#include "mpflags.h"

// The fields of an evaluation, read with one call into C. The strings are borrowed from it.
typedef struct {
    int32_t kind, reason, code, active;
    bool has_value, boolean, tester;
    int64_t integer;
    double number;
    uint64_t answer;
    mpflags_str flag, text, json, variant, message, experiment, metadata, context_key;
} mpflags_go_evaluation;

static void mpflags_go_read_evaluation(const mpflags_evaluation *from, mpflags_go_evaluation *to)
{
    to->kind = mpflags_evaluation_kind(from);
    to->reason = mpflags_evaluation_reason(from);
    to->code = mpflags_evaluation_error_code(from);
    to->active = mpflags_evaluation_is_experiment_active(from);
    to->has_value = mpflags_evaluation_has_value(from);
    to->boolean = mpflags_evaluation_boolean(from);
    to->tester = mpflags_evaluation_is_qa_tester(from);
    to->integer = mpflags_evaluation_int64(from);
    to->number = mpflags_evaluation_double(from);
    to->answer = mpflags_evaluation_answer(from);
    to->flag = mpflags_evaluation_key(from);
    to->text = mpflags_evaluation_string(from);
    to->json = mpflags_evaluation_json(from);
    to->variant = mpflags_evaluation_variant(from);
    to->message = mpflags_evaluation_message(from);
    to->experiment = mpflags_evaluation_experiment_id(from);
    to->metadata = mpflags_evaluation_metadata_json(from);
    to->context_key = mpflags_evaluation_context_key(from);
}

// The fields of an item, read in the same way.
typedef struct {
    int32_t kind, level, state;
    size_t keys;
    mpflags_str message, event;
} mpflags_go_item;

static void mpflags_go_read_item(const mpflags_item *from, mpflags_go_item *to)
{
    to->kind = mpflags_item_kind(from);
    to->level = mpflags_item_level(from);
    to->state = mpflags_item_state(from);
    to->keys = mpflags_item_key_count(from);
    to->message = mpflags_item_message(from);
    to->event = mpflags_item_event(from);
}
*/
import "C"

import (
	"fmt"
	"runtime"
	"sync"
	"time"
	"unsafe"
)

// native is a client of the library. Only its methods pass pointers to C. The library does not keep the strings that are
// passed in, and results are copied before their handle is freed. Callers make sure that no method runs during or after
// free.
type native struct {
	client *C.mpflags_client
	// The form in which contexts are passed: binary, or JSON in tests.
	encoding int32
}

// checked compares the linked library with the header that this package was compiled with.
var checked = sync.OnceValue(func() error {
	version, revision := uint32(C.mpflags_abi_version()), uint32(C.mpflags_abi_revision())
	if version == C.MPFLAGS_ABI_VERSION && revision == C.MPFLAGS_ABI_REVISION {
		return nil
	}
	return &Error{kind: ErrIncompatible, message: fmt.Sprintf(
		"libmpflags %s has ABI version %d, revision %d; this program was compiled for version %d, revision %d: "+
			"install the library and the header of the same release, run go clean -cache (Go does not notice a changed "+
			"header) and rebuild",
		text(C.mpflags_version()), version, revision, C.MPFLAGS_ABI_VERSION, C.MPFLAGS_ABI_REVISION)}
})

// LibraryVersion returns the release of the linked library, as in "0.1.0".
func LibraryVersion() string { return text(C.mpflags_version()) }

func newNative(config string) (native, error) {
	if err := checked(); err != nil {
		return native{}, err
	}
	var client *C.mpflags_client
	var failure *C.mpflags_error
	pointer, length := in(config)
	status := C.mpflags_client_new(pointer, length, &client, &failure)
	return native{client, C.MPFLAGS_ENCODING_BINARY}, failed(status, &failure)
}

// timeouts returns the time limits as configured, or the library's defaults.
func (n native) timeouts() (initial, request, shutdown time.Duration) {
	limit := func(which C.uint32_t) time.Duration {
		return time.Duration(C.mpflags_client_timeout(n.client, which)) * time.Millisecond
	}
	return limit(C.MPFLAGS_TIMEOUT_INIT), limit(C.MPFLAGS_TIMEOUT_REQUEST), limit(C.MPFLAGS_TIMEOUT_SHUTDOWN)
}

func (n native) start() error {
	var failure *C.mpflags_error
	return failed(C.mpflags_client_start(n.client, &failure), &failure)
}

func (n native) waitReady(ms uint32) error {
	var failure *C.mpflags_error
	return failed(C.mpflags_client_wait_ready(n.client, C.uint32_t(ms), &failure), &failure)
}

func (n native) refresh(ms uint32) error {
	var failure *C.mpflags_error
	return failed(C.mpflags_client_refresh(n.client, C.uint32_t(ms), &failure), &failure)
}

func (n native) state() State { return state(int32(C.mpflags_client_state(n.client))) }

func (n native) shutdown(ms uint32) (uint64, error) {
	var failure *C.mpflags_error
	var lost C.uint64_t
	status := C.mpflags_client_shutdown(n.client, C.uint32_t(ms), &lost, &failure)
	return uint64(lost), failed(status, &failure)
}

func (n native) flush(ms uint32) (uint64, error) {
	var failure *C.mpflags_error
	var left C.uint64_t
	status := C.mpflags_client_flush(n.client, C.uint32_t(ms), &left, &failure)
	return uint64(left), failed(status, &failure)
}

func (n native) free() { C.mpflags_client_free(n.client) }

// packed evaluates with one call into C. It returns an answer (odd), a pointer for takeOutcome (even), or 0 on failure.
func (n native) packed(flag string, context []byte, options EvaluateOption) uint64 {
	key, length := in(flag)
	return uint64(C.mpflags_client_evaluate_packed(n.client, key, length,
		(*C.char)(unsafe.Pointer(unsafe.SliceData(context))), C.size_t(len(context)),
		C.uint32_t(options)|C.uint32_t(n.encoding)<<24))
}

// evaluate is like packed with a time limit. Without an exposure it keeps the evaluation, for trackExposure.
func (n native) evaluate(flag string, context []byte, options EvaluateOption, ms uint32) (*outcome, *exposable, error) {
	var evaluation *C.mpflags_evaluation
	var failure *C.mpflags_error
	key, length := in(flag)
	status := C.mpflags_client_evaluate_encoded(n.client, key, length,
		(*C.char)(unsafe.Pointer(unsafe.SliceData(context))), C.size_t(len(context)), C.int32_t(n.encoding),
		C.uint32_t(options&0xFF), C.uint32_t(options>>8), C.uint32_t(ms), &evaluation, &failure)
	if err := failed(status, &failure); err != nil {
		return nil, nil, err
	}
	if options&WithoutExposure == 0 {
		return takeEvaluation(evaluation), nil, nil
	}
	kept := &exposable{evaluation: evaluation}
	runtime.AddCleanup(kept, func(e *C.mpflags_evaluation) { C.mpflags_evaluation_free(e) }, evaluation)
	return readEvaluation(evaluation), kept, nil
}

// takeOutcome reads and frees an evaluation that packed returned.
func takeOutcome(packed uint64) *outcome {
	return takeEvaluation((*C.mpflags_evaluation)(fromNumber(packed)))
}

// answer returns the outcome that an answer stands for, or nil if the flag's definition has been replaced.
func (n native) answer(flag string, answer uint64) *outcome {
	key, length := in(flag)
	evaluation := C.mpflags_client_answer(n.client, key, length, C.uint64_t(answer))
	if evaluation == nil {
		return nil
	}
	return takeEvaluation(evaluation)
}

// exposable is a native evaluation, kept for trackExposure and freed when it is collected.
type exposable struct {
	evaluation *C.mpflags_evaluation
	// The owner, if evaluateAll made it.
	all *evaluations
}

type evaluations struct {
	handle *C.mpflags_evaluations
}

// evaluateAll calls each with the outcome of every flag. It reads an outcome only if known does not have the answer.
func (n native) evaluateAll(context []byte, ms uint32, known func(uint64) *outcome,
	each func(flag string, of *outcome, source *exposable)) error {
	user, err := n.context(context)
	if err != nil {
		return err
	}
	defer C.mpflags_context_free(user)
	var failure *C.mpflags_error
	var all *C.mpflags_evaluations
	status := C.mpflags_client_evaluate_all(n.client, user, 0, C.uint32_t(ms), &all, &failure)
	if err := failed(status, &failure); err != nil {
		return err
	}
	owner := &evaluations{handle: all}
	runtime.AddCleanup(owner, func(e *C.mpflags_evaluations) { C.mpflags_evaluations_free(e) }, all)
	count := int(C.mpflags_evaluations_count(all))
	var answers []uint64
	if count > 0 { // the pointer of an empty array is not one that unsafe.Slice takes
		answers = unsafe.Slice((*uint64)(C.mpflags_evaluations_answers(all)), count)
	}
	for i := range count {
		evaluation := C.mpflags_evaluations_at(all, C.size_t(i))
		of := known(answers[i])
		if of == nil {
			of = readEvaluation(evaluation)
		}
		each(text(C.mpflags_evaluation_key(evaluation)), of, &exposable{evaluation: evaluation, all: owner})
	}
	code, message := int32(C.mpflags_evaluations_failure(all)), text(C.mpflags_evaluations_message(all))
	runtime.KeepAlive(owner)
	if code != C.MPFLAGS_ERROR_NONE {
		return &EvaluationError{Code: errorCode(code), Message: message}
	}
	return nil
}

func (n native) trackExposure(source *exposable) error {
	var failure *C.mpflags_error
	status := C.mpflags_client_track_exposure(n.client, source.evaluation, &failure)
	runtime.KeepAlive(source)
	return failed(status, &failure)
}

func (n native) track(event, distinctID, properties string) error {
	var failure *C.mpflags_error
	name, nameLength := in(event)
	user, userLength := in(distinctID)
	with, withLength := in(properties)
	return failed(C.mpflags_client_track(n.client, name, nameLength, user, userLength, with, withLength, &failure), &failure)
}

func (n native) peopleUpdate(operation, distinctID, value string) error {
	var failure *C.mpflags_error
	verb, verbLength := in(operation)
	user, userLength := in(distinctID)
	with, withLength := in(value)
	status := C.mpflags_client_people_update(n.client, verb, verbLength, user, userLength, with, withLength, &failure)
	return failed(status, &failure)
}

func (n native) groupUpdate(operation, groupKey, groupID, value string) error {
	var failure *C.mpflags_error
	verb, verbLength := in(operation)
	key, keyLength := in(groupKey)
	id, idLength := in(groupID)
	with, withLength := in(value)
	status := C.mpflags_client_group_update(n.client, verb, verbLength, key, keyLength, id, idLength, with, withLength, &failure)
	return failed(status, &failure)
}

func (n native) setOverride(flag, value string) error {
	var failure *C.mpflags_error
	key, keyLength := in(flag)
	json, jsonLength := in(value)
	return failed(C.mpflags_client_set_override(n.client, key, keyLength, json, jsonLength, &failure), &failure)
}

func (n native) clearOverride(flag string) error {
	var failure *C.mpflags_error
	key, length := in(flag)
	return failed(C.mpflags_client_clear_override(n.client, key, length, &failure), &failure)
}

func (n native) statistics() (string, error) {
	var failure *C.mpflags_error
	var out *C.mpflags_text
	if err := failed(C.mpflags_client_statistics(n.client, &out, &failure), &failure); err != nil {
		return "", err
	}
	defer C.mpflags_text_free(out)
	return text(C.mpflags_text_view(out)), nil
}

func (n native) explain(flag string, context []byte) (string, error) {
	user, err := n.context(context)
	if err != nil {
		return "", err
	}
	defer C.mpflags_context_free(user)
	var failure *C.mpflags_error
	var out *C.mpflags_text
	key, length := in(flag)
	if err := failed(C.mpflags_client_explain(n.client, key, length, user, &out, &failure), &failure); err != nil {
		return "", err
	}
	defer C.mpflags_text_free(out)
	return text(C.mpflags_text_view(out)), nil
}

// next waits for an item. It returns neither an item nor an error if none came in time, or if its kind is unknown.
func (n native) next(ms uint32) (Item, error) {
	var failure *C.mpflags_error
	var item *C.mpflags_item
	status := C.mpflags_client_next_item(n.client, C.uint32_t(ms), &item, &failure)
	if status == C.MPFLAGS_TIMEOUT {
		C.mpflags_error_free(failure)
		return nil, nil
	}
	if err := failed(status, &failure); err != nil {
		return nil, err
	}
	defer C.mpflags_item_free(item)
	var fields C.mpflags_go_item
	C.mpflags_go_read_item(item, &fields)
	switch fields.kind {
	case C.MPFLAGS_ITEM_LOG:
		return LogItem{Level: level(int32(fields.level)), Message: text(fields.message)}, nil
	case C.MPFLAGS_ITEM_STATE:
		return StateItem{State: state(int32(fields.state)), Message: text(fields.message)}, nil
	case C.MPFLAGS_ITEM_CHANGE:
		keys := make([]string, fields.keys)
		for i := range keys {
			keys[i] = text(C.mpflags_item_key(item, C.size_t(i)))
		}
		return ChangeItem{Flags: keys}, nil
	case C.MPFLAGS_ITEM_EVENT:
		return EventItem{JSON: []byte(text(fields.event))}, nil
	}
	return nil, nil
}

func (n native) context(encoded []byte) (*C.mpflags_context, error) {
	var failure *C.mpflags_error
	var context *C.mpflags_context
	status := C.mpflags_context_new_encoded((*C.char)(unsafe.Pointer(unsafe.SliceData(encoded))), C.size_t(len(encoded)),
		C.int32_t(n.encoding), &context, &failure)
	return context, failed(status, &failure)
}

// takeEvaluation reads and frees an evaluation.
func takeEvaluation(evaluation *C.mpflags_evaluation) *outcome {
	defer C.mpflags_evaluation_free(evaluation)
	return readEvaluation(evaluation)
}

func readEvaluation(evaluation *C.mpflags_evaluation) *outcome {
	var fields C.mpflags_go_evaluation
	C.mpflags_go_read_evaluation(evaluation, &fields)
	of := &outcome{
		answer: uint64(fields.answer), kind: kind(fields.kind), assigned: bool(fields.has_value), reason: reason(int32(fields.reason)),
		boolean: bool(fields.boolean), integer: int64(fields.integer), number: float64(fields.number),
		text: text(fields.text), json: text(fields.json), variant: text(fields.variant),
		tester: bool(fields.tester), experiment: text(fields.experiment), active: active(int32(fields.active)),
		contextKey: text(fields.context_key), metadata: text(fields.metadata),
	}
	if of.kind == kindObject || of.kind == kindArray {
		of.object = decoded(of.json)
	}
	if fields.code != C.MPFLAGS_ERROR_NONE {
		of.err = &EvaluationError{Code: errorCode(int32(fields.code)), Flag: text(fields.flag), Message: text(fields.message)}
	} else {
		of.note = text(fields.message)
	}
	return of
}

// in passes a string to a call. A string holds no Go pointers and the library keeps none, as cgo requires.
func in(s string) (*C.char, C.size_t) {
	return (*C.char)(unsafe.Pointer(unsafe.StringData(s))), C.size_t(len(s))
}

// text copies a string of the library.
func text(s C.mpflags_str) string {
	return string(unsafe.Slice((*byte)(unsafe.Pointer(s.ptr)), int(s.len)))
}

// fromNumber converts a number back to the native pointer that it is. The memory is not Go's.
func fromNumber(number uint64) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(&number))
}

// failed takes a pointer: in failed(call(&failure), failure), Go may read failure before the call sets it.
func failed(status C.mpflags_status, failure **C.mpflags_error) error {
	if status == C.MPFLAGS_OK {
		return nil
	}
	defer C.mpflags_error_free(*failure)
	return &Error{kind: errorKind(int32(status)), message: text(C.mpflags_error_message(*failure))}
}
