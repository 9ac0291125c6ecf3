// The program of deadlines/run.py for Go: the client and the OpenFeature provider.
//
//	deadlines URL
package main

// #cgo pkg-config: mpflags
// #include "mpflags.h"
//
// /* A table without columns and rows. */
// static void release_schema(struct ArrowSchema *schema) { schema->release = NULL; }
// static int get_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
// {
//     (void)stream;
//     *out = (struct ArrowSchema){"+s", "", NULL, 0, 0, NULL, NULL, release_schema, NULL};
//     return 0;
// }
// static int get_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
// {
//     (void)stream;
//     out->release = NULL;
//     return 0;
// }
// static const char *get_last_error(struct ArrowArrayStream *stream) { (void)stream; return NULL; }
// static void release_stream(struct ArrowArrayStream *stream) { stream->release = NULL; }
// static void empty(struct ArrowArrayStream *out)
// {
//     *out = (struct ArrowArrayStream){get_schema, get_next, get_last_error, release_stream, NULL};
// }
// static void release(struct ArrowArrayStream *stream) { if (stream->release != NULL) stream->release(stream); }
import "C"

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"sync"
	"time"
	"unsafe"

	"github.com/mpflags/mpflags/bindings/go"
	"github.com/mpflags/mpflags/bindings/go/openfeature"
	of "github.com/open-feature/go-sdk/openfeature"
)

const (
	limit   = 600 * time.Millisecond
	request = 900 * time.Millisecond
	// A ctx that ends before the configured limits do.
	soon = 450 * time.Millisecond
	// For calls that another one ends.
	long = 30 * time.Second
	// How often each local evaluation is measured.
	times = 100

	definitions = `{"flags": [{"key": "f", "context": "distinct_id", "ruleset": {
		"variants": [{"key": "a", "value": true, "split": 1.0}], "rollout": [{"rollout_percentage": 1.0}]}}]}`
)

var (
	url        = os.Args[1]
	background = context.Background()
)

// may says how long a call may take.
type may string

const (
	none       may = "none"
	evaluation may = "evaluation"
)

func within(d time.Duration) may { return may(fmt.Sprint(d.Milliseconds())) }

// measure makes a call, and prints how long it took.
func measure(most may, name string, call func()) {
	begun := time.Now()
	call()
	fmt.Println(string(most), time.Since(begun).Microseconds(), name)
}

// ending makes a call with a ctx that has a deadline.
func ending(most time.Duration, name string, call func(context.Context)) {
	ctx, cancel := context.WithTimeout(background, most)
	defer cancel()
	measure(within(most), name, func() { call(ctx) })
}

func check(err error) {
	if err != nil {
		log.Fatal("deadlines: ", err)
	}
}

func options(more ...mpflags.Option) []mpflags.Option {
	return append([]mpflags.Option{mpflags.WithAPIHost(url), mpflags.WithAllowInsecureHTTP(true), mpflags.WithProxy(""),
		mpflags.WithInitTimeout(limit), mpflags.WithShutdownTimeout(limit), mpflags.WithRequestTimeout(request),
		mpflags.WithLogger(slog.New(slog.DiscardHandler))}, more...)
}

func newClient(more ...mpflags.Option) (client *mpflags.Client) {
	measure(none, "New", func() {
		var err error
		client, err = mpflags.New("t", options(more...)...)
		check(err)
	})
	return client
}

func start(client *mpflags.Client) {
	measure(none, "Client.Start", func() { check(client.Start(background)) })
}

func track(client *mpflags.Client) {
	measure(none, "Client.Track", func() { check(client.Track("E", "u", map[string]any{"a": 1})) })
}

// local makes the calls for which a local client waits. They fail, as nothing responds.
func local() {
	client := newClient()
	start(client)
	waitReady := func(ctx context.Context) { _ = client.WaitReady(ctx) }
	refresh := func(ctx context.Context) { _ = client.Refresh(ctx) }
	flush := func(ctx context.Context) { _, _ = client.Flush(ctx) }
	shutdown := func(ctx context.Context) { _, _ = client.Shutdown(ctx) }

	measure(within(limit), "Client.WaitReady", func() { waitReady(background) })
	ending(soon, "Client.WaitReady", waitReady)
	measure(within(request), "Client.Refresh", func() { refresh(background) })
	ending(soon, "Client.Refresh", refresh)
	track(client)
	measure(within(limit), "Client.Flush", func() { flush(background) })
	ending(soon, "Client.Flush", flush)
	ending(soon, "Client.Shutdown", shutdown)

	// Cancelling ends a call, but not what it does.
	start(client)
	track(client)
	for _, call := range []struct {
		name string
		make func(context.Context)
	}{{"WaitReady", waitReady}, {"Refresh", refresh}, {"Flush", flush}, {"Shutdown", shutdown}} {
		ctx, cancel := context.WithCancel(background)
		time.AfterFunc(soon, cancel)
		measure(within(soon), call.name+" until it is cancelled", func() { call.make(ctx) })
	}
	shutdown(background)
	start(client)
	track(client)
	measure(within(limit), "Client.Shutdown", func() { shutdown(background) })
	check(client.Close())

	client = newClient()
	start(client)
	track(client)
	measure(within(limit), "Client.Close", func() { _ = client.Close() })
}

// busy makes the calls for which a local client does not wait, while goroutines wait in it.
func busy() {
	client := newClient(mpflags.WithDefinitions(definitions))
	start(client)
	track(client)
	var waiting sync.WaitGroup
	for _, call := range []func(context.Context){
		func(ctx context.Context) { _ = client.Refresh(ctx) }, func(ctx context.Context) { _, _ = client.Flush(ctx) }} {
		waiting.Go(func() {
			ctx, cancel := context.WithTimeout(background, long)
			defer cancel()
			call(ctx)
		})
	}
	for i := range times {
		// Another user each time, so that each has an exposure to report.
		evaluate(evaluation, background, client, mpflags.Context{"distinct_id": fmt.Sprint("u", i)})
		table(evaluation, client)
	}
	user := mpflags.Context{"distinct_id": "other"}
	quiet := client.Evaluate(background, "f", user, mpflags.WithoutExposure)
	measure(none, "Client.TrackExposure", func() { check(client.TrackExposure(quiet)) })
	measure(none, "Client.Explain", func() { _, err := client.Explain("f", user); check(err) })
	measure(none, "Client.WaitReady", func() { check(client.WaitReady(background)) })
	start(client)
	measure(none, "Client.State", func() { client.State() })
	measure(none, "Client.Format", func() { _ = fmt.Sprint(client) })
	measure(none, "Client.Remote", func() { client.Remote() })
	measure(none, "Client.TargetingKeyAs", func() { client.TargetingKeyAs() })
	measure(none, "Client.Logger", func() { client.Logger() })
	measure(none, "Client.Statistics", func() { _, err := client.Statistics(); check(err) })
	measure(none, "Client.OnItem", func() { client.OnItem(func(mpflags.Item) {})() })
	measure(none, "Client.SetOverride", func() { check(client.SetOverride("o", true)) })
	measure(none, "Client.ClearOverride", func() { check(client.ClearOverride("o")) })
	measure(none, "Client.PeopleUpdate", func() { check(client.PeopleUpdate("$set", "u", map[string]any{"a": 1})) })
	measure(none, "Client.GroupUpdate", func() { check(client.GroupUpdate("$set", "company", "a", map[string]any{"a": 1})) })

	var provider *openfeature.Provider
	measure(none, "NewProvider", func() { provider = openfeature.NewProvider(client) })
	measure(none, "Provider.Init", func() { check(provider.Init(of.EvaluationContext{})) })
	measure(none, "Provider.InitWithContext", func() { check(provider.InitWithContext(background, of.EvaluationContext{})) })
	for i := range times {
		resolve(evaluation, background, provider, of.FlattenedContext{"distinct_id": fmt.Sprint("p", i)})
	}
	measure(none, "Provider.Client", func() { provider.Client() })
	measure(none, "Provider.String", func() { _ = provider.String() })
	measure(none, "Provider.Metadata", func() { provider.Metadata() })
	measure(none, "Provider.Hooks", func() { provider.Hooks() })
	measure(none, "Provider.EventChannel", func() { provider.EventChannel() })
	trackWith(provider)
	// The program's client keeps running, so this delivers its events only.
	measure(within(limit), "Provider.Shutdown", provider.Shutdown)
	measure(within(limit), "Client.Close", func() { _ = client.Close() })
	waiting.Wait()
}

func remote() {
	client := newClient(mpflags.WithRemote())
	start(client)
	measure(none, "Client.WaitReady", func() { check(client.WaitReady(background)) })
	measure(none, "Client.Refresh", func() { check(client.Refresh(background)) })
	user := mpflags.Context{"distinct_id": "u"}
	evaluate(within(request), background, client, user)
	for _, call := range []func(context.Context){
		func(ctx context.Context) { client.Evaluate(ctx, "f", user) },
		func(ctx context.Context) { _, _ = client.EvaluateAll(ctx, user) }} {
		ending(soon, "remote evaluation with a deadline", call)
		ctx, cancel := context.WithCancel(background)
		time.AfterFunc(soon, cancel)
		measure(within(soon), "remote evaluation until it is cancelled", func() { call(ctx) })
	}
	// It is refused, since it would send a request for each row.
	table(none, client)
	track(client)
	go client.Evaluate(background, "f", user)
	measure(within(limit), "Client.Close", func() { _ = client.Close() })
}

// evaluate evaluates in every way.
func evaluate(most may, ctx context.Context, client *mpflags.Client, user mpflags.Context) {
	measure(most, "Client.Boolean", func() { client.Boolean(ctx, "f", false, user) })
	measure(most, "Client.String", func() { client.String(ctx, "f", "", user) })
	measure(most, "Client.Int", func() { client.Int(ctx, "f", 0, user) })
	measure(most, "Client.Float", func() { client.Float(ctx, "f", 0, user) })
	measure(most, "Client.Object", func() { client.Object(ctx, "f", nil, user) })
	measure(most, "Client.Evaluate", func() { client.Evaluate(ctx, "f", user) })
	measure(most, "Client.EvaluateAll", func() { _, _ = client.EvaluateAll(ctx, user) })
}

func table(most may, client *mpflags.Client) {
	users, results := new(C.struct_ArrowArrayStream), new(C.struct_ArrowArrayStream)
	C.empty(users)
	var err error
	measure(most, "Client.EvaluateTable", func() { err = client.EvaluateTable(unsafe.Pointer(users), unsafe.Pointer(results), "{}") })
	if most == evaluation {
		check(err)
	}
	C.release(results)
}

// resolve evaluates in every way, as OpenFeature's SDK does.
func resolve(most may, ctx context.Context, provider *openfeature.Provider, user of.FlattenedContext) {
	measure(most, "Provider.BooleanEvaluation", func() { provider.BooleanEvaluation(ctx, "f", false, user) })
	measure(most, "Provider.StringEvaluation", func() { provider.StringEvaluation(ctx, "f", "", user) })
	measure(most, "Provider.IntEvaluation", func() { provider.IntEvaluation(ctx, "f", 0, user) })
	measure(most, "Provider.FloatEvaluation", func() { provider.FloatEvaluation(ctx, "f", 0, user) })
	measure(most, "Provider.ObjectEvaluation", func() { provider.ObjectEvaluation(ctx, "f", nil, user) })
}

func trackWith(provider *openfeature.Provider) {
	user := of.NewTargetlessEvaluationContext(map[string]any{"distinct_id": "u"})
	measure(none, "Provider.Track", func() { provider.Track(background, "E", user, of.NewTrackingEventDetails(1)) })
}

// providers makes the calls of providers that have clients of their own.
func providers() {
	var provider *openfeature.Provider
	var err error
	measure(none, "NewLocalProvider", func() { provider, err = openfeature.NewLocalProvider("t", options()...) })
	check(err)
	measure(within(limit), "Provider.Init", func() { _ = provider.Init(of.EvaluationContext{}) })
	ending(soon, "Provider.InitWithContext", func(ctx context.Context) { _ = provider.InitWithContext(ctx, of.EvaluationContext{}) })
	measure(within(limit), "Provider.InitWithContext", func() { _ = provider.InitWithContext(background, of.EvaluationContext{}) })
	trackWith(provider)
	measure(within(limit), "Provider.Shutdown", provider.Shutdown)
	for _, shutdown := range []func(string){
		func(name string) {
			ending(soon, name, func(ctx context.Context) { _ = provider.ShutdownWithContext(ctx) })
		},
		func(name string) {
			measure(within(limit), name, func() { _ = provider.ShutdownWithContext(background) })
		}} {
		start(provider.Client())
		trackWith(provider)
		shutdown("Provider.ShutdownWithContext")
	}

	measure(none, "NewRemoteProvider", func() { provider, err = openfeature.NewRemoteProvider("t", options()...) })
	check(err)
	measure(none, "Provider.Init", func() { check(provider.Init(of.EvaluationContext{})) })
	resolve(within(request), background, provider, of.FlattenedContext{"distinct_id": "u"})
	trackWith(provider)
	measure(within(limit), "Provider.Shutdown", provider.Shutdown)
}

func main() {
	local()
	busy()
	remote()
	providers()
}
