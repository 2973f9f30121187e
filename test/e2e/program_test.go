package e2e

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// program is what jobs run: it leaves its traces a thousand times a second.
func program(name string) int {
	file, err := os.OpenFile(os.Getenv("E2E_TRACES"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	set := func(which int, value int64) {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], uint64(value))
		file.WriteAt(b[:], int64(8*which))
	}
	leave := func(which int) { set(which, time.Now().UnixNano()) }
	set(pid, int64(os.Getpid()))
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	leave(beginning)
	fmt.Println("began, resumed:", os.Getenv("PURSER_RESUMED") == "1")
	if name == "checkpoint" && os.Getenv("PURSER_RESUMED") == "1" {
		leave(beat)
		fmt.Println("done")
		return 0
	}
	last, longest := time.Now(), time.Duration(0)
	for limit := time.After(lifetime()); ; {
		leave(beat)
		if name == "freezer" {
			syscall.Kill(os.Getppid(), syscall.SIGSTOP)
		}
		if d := time.Since(last); d > longest {
			longest = d
			set(gap, int64(d))
		}
		last = time.Now()
		select {
		case <-term:
			leave(told)
			fmt.Println("told to end")
			if name == "checkpoint" {
				os.WriteFile(os.Getenv("PURSER_CHECKPOINT_FILE"), []byte("saved"), 0o600)
				leave(beat)
				return 0
			}
		case <-limit:
			leave(beat)
			return 0
		case <-time.After(time.Millisecond):
		}
	}
}

// lifetime is how long a program works that nobody ends.
func lifetime() time.Duration {
	d, err := time.ParseDuration(os.Getenv("E2E_LIFETIME"))
	if err != nil {
		return 10 * time.Minute
	}
	return d
}
