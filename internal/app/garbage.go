package app

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// minGrowth is how many bytes memory grows by at least before garbage is collected. Go
// collects when it has doubled: that is often, and costs a quarter of the processor, in a
// busy server that holds little.
const minGrowth = 40 << 20

// CollectSeldom adapts that to what the process holds, until ctx ends; GOGC in the
// environment goes before it.
func CollectSeldom(ctx context.Context) error {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	debug.FreeOSMemory() // what was needed to start is not needed to go on
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for was := 0; ; {
		metrics.Read(live)
		if percent := growth(live[0].Value.Uint64()); percent != was {
			debug.SetGCPercent(percent)
			was = percent
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(5 * time.Second):
		}
	}
}

// growth is by how many percent of what it holds a process may grow.
func growth(live uint64) int {
	const least, most = 100, 1000
	return int(min(max(minGrowth*100/max(live, 1), least), most))
}
