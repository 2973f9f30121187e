package local

import (
	"fmt"
	"os"
	"time"
)

// output carries what the command writes into the log, up to a limit. Beyond
// it says so, once, and lets the command go on writing into nothing: a job
// must not hang or die because it talks too much.
type output struct {
	read, write *os.File // a pipe: the command gets the writing end as both stdout and stderr
	log         *os.File
	left        int64
	carrying    bool
	done        chan struct{}
}

// openOutput opens the log for appending.
func (f folder) openOutput(limit int64) (*output, error) {
	log, err := os.OpenFile(f.file("log"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		log.Close()
		return nil, err
	}
	return &output{read: read, write: write, log: log, left: limit, done: make(chan struct{})}, nil
}

// carry runs until nobody can write any more.
func (o *output) carry() {
	defer close(o.done)
	buffer := make([]byte, 64<<10)
	for {
		n, err := o.read.Read(buffer)
		o.keep(buffer[:n])
		if err != nil {
			return
		}
	}
}

func (o *output) keep(text []byte) {
	if len(text) == 0 || o.left < 0 {
		return
	}
	if int64(len(text)) <= o.left {
		o.left -= int64(len(text))
		if _, err := o.log.Write(text); err != nil {
			o.cut(fmt.Sprintf("the log could not be written: %v", err))
		}
		return
	}
	o.log.Write(text[:o.left])
	o.cut("the log of this run reached its size limit")
}

// cut ends the log with a notice, as far as that can be written.
func (o *output) cut(why string) {
	o.left = -1
	fmt.Fprintf(o.log, "\n[purser: %s; what follows is not kept]\n", why)
}

// started leaves the writing end to the command alone.
func (o *output) started() {
	o.write.Close()
	o.carrying = true
	go o.carry()
}

// finish waits until everything written has reached the log, and the log the
// disk. The writers are dead by now; the wait is bounded nevertheless.
func (o *output) finish(limit time.Duration) {
	if !o.carrying {
		o.started()
	}
	select {
	case <-o.done:
	case <-time.After(limit):
	}
	o.read.Close()
	o.log.Sync()
	o.log.Close()
}
