package app

import (
	"github.com/purserhq/purser/internal/job"
	"github.com/purserhq/purser/internal/job/local"
)

// ParseCapacity reads what the local executor offers, as in
// "gpu.h100=8,cpu.vcpu=64". An empty text is no limit.
func ParseCapacity(text string) (job.Capacity, error) { return job.ParseCapacity(text) }

// Supervise runs a job in its directory as the local executor has it run, in a
// process of its own, and returns the exit status of that process.
func Supervise(dir string) int { return local.Supervise(dir) }
