// Allflags evaluates every flag for one user, without OpenFeature, and tells what each gave and why.
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
	all, err := client.AllVariants(ctx, mpflags.Context{"distinct_id": "user-1"})
	if err != nil {
		log.Fatal(err)
	}
	for _, flag := range slices.Sorted(maps.Keys(all)) {
		v := all[flag]
		fmt.Printf("%-18s %-10s %-16s %s %v\n", flag, v.Name(), v.Reason(), v.JSON(), v.Err())
	}
	// Asking for all flags reports nothing: report what the user is shown.
	if err := client.TrackExposure(all["button-color"]); err != nil {
		log.Fatal(err)
	}
}
