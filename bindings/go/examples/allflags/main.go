// Allflags evaluates every flag for one user, without OpenFeature, and prints each result with its reason.
//
//	allflags URL TOKEN
package main

import (
	"context"
	"fmt"
	"log"
	"maps"
	"os"
	"slices"

	"github.com/mpflags/mpflags/bindings/go"
)

func main() {
	client, err := mpflags.New(os.Args[2], mpflags.WithAPIHost(os.Args[1]))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx := context.Background()
	if err := client.Start(ctx); err != nil {
		log.Fatal(err)
	}
	if err := client.WaitReady(ctx); err != nil {
		log.Fatal(err)
	}
	all, err := client.EvaluateAll(ctx, mpflags.Context{"distinct_id": "user-1"})
	if err != nil {
		log.Fatal(err)
	}
	for _, flag := range slices.Sorted(maps.Keys(all)) {
		e := all[flag]
		fmt.Printf("%-18s %-10s %-16s %s %v\n", flag, e.Variant(), e.Reason(), e.JSON(), e.Err())
	}
	// EvaluateAll reports no exposures. Report the variants that the user sees.
	if err := client.TrackExposure(all["button-color"]); err != nil {
		log.Fatal(err)
	}
}
