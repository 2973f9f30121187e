package app

import (
	"context"
	"math"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"
)

// Memory grows by so many bytes at least before garbage is collected: by a sixteenth of what
// there is, within these bounds. Go collects when it has doubled: that is often, and costs a
// quarter of the processor, in a busy server that holds little.
const (
	leastGrowth = 32 << 20
	mostGrowth  = 128 << 20
)

// CollectSeldom adapts that to what the process holds, until ctx ends; GOGC in the
// environment goes before it.
func CollectSeldom(ctx context.Context) error {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	debug.FreeOSMemory() // what was needed to start is not needed to go on
	room := min(max(memory()/16, leastGrowth), mostGrowth)
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for was := 0; ; {
		metrics.Read(live)
		if percent := growth(live[0].Value.Uint64(), room); percent != was {
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

// growth is by how many percent of what it holds a process may grow, which has so much room.
func growth(live, room uint64) int {
	const least, most = 100, 1000
	return int(min(max(room*100/max(live, 1), least), most))
}

// memory is how many bytes this process may use: what the machine has, or what its container
// is allowed; 0 where neither can be read.
func memory() uint64 {
	if n := min(uint64(debug.SetMemoryLimit(-1)), allowed(), total()); n < math.MaxInt64 {
		return n
	}
	return 0
}

// allowed is the limit of the control group.
func allowed() uint64 {
	text, err := os.ReadFile("/sys/fs/cgroup/memory.max")
	if err != nil {
		return math.MaxInt64
	}
	return number(string(text), 1)
}

// total is the memory of the machine.
func total() uint64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return math.MaxInt64
	}
	_, rest, _ := strings.Cut(string(text), "MemTotal:")
	return number(rest, 1024)
}

// number is the one that a text begins with, in a unit; the largest if there is none.
func number(text string, unit uint64) uint64 {
	if words := strings.Fields(text); len(words) > 0 {
		if n, err := strconv.ParseUint(words[0], 10, 64); err == nil && n <= math.MaxInt64/unit {
			return n * unit
		}
	}
	return math.MaxInt64
}
