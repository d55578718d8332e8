//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

// clockProcessCPU is the low part of a clock number that names a process's CPU
// clock; the rest is the complement of its id (see clock_getcpuclockid(3)).
const clockProcessCPU = 2

// cpuTime is what the process has used so far, user and system, all its threads,
// in nanoseconds where /proc/PID/stat counts hundredths of a second.
func cpuTime(pid int) (time.Duration, error) {
	var now syscall.Timespec
	_, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, uintptr(^pid<<3|clockProcessCPU), uintptr(unsafe.Pointer(&now)), 0)
	if errno != 0 {
		return 0, fmt.Errorf("cpu time of process %d: %w", pid, errno)
	}
	return time.Duration(now.Nano()), nil
}

// cpuTimes reads the clocks of several processes, one directly after the other.
func cpuTimes(pids []int) ([]time.Duration, error) {
	times := make([]time.Duration, len(pids))
	for i, pid := range pids {
		var err error
		if times[i], err = cpuTime(pid); err != nil {
			return nil, err
		}
	}
	return times, nil
}

// A memory is what /proc/PID/status says about a process, in bytes.
type memory struct {
	RSS       int64
	Anonymous int64 // the part of RSS that is not the program file: heap, stacks
}

func memoryOf(pid int) (memory, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return memory{}, err
	}
	var m memory
	if m.RSS, err = statusField(status, "VmRSS:"); err != nil {
		return m, err
	}
	m.Anonymous, err = statusField(status, "RssAnon:")
	return m, err
}

// statusField finds a line like "VmRSS:	   5432 kB" and returns bytes.
func statusField(status []byte, name string) (int64, error) {
	for line := range bytes.Lines(status) {
		fields := bytes.Fields(line)
		if len(fields) == 3 && string(fields[0]) == name && string(fields[2]) == "kB" {
			kilobytes, err := strconv.ParseInt(string(fields[1]), 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, fmt.Errorf("bench: no %s in /proc/PID/status", name)
}

// settle waits until the process is idle and its memory stable: three samples in
// a row, half a second apart, in which RSS moved by less than 64 KiB and the
// process used less than one per cent of a CPU. It gives up after limit.
func settle(pid int, limit time.Duration) (memory, error) {
	const (
		interval = 500 * time.Millisecond
		slack    = 64 << 10
		samples  = 3
	)
	var last memory
	var lastCPU time.Duration
	calm := 0
	for deadline := time.Now().Add(limit); ; time.Sleep(interval) {
		now, err := memoryOf(pid)
		if err != nil {
			return now, err
		}
		cpu, err := cpuTime(pid)
		if err != nil {
			return now, err
		}
		if now.RSS-last.RSS < slack && last.RSS-now.RSS < slack && cpu-lastCPU < interval/100 {
			calm++
		} else {
			calm = 0
		}
		if calm == samples {
			return now, nil
		}
		if time.Now().After(deadline) {
			return now, fmt.Errorf("bench: process %d did not come to rest in %v", pid, limit)
		}
		last, lastCPU = now, cpu
	}
}
