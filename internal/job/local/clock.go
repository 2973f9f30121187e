package local

import (
	"math"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// bootTime is the time since the machine started, suspension included, in
// nanoseconds. Unlike the wall clock nobody can set it, and it is the same
// for every process of the machine.
func bootTime() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic(err) // the kernel is older than 2.6.39
	}
	return t.Nano()
}

// bootID names this start of the machine.
func bootID() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(text))
}

// reading is one moment on two clocks: the server's instant and the boot time.
type reading struct{ server, boot int64 }

// Reading two clocks is good to the time that lies between: a busy machine may
// put the process aside there for many milliseconds.
const (
	closeEnough  = 20 * time.Microsecond
	mostReadings = 20
)

// readClocks reads the server's clock and the boot time in one moment: of
// several readings it is the one that took least.
func readClocks(now func() int64) (best reading) {
	least := int64(math.MaxInt64)
	for n := 0; n < mostReadings && least > int64(closeEnough); n++ {
		before := bootTime()
		server := now()
		if took := bootTime() - before; took < least {
			best, least = reading{server, before + took/2}, took
		}
	}
	return best
}

// clock tells the server's time from the boot time since the last reading
// that came with orders. A wall clock that is set meanwhile changes nothing.
type clock struct {
	mu   sync.Mutex
	last reading
}

// newClock takes the machine's wall clock until the server's is known.
func newClock() *clock {
	return &clock{last: reading{server: time.Now().UnixNano(), boot: bootTime()}}
}

func (c *clock) set(r reading) {
	c.mu.Lock()
	c.last = r
	c.mu.Unlock()
}

// now is the present instant on the server's clock.
func (c *clock) now() int64 { return c.at(bootTime()) }

// at is the instant on the server's clock at a boot time.
func (c *clock) at(boot int64) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last.server + boot - c.last.boot
}

// boot is the boot time at an instant on the server's clock.
func (c *clock) boot(at int64) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return at - c.last.server + c.last.boot
}

// alarm rings at a boot time. It is a timer of the kernel, because those of
// the Go runtime stand still while the machine is suspended and are only good
// to a millisecond.
type alarm struct {
	file *os.File
	ring chan struct{}
}

func newAlarm() (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_BOOTTIME, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	a := &alarm{file: os.NewFile(uintptr(fd), "alarm"), ring: make(chan struct{}, 1)}
	go a.listen()
	return a, nil
}

func (a *alarm) listen() {
	var count [8]byte
	for {
		if _, err := a.file.Read(count[:]); err != nil {
			return // never: it lives as long as the process
		}
		select {
		case a.ring <- struct{}{}:
		default:
		}
	}
}

// set makes the alarm ring once at the boot time, at once if it has passed,
// or never if it is 0. A ring of an earlier setting may still be heard.
func (a *alarm) set(boot int64) {
	if boot < 0 {
		boot = 1
	}
	at := unix.ItimerSpec{Value: unix.NsecToTimespec(boot)}
	if err := unix.TimerfdSettime(int(a.file.Fd()), unix.TFD_TIMER_ABSTIME, &at, nil); err != nil {
		panic(err) // only wrong arguments fail
	}
}
