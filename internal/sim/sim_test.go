package sim

import (
	"flag"
	"os"
	"testing"
	"testing/cryptotest"
	"time"
)

var (
	seed  = flag.Uint64("seed", 0, "play only this seed")
	steps = flag.Int("steps", 0, "play so many steps of a seed")
	seeds = flag.Int("seeds", 0, "play so many seeds")
)

// memory is a directory in memory, where there is one: the disk is not what is
// tested here.
func memory(t *testing.T) string {
	t.Helper()
	if _, err := os.Stat("/dev/shm"); err != nil {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp("/dev/shm", "purser-sim-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// play plays a configuration, with ids that come from its seed.
func play(t *testing.T, c Config) (Report, error) {
	t.Helper()
	cryptotest.SetGlobalRandom(t, c.Seed)
	c.Dir = memory(t)
	return Run(t.Context(), c)
}

func TestSimulation(t *testing.T) {
	begin := time.Now()
	r, err := play(t, Config{Seed: *seed, Steps: *steps})
	t.Logf("%+v in %s", r, time.Since(begin))
	if err != nil {
		t.Fatal(err)
	}
}
