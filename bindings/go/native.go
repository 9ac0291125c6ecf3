package mpflags

/*
#cgo noescape mpflags_client_evaluate_packed
#cgo nocallback mpflags_client_evaluate_packed

#include "mpflags.h"

// What an evaluation tells, read in one crossing. The strings are borrowed from it.
typedef struct {
    int32_t kind, reason, code, active;
    bool has_value, boolean, tester;
    int64_t integer;
    double number;
    uint64_t answer;
    mpflags_str flag, text, json, variant, message, experiment, metadata;
} mpflags_go_told;

static void mpflags_go_tell(const mpflags_evaluation *from, mpflags_go_told *to)
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
}

// What an item tells, likewise.
typedef struct {
    int32_t kind, level, state;
    size_t keys;
    mpflags_str message, event;
} mpflags_go_item;

static void mpflags_go_look(const mpflags_item *from, mpflags_go_item *to)
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
	"unsafe"
)

// native is a client of the library. Its methods are the only code that hands pointers over: strings go in as pointer
// and length, which the library does not keep, and what comes out is copied before its handle is freed. The callers see
// to it that no method runs beside or after free.
type native struct {
	client *C.mpflags_client
}

// checked compares the library that was linked with the header that this package was compiled with.
var checked = sync.OnceValue(func() error {
	version, revision := uint32(C.mpflags_abi_version()), uint32(C.mpflags_abi_revision())
	if version == C.MPFLAGS_ABI_VERSION && revision == C.MPFLAGS_ABI_REVISION {
		return nil
	}
	return &Error{kind: ErrIncompatible, message: fmt.Sprintf(
		"libmpflags %s has ABI version %d, revision %d; this program was compiled for version %d, revision %d: "+
			"install the library and the header of one release, and compile anew (after go clean -cache: Go does not see "+
			"that a header has changed)",
		text(C.mpflags_version()), version, revision, C.MPFLAGS_ABI_VERSION, C.MPFLAGS_ABI_REVISION)}
})

// LibraryVersion tells the release of the library that is linked, as in "0.1.0".
func LibraryVersion() string { return text(C.mpflags_version()) }

func newNative(config string) (native, error) {
	if err := checked(); err != nil {
		return native{}, err
	}
	var client *C.mpflags_client
	var failure *C.mpflags_error
	pointer, length := in(config)
	status := C.mpflags_client_new(pointer, length, &client, &failure)
	return native{client}, failed(status, failure)
}

func (n native) start() error {
	var failure *C.mpflags_error
	return failed(C.mpflags_client_start(n.client, &failure), failure)
}

func (n native) waitReady(ms uint32) error {
	var failure *C.mpflags_error
	return failed(C.mpflags_client_wait_ready(n.client, C.uint32_t(ms), &failure), failure)
}

func (n native) refresh(ms uint32) error {
	var failure *C.mpflags_error
	return failed(C.mpflags_client_refresh(n.client, C.uint32_t(ms), &failure), failure)
}

func (n native) state() State { return state(int32(C.mpflags_client_state(n.client))) }

func (n native) shutdown(ms uint32) (uint64, error) {
	var failure *C.mpflags_error
	var lost C.uint64_t
	status := C.mpflags_client_shutdown(n.client, C.uint32_t(ms), &lost, &failure)
	return uint64(lost), failed(status, failure)
}

func (n native) flush(ms uint32) (uint64, error) {
	var failure *C.mpflags_error
	var left C.uint64_t
	status := C.mpflags_client_flush(n.client, C.uint32_t(ms), &left, &failure)
	return uint64(left), failed(status, failure)
}

func (n native) free() { C.mpflags_client_free(n.client) }

// packed evaluates in one crossing. An odd number is an answer, an even one a pointer for takeOutcome, 0 a failure.
func (n native) packed(flag string, context []byte, ask uint32) uint64 {
	key, length := in(flag)
	return uint64(C.mpflags_client_evaluate_packed(n.client, key, length,
		(*C.char)(unsafe.Pointer(unsafe.SliceData(context))), C.size_t(len(context)), C.uint32_t(ask)))
}

// evaluate is for what packed cannot do: a time limit, and an outcome that is kept for trackExposure.
func (n native) evaluate(flag string, context []byte, as, options, ms uint32, keep bool) (*outcome, *exposable, error) {
	var evaluation *C.mpflags_evaluation
	var failure *C.mpflags_error
	key, length := in(flag)
	status := C.mpflags_client_evaluate_encoded(n.client, key, length,
		(*C.char)(unsafe.Pointer(unsafe.SliceData(context))), C.size_t(len(context)), C.MPFLAGS_ENCODING_JSON,
		C.uint32_t(as), C.uint32_t(options), C.uint32_t(ms), &evaluation, &failure)
	if err := failed(status, failure); err != nil {
		return nil, nil, err
	}
	if !keep {
		defer C.mpflags_evaluation_free(evaluation)
		return told(evaluation), nil, nil
	}
	kept := &exposable{evaluation: evaluation}
	runtime.AddCleanup(kept, func(e *C.mpflags_evaluation) { C.mpflags_evaluation_free(e) }, evaluation)
	return told(evaluation), kept, nil
}

// takeOutcome reads and frees what packed gave.
func takeOutcome(packed uint64) *outcome {
	evaluation := (*C.mpflags_evaluation)(fromNumber(packed))
	defer C.mpflags_evaluation_free(evaluation)
	return told(evaluation)
}

// answer tells what an answer stands for; nil when another definition has taken the flag's place.
func (n native) answer(flag string, answer uint64) *outcome {
	key, length := in(flag)
	evaluation := C.mpflags_client_answer(n.client, key, length, C.uint64_t(answer))
	if evaluation == nil {
		return nil
	}
	defer C.mpflags_evaluation_free(evaluation)
	return told(evaluation)
}

// exposable is what trackExposure needs of an evaluation. It owns native memory, which goes when nobody holds it.
type exposable struct {
	evaluation *C.mpflags_evaluation
	// The evaluations that own it, where it is one of all.
	all *evaluations
}

type evaluations struct {
	handle *C.mpflags_evaluations
}

// evaluateAll gives every flag's outcome to each. known is asked for an answer before an outcome is read.
func (n native) evaluateAll(context []byte, ms uint32, known func(uint64) *outcome,
	each func(flag string, of *outcome, source *exposable)) error {
	var failure *C.mpflags_error
	var user *C.mpflags_context
	status := C.mpflags_context_new_json((*C.char)(unsafe.Pointer(unsafe.SliceData(context))), C.size_t(len(context)),
		&user, &failure)
	if err := failed(status, failure); err != nil {
		return err
	}
	defer C.mpflags_context_free(user)
	var all *C.mpflags_evaluations
	status = C.mpflags_client_evaluate_all(n.client, user, 0, C.uint32_t(ms), &all, &failure)
	if err := failed(status, failure); err != nil {
		return err
	}
	owner := &evaluations{handle: all}
	runtime.AddCleanup(owner, func(e *C.mpflags_evaluations) { C.mpflags_evaluations_free(e) }, all)
	count := int(C.mpflags_evaluations_count(all))
	var answers []uint64
	if count > 0 { // where there are none, the pointer is none to hold
		answers = unsafe.Slice((*uint64)(C.mpflags_evaluations_answers(all)), count)
	}
	for i := range count {
		evaluation := C.mpflags_evaluations_at(all, C.size_t(i))
		of := known(answers[i])
		if of == nil {
			of = told(evaluation)
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
	return failed(status, failure)
}

func (n native) track(event, distinctID, properties string) error {
	var failure *C.mpflags_error
	name, nameLength := in(event)
	user, userLength := in(distinctID)
	with, withLength := in(properties)
	return failed(C.mpflags_client_track(n.client, name, nameLength, user, userLength, with, withLength, &failure), failure)
}

func (n native) peopleUpdate(operation, distinctID, value string) error {
	var failure *C.mpflags_error
	verb, verbLength := in(operation)
	user, userLength := in(distinctID)
	with, withLength := in(value)
	status := C.mpflags_client_people_update(n.client, verb, verbLength, user, userLength, with, withLength, &failure)
	return failed(status, failure)
}

func (n native) setOverride(flag, value string) error {
	var failure *C.mpflags_error
	key, keyLength := in(flag)
	json, jsonLength := in(value)
	return failed(C.mpflags_client_set_override(n.client, key, keyLength, json, jsonLength, &failure), failure)
}

func (n native) clearOverride(flag string) error {
	var failure *C.mpflags_error
	key, length := in(flag)
	return failed(C.mpflags_client_clear_override(n.client, key, length, &failure), failure)
}

func (n native) statistics() (string, error) {
	var failure *C.mpflags_error
	var out *C.mpflags_text
	if err := failed(C.mpflags_client_statistics(n.client, &out, &failure), failure); err != nil {
		return "", err
	}
	defer C.mpflags_text_free(out)
	return text(C.mpflags_text_view(out)), nil
}

func (n native) explain(flag string, context []byte) (string, error) {
	var failure *C.mpflags_error
	var user *C.mpflags_context
	status := C.mpflags_context_new_json((*C.char)(unsafe.Pointer(unsafe.SliceData(context))), C.size_t(len(context)),
		&user, &failure)
	if err := failed(status, failure); err != nil {
		return "", err
	}
	defer C.mpflags_context_free(user)
	var out *C.mpflags_text
	status = C.mpflags_client_explain(n.client, (*C.char)(unsafe.Pointer(unsafe.StringData(flag))), C.size_t(len(flag)),
		user, &out, &failure)
	if err := failed(status, failure); err != nil {
		return "", err
	}
	defer C.mpflags_text_free(out)
	return text(C.mpflags_text_view(out)), nil
}

// next waits for an item. Neither an item nor an error: none came in time, or it is of a kind not known here.
func (n native) next(ms uint32) (Item, error) {
	var failure *C.mpflags_error
	var item *C.mpflags_item
	status := C.mpflags_client_next_item(n.client, C.uint32_t(ms), &item, &failure)
	if status == C.MPFLAGS_TIMEOUT {
		C.mpflags_error_free(failure)
		return nil, nil
	}
	if err := failed(status, failure); err != nil {
		return nil, err
	}
	defer C.mpflags_item_free(item)
	var look C.mpflags_go_item
	C.mpflags_go_look(item, &look)
	switch look.kind {
	case C.MPFLAGS_ITEM_LOG:
		return LogItem{Level: level(int32(look.level)), Message: text(look.message)}, nil
	case C.MPFLAGS_ITEM_STATE:
		return StateItem{State: state(int32(look.state)), Message: text(look.message)}, nil
	case C.MPFLAGS_ITEM_CHANGE:
		keys := make([]string, look.keys)
		for i := range keys {
			keys[i] = text(C.mpflags_item_key(item, C.size_t(i)))
		}
		return ChangeItem{Flags: keys}, nil
	case C.MPFLAGS_ITEM_EVENT:
		return EventItem{JSON: []byte(text(look.event))}, nil
	}
	return nil, nil
}

func told(evaluation *C.mpflags_evaluation) *outcome {
	var told C.mpflags_go_told
	C.mpflags_go_tell(evaluation, &told)
	of := &outcome{
		answer: uint64(told.answer), kind: kind(told.kind), assigned: bool(told.has_value), reason: reason(int32(told.reason)),
		boolean: bool(told.boolean), integer: int64(told.integer), number: float64(told.number),
		text: text(told.text), json: text(told.json), variant: text(told.variant),
		tester: bool(told.tester), hasExperiment: told.experiment.ptr != nil, experiment: text(told.experiment),
		active: active(int32(told.active)), unsupported: unsupported(text(told.metadata)),
	}
	if of.kind == kindObject || of.kind == kindArray {
		of.object = decoded(of.json)
	}
	if told.code != C.MPFLAGS_ERROR_NONE {
		of.err = &EvaluationError{Code: errorCode(int32(told.code)), Flag: text(told.flag), Message: text(told.message)}
	}
	return of
}

// in lends a string to a call. A string holds no pointers, and the library keeps none, so cgo's rules are met.
func in(s string) (*C.char, C.size_t) {
	return (*C.char)(unsafe.Pointer(unsafe.StringData(s))), C.size_t(len(s))
}

// text copies a string out.
func text(s C.mpflags_str) string {
	return string(unsafe.Slice((*byte)(unsafe.Pointer(s.ptr)), int(s.len)))
}

// fromNumber turns the number of a native pointer back into one. The memory is not Go's.
func fromNumber(number uint64) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(&number))
}

func failed(status C.mpflags_status, failure *C.mpflags_error) error {
	if status == C.MPFLAGS_OK {
		return nil
	}
	defer C.mpflags_error_free(failure)
	return &Error{kind: errorKind(int32(status)), message: text(C.mpflags_error_message(failure))}
}
