package local

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// hasten lets this process go before all ordinary ones, where that is allowed
// (it takes CAP_SYS_NICE): a job that keeps every processor busy must not
// delay its own kill, which it otherwise can by a tenth of a second. A
// supervisor sleeps nearly always. Threads made later inherit it.
func hasten() {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	for _, task := range tasks {
		if id, err := strconv.Atoi(task.Name()); err == nil {
			schedule(id, unix.SCHED_RR, 1)
		}
	}
}

// relax makes the calling thread ordinary again, and so what it starts.
func relax() { schedule(0, unix.SCHED_NORMAL, 0) }

func schedule(thread int, policy, priority uint32) {
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: policy, Priority: priority}
	unix.SchedSetAttr(thread, &attr, 0)
}
