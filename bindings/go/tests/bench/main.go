// Bench compares the Go provider with mixpanel-go, interleaved in one run. It prints a JSON object per line.
//
// Each runs in a separate process, since mixpanel-go keeps its definitions on Go's heap, which would slow down our garbage
// collections too.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

const (
	rounds = 21
	calls  = 20_000
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// figure is one line of the output.
type figure struct {
	Figure  string    `json:"figure"`
	Samples []float64 `json:"samples"`
	Unit    string    `json:"unit"`
	Goal    *float64  `json:"goal"`
	AtLeast bool      `json:"at_least"`
	Against string    `json:"against"`
}

func goal(number float64) *float64 { return &number }

// child is the process of one side.
type child struct {
	in    io.WriteCloser
	out   *bufio.Reader
	cases []string
	wait  func() error
}

func start(side string) *child {
	command := exec.Command(os.Args[0], side)
	command.Stderr = os.Stderr
	in, err := command.StdinPipe()
	must(err)
	out, err := command.StdoutPipe()
	must(err)
	must(command.Start())
	c := &child{in: in, out: bufio.NewReader(out), wait: command.Wait}
	c.cases = strings.Split(c.line(), ",")
	return c
}

func (c *child) line() string {
	line, err := c.out.ReadString('\n')
	must(err)
	return strings.TrimSpace(line)
}

func (c *child) measure(name string) float64 {
	_, err := fmt.Fprintln(c.in, name)
	must(err)
	number, err := strconv.ParseFloat(c.line(), 64)
	must(err)
	return number
}

func main() {
	if len(os.Args) == 2 {
		serve(map[string]func() map[string]func() float64{"ours": ours, "theirs": theirs}[os.Args[1]]())
		return
	}
	sides := []*child{start("ours"), start("theirs")}
	measured := map[string][]float64{}
	for round := range rounds + 1 {
		for _, side := range sides {
			for _, name := range side.cases {
				sample := side.measure(name)
				if round > 0 { // the first one warms up
					measured[name] = append(measured[name], sample)
				}
			}
		}
	}
	for _, side := range sides {
		must(side.in.Close())
		must(side.wait())
	}
	each := func(of func(i int) float64) (samples []float64) {
		for i := range rounds {
			samples = append(samples, of(i))
		}
		return samples
	}
	const peer = "mixpanel-go 2.1.0"
	for _, f := range []figure{
		{"Go provider called directly, eq, new FlattenedContext each call", measured["direct"], "ns", goal(800), false, "limit 720 ns, the context made before"},
		{"mixpanel-go called directly, eq, new FlagContext each call", measured["their direct"], "ns", nil, false, peer},
		{"Go provider called directly, eq, against mixpanel-go", each(func(i int) float64 { return measured["their direct"][i] / measured["direct"][i] }), "x", goal(4.3), true, peer},
		{"the same without the making of the context, which both need", each(func(i int) float64 {
			return (measured["their direct"][i] - measured["their context"][i]) / (measured["direct"][i] - measured["context"][i])
		}), "x", nil, true, peer},
		{"Go provider called directly, eq, context kept", measured["kept"], "ns", goal(300), false, ""},
		{"mixpanel-go called directly, eq, context kept", measured["their kept"], "ns", nil, false, peer},
		{"Go provider called directly, eq, context kept, against mixpanel-go", each(func(i int) float64 { return measured["their kept"][i] / measured["kept"][i] }), "x", goal(9), true, peer},
		{"making the FlattenedContext alone", measured["context"], "ns", nil, false, ""},
		{"Go provider called directly, eq, exposures on, repeat within the window", measured["exposures"], "ns", nil, false, ""},
		{"mixpanel-go called directly, eq, exposures on, a tracker that does nothing", measured["their exposures"], "ns", nil, false, peer},
		{"Go provider through the OpenFeature client, eq", measured["through"], "ns", nil, false, ""},
		{"Go provider, two goroutines against one, evaluations per second", each(func(i int) float64 { return measured["two"][i] / measured["one"][i] }), "x", nil, true, ""},
	} {
		line, err := json.Marshal(f)
		must(err)
		fmt.Println(string(line))
		sorted := slices.Sorted(slices.Values(f.Samples))
		fmt.Fprintf(os.Stderr, "%-80s %10.2f %s\n", f.Figure, sorted[len(sorted)/2], f.Unit)
	}
}
