package tests

import (
	"errors"
	"fmt"
	"testing"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/cdata"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/mpflags/mpflags/bindings/go"
)

const tableDefinitions = `{"flags": [{"key": "plan", "context": "distinct_id", "ruleset": {
	"variants": [{"key": "on", "value": true}], "rollout": [
	{"rollout_percentage": 1, "runtime_evaluation_rule": {"==": [{"var": "plan"}, "pro"]}}]}}]}`

// A table of arrow-go, in two batches, comes back as one.
func TestTable(t *testing.T) {
	client, err := mpflags.New("demo", mpflags.WithEnablePolling(false), mpflags.WithReportExposures(false),
		mpflags.WithDefinitions(tableDefinitions))
	if err != nil {
		t.Fatal(err)
	}
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "distinct_id", Type: arrow.BinaryTypes.String}, {Name: "plan", Type: arrow.BinaryTypes.String}}, nil)
	users := func() *cdata.CArrowArrayStream {
		builder := array.NewRecordBuilder(memory.DefaultAllocator, schema)
		defer builder.Release()
		var batches []arrow.RecordBatch
		for i := range 2 {
			builder.Field(0).(*array.StringBuilder).AppendValues([]string{fmt.Sprint("u", i), "u9"}, nil)
			builder.Field(1).(*array.StringBuilder).AppendValues([]string{"PRO", "free"}, nil)
			batches = append(batches, builder.NewRecordBatch())
		}
		reader, err := array.NewRecordReader(schema, batches)
		if err != nil {
			t.Fatal(err)
		}
		stream := new(cdata.CArrowArrayStream)
		cdata.ExportRecordReader(reader, stream)
		return stream
	}
	results := new(cdata.CArrowArrayStream)
	if err := client.EvaluateTable(unsafe.Pointer(users()), unsafe.Pointer(results), `{"keep": ["distinct_id"]}`); err != nil {
		t.Fatal(err)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	reader, err := cdata.ImportCRecordReader(results, nil)
	if err != nil {
		t.Fatal(err)
	}
	rows := int64(0)
	for {
		batch, err := reader.Read()
		if batch == nil || err != nil {
			break
		}
		rows += batch.NumRows()
		reasons := batch.Column(1).(*array.Struct).Field(2).(*array.Dictionary)
		for row, want := range []string{"TARGETING_MATCH", "DEFAULT"} {
			if got := reasons.Dictionary().(*array.String).Value(reasons.GetValueIndex(row)); got != want {
				t.Errorf("row %d: %s, not %s", row, got, want)
			}
		}
		if id := batch.Column(0).(*array.String).Value(1); id != "u9" {
			t.Error(id)
		}
		batch.Release()
	}
	if rows != 4 {
		t.Errorf("%d rows", rows)
	}

	remote, err := mpflags.New("demo", mpflags.WithRemote())
	if err != nil {
		t.Fatal(err)
	}
	defer remote.Close()
	if err := remote.EvaluateTable(unsafe.Pointer(users()), unsafe.Pointer(results), ""); !errors.Is(err, mpflags.ErrInvalidArgument) {
		t.Error(err)
	}
}
