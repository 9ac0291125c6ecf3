package tests

import (
	"context"
	"slices"
	"testing"

	otelhooks "github.com/open-feature/go-sdk-contrib/hooks/open-telemetry/pkg"
	"github.com/open-feature/go-sdk/openfeature"
	"github.com/open-feature/go-sdk/openfeature/telemetry"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// The flag is bucketed by the company, not by the user.
const company = `{"flags": [{"key": "f", "context": "company_id", "project_id": 4242, "ruleset": {"variants": [{"key": "on", "value": true, "split": 1}],
	"rollout": [{"rollout_percentage": 1}]}}]}`

// described adds the evaluation event of the SDK's package telemetry to the current span.
type described struct{ openfeature.UnimplementedHook }

func (described) Finally(ctx context.Context, flag openfeature.HookContext, details openfeature.InterfaceEvaluationDetails, _ openfeature.HookHints) {
	event := telemetry.CreateEvaluationEvent(flag, details)
	var attributes []attribute.KeyValue
	for key, value := range event.Attributes {
		if text, ok := value.(string); ok {
			attributes = append(attributes, attribute.String(key, text))
		}
	}
	oteltrace.SpanFromContext(ctx).AddEvent("described", oteltrace.WithAttributes(attributes...))
}

// tracing adds the variant, the user and the project to the current span.
func tracing() openfeature.Hook {
	return otelhooks.NewTracesHook(otelhooks.WithTracesAttributeSetter(func(metadata openfeature.FlagMetadata) []attribute.KeyValue {
		id, _ := metadata.GetString("contextId")
		project, _ := metadata.GetString("flagSetId")
		return []attribute.KeyValue{attribute.String("feature_flag.context.id", id), attribute.String("feature_flag.set.id", project)}
	}))
}

// OpenFeature's hooks for OpenTelemetry report the value that the flag was bucketed by, and the project.
func TestOpenTelemetry(t *testing.T) {
	s := newScene(t)
	s.server.Serve(company)
	if err := s.api.SetProviderAndWait(background, s.provider()); err != nil {
		t.Fatal(err)
	}
	exporter, reader := tracetest.NewInMemoryExporter(), metric.NewManualReader()
	traces, metrics := trace.NewTracerProvider(trace.WithSyncer(exporter)), metric.NewMeterProvider(metric.WithReader(reader))
	defer func() { _, _ = traces.Shutdown(background), metrics.Shutdown(background) }()
	counting, err := otelhooks.NewMetricsHookForProvider(metrics, otelhooks.WithFlagMetadataDimensions(
		otelhooks.DimensionDescription{Key: "contextId", Type: otelhooks.String}, otelhooks.DimensionDescription{Key: "flagSetId", Type: otelhooks.String}))
	if err != nil {
		t.Fatal(err)
	}
	s.client.AddHooks(tracing(), counting, described{})

	wanted := []string{"acme", "initech", "acme", "7"}
	for i, id := range []any{"acme", "initech", "acme", 7} {
		ctx, span := traces.Tracer("test").Start(background, "request")
		user := openfeature.NewEvaluationContext("user-1", map[string]any{"distinct_id": "user-1", "company_id": id})
		if !s.client.Boolean(ctx, "f", false, user) {
			t.Fatal("no value")
		}
		span.End()
		events := exporter.GetSpans()[i].Events
		if len(events) != 2 || events[0].Name != "feature_flag.evaluation" {
			t.Fatalf("%+v", events)
		}
		for _, event := range events {
			for _, want := range []attribute.KeyValue{
				attribute.String("feature_flag.key", "f"), attribute.String("feature_flag.provider.name", "mixpanel-provider"),
				attribute.String("feature_flag.result.variant", "on"), attribute.String("feature_flag.set.id", "4242"),
				attribute.String("feature_flag.context.id", wanted[i]),
			} {
				if !slices.Contains(event.Attributes, want) {
					t.Errorf("%s of %v lacks %v: %v", event.Name, id, want, event.Attributes)
				}
			}
		}
	}

	var collected metricdata.ResourceMetrics
	if err := reader.Collect(background, &collected); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int64{}
	for _, one := range collected.ScopeMetrics[0].Metrics {
		if sum, ok := one.Data.(metricdata.Sum[int64]); ok && one.Name == "feature_flag.evaluation_success_total" {
			for _, point := range sum.DataPoints {
				id, _ := point.Attributes.Value("contextId")
				project, _ := point.Attributes.Value("flagSetId")
				counts[id.AsString()+" in "+project.AsString()] = point.Value
			}
		}
	}
	if counts["acme in 4242"] != 2 || counts["initech in 4242"] != 1 || counts["7 in 4242"] != 1 {
		t.Error(counts)
	}
}
