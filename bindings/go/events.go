//go:build cgo

package mpflags

import (
	"encoding/json"
	"fmt"
	"maps"
	"runtime"
	"time"
)

// TrackExposure queues an exposure for an evaluation made with [WithoutExposure] or by [Client.EvaluateAll]. Call it when
// the user sees the variant. The same exposure is reported once within exposure_window_ms.
//
// It fails with [ErrInvalidArgument] if the evaluation has reported its exposure itself, if it has no variant or a
// [TypeMismatch], or if its context had no distinct_id; with [ErrQueueFull], and with [ErrClosed].
func (c *Client) TrackExposure(evaluation Evaluation) error {
	if evaluation.source == nil {
		return newError(ErrInvalidArgument, "TrackExposure needs an evaluation made with WithoutExposure or by EvaluateAll")
	}
	return c.call(func(n native) error { return n.trackExposure(evaluation.source) })
}

// Track queues an event. If the user is unknown, pass an empty distinctID and the property "$device_id". Two properties
// replace values that the library would set: "time", a [time.Time] or a number of seconds or milliseconds since 1970, and
// "$insert_id", 1 to 36 ASCII letters, digits or "-".
//
// It fails with [ErrInvalidArgument] if the name is empty, if there is neither a distinctID nor a "$device_id", if "time"
// or "$insert_id" is invalid, or if the properties cannot be represented in JSON; with [ErrQueueFull], and with
// [ErrClosed].
func (c *Client) Track(event, distinctID string, properties map[string]any) error {
	properties, err := timed(properties)
	if err != nil {
		return err
	}
	json, err := argument("properties", properties)
	if err != nil {
		return err
	}
	return c.call(func(n native) error { return n.track(event, distinctID, json) })
}

// timed returns the properties with a time.Time in "time" converted to milliseconds since 1970, as Mixpanel expects it.
func timed(properties map[string]any) (map[string]any, error) {
	if properties == nil {
		return map[string]any{}, nil
	}
	var at time.Time
	switch value := properties["time"].(type) {
	case time.Time:
		at = value
	case *time.Time:
		if value == nil {
			return nil, newError(ErrInvalidArgument, "properties: `time` is a nil *time.Time: omit it, or set it to the time of the event")
		}
		at = *value
	default:
		return properties, nil
	}
	if at.UnixMilli() < 0 {
		return nil, newError(ErrInvalidArgument, fmt.Sprintf("properties: `time`: %s is before 1970, which Mixpanel rejects", at.Format(time.RFC3339)))
	}
	properties = maps.Clone(properties)
	properties["time"] = at.UnixMilli()
	return properties, nil
}

// PeopleUpdate queues a change to a user's profile. The operations $set, $set_once, $add, $append, $union and $remove
// take a map, $unset takes a slice of names, and $delete takes nil. It fails like [Client.Track].
func (c *Client) PeopleUpdate(operation, distinctID string, value any) error {
	json, err := argument("value", value)
	if err != nil {
		return err
	}
	return c.call(func(n native) error { return n.peopleUpdate(operation, distinctID, json) })
}

// GroupUpdate queues a change to the profile of a group: all users and events whose property groupKey, such as company, is
// groupID. The operations are those of [Client.PeopleUpdate] without $add and $append. It fails like [Client.Track].
func (c *Client) GroupUpdate(operation, groupKey, groupID string, value any) error {
	json, err := argument("value", value)
	if err != nil {
		return err
	}
	return c.call(func(n native) error { return n.groupUpdate(operation, groupKey, groupID, json) })
}

// SetOverride makes a flag return value for every user, regardless of its definition. It is meant for tests and tools.
func (c *Client) SetOverride(flag string, value any) error {
	json, err := argument("override of `"+flag+"`", value)
	if err != nil {
		return err
	}
	return c.call(func(n native) error { return n.setOverride(flag, json) })
}

// ClearOverride removes a flag's override, including one from [WithOverrides]. It does nothing if there is none.
func (c *Client) ClearOverride(flag string) error {
	return c.call(func(n native) error { return n.clearOverride(flag) })
}

// Statistics has the client's state, its definitions, and counts of events since it was made: what a health page shows.
// docs/operations.md describes the members.
type Statistics struct {
	State State `json:"state"`
	// Definitions is nil for a remote client.
	Definitions       *Definitions `json:"definitions"`
	Enqueued          uint64       `json:"enqueued"`
	Sent              uint64       `json:"sent"`
	Deduplicated      uint64       `json:"deduplicated"`
	WithoutDistinctID uint64       `json:"without_distinct_id"`
	QueueLength       uint64       `json:"queue_length"`
	// Hosts has the hosts of several in [WithAPIHost], in that order; it is empty for one.
	Hosts []HostStatistics `json:"hosts"`
	// RemoteInFlight is the number of remote evaluations in progress, including abandoned ones.
	RemoteInFlight uint64 `json:"remote_in_flight"`
	// UnusableAttributes counts evaluations whose context had an unusable attribute.
	UnusableAttributes uint64 `json:"unusable_attributes"`
	// UnknownFlags counts evaluations of flags that are not among the definitions.
	UnknownFlags uint64 `json:"unknown_flags"`
	// TypeMismatches counts evaluations whose variant is not of the type asked for.
	TypeMismatches uint64      `json:"type_mismatches"`
	Dropped        Dropped     `json:"dropped"`
	Unsupported    Unsupported `json:"unsupported"`
	// LastError is nil if sending has never failed.
	LastError *LastError `json:"last_error"`
}

// Definitions describes the definitions that a client evaluates.
type Definitions struct {
	// Flags is the number of flags, including malformed ones; 0 without definitions.
	Flags     uint64    `json:"flags"`
	Malformed Malformed `json:"malformed"`
	// ETag is empty if the definitions have none.
	ETag string `json:"etag"`
	// PolledMilliseconds is the time of the last successful poll in milliseconds since 1970. AgeMilliseconds is how old the
	// definitions may be: the time since then, plus CachedMilliseconds, for which a cache had kept the response. All are 0
	// before the first.
	PolledMilliseconds int64 `json:"last_poll"`
	AgeMilliseconds    int64 `json:"age_ms"`
	CachedMilliseconds int64 `json:"cached_ms"`
	// LastPollError is nil if no poll has failed. It stays after a success: compare the times.
	LastPollError *LastError `json:"last_poll_error"`
}

// Polled returns the time of the last successful poll; the zero time before the first.
func (d Definitions) Polled() time.Time {
	if d.PolledMilliseconds == 0 {
		return time.Time{}
	}
	return time.UnixMilli(d.PolledMilliseconds)
}

// Age returns how old the definitions may be: the time since the last successful poll, plus the time for which a cache had
// kept the response. It is 0 before the first.
func (d Definitions) Age() time.Duration { return time.Duration(d.AgeMilliseconds) * time.Millisecond }

// HostStatistics describes one of several hosts.
type HostStatistics struct {
	Host string `json:"host"`
	// Failed is whether requests go to other hosts for now.
	Failed bool `json:"failed"`
	// Failures is the number of requests that it failed.
	Failures uint64 `json:"failures"`
}

// Malformed lists the flags that were rejected.
type Malformed struct {
	Count uint64 `json:"count"`
	// Reasons has a line for each of the first 64.
	Reasons []string `json:"reasons"`
}

// Unsupported lists the operators and restrictions in flags that the library does not support.
type Unsupported struct {
	// Count is the number of such flags.
	Count uint64 `json:"count"`
	// Flags holds their names by flag key, for the first 64 flags.
	Flags map[string][]string `json:"flags"`
}

// Dropped counts lost events by cause.
type Dropped struct {
	QueueFull uint64 `json:"queue_full"`
	Rejected  uint64 `json:"rejected"`
	Shutdown  uint64 `json:"shutdown"`
}

// LastError is the last failure to send events or to fetch definitions.
type LastError struct {
	Message string `json:"message"`
	// Milliseconds since 1970.
	Milliseconds int64 `json:"time"`
}

// Time returns the time of the failure.
func (e LastError) Time() time.Time { return time.UnixMilli(e.Milliseconds) }

// Statistics returns the client's state and counters.
func (c *Client) Statistics() (Statistics, error) {
	var statistics Statistics
	err := c.call(func(n native) error {
		text, err := n.statistics()
		if err != nil {
			return err
		}
		return json.Unmarshal([]byte(text), &statistics)
	})
	return statistics, err
}

// argument returns the JSON of an argument; what names it in the error.
func argument(what string, value any) (string, error) {
	json, err := encoded(value)
	if err != nil {
		return "", newError(ErrInvalidArgument, fmt.Sprintf("%s: %v", what, err))
	}
	return json, nil
}

// call enters the client for a call that is short and not on the hot path.
func (c *Client) call(with func(native) error) error {
	own := c.own()
	defer runtime.KeepAlive(own)
	if !own.core.calls.enter(0) {
		return own.core.closed()
	}
	defer own.core.calls.exit(0)
	return with(own.core.native)
}
