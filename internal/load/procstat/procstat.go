//go:build linux

package procstat

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
// clock. The high part is the complement of the process ID: see
// clock_getcpuclockid(3).
const clockProcessCPU = 2

// CPUTime returns the user and system time that all threads of a process have
// used so far. /proc/PID/stat has it too, but only in hundredths of a second.
func CPUTime(pid int) (time.Duration, error) {
	var now syscall.Timespec
	_, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, uintptr(^pid<<3|clockProcessCPU), uintptr(unsafe.Pointer(&now)), 0)
	if errno != 0 {
		return 0, fmt.Errorf("procstat: CPU time of process %d: %w", pid, errno)
	}
	return time.Duration(now.Nano()), nil
}

// CPUTimes reads the clocks of several processes in direct succession.
func CPUTimes(pids []int) ([]time.Duration, error) {
	times := make([]time.Duration, len(pids))
	for i, pid := range pids {
		var err error
		if times[i], err = CPUTime(pid); err != nil {
			return nil, err
		}
	}
	return times, nil
}

// Memory is the memory of a process in bytes, as /proc/PID/status has it.
type Memory struct {
	RSS       int64
	Anonymous int64 // the part of RSS outside the program file: heap, stacks
}

func memoryOf(pid int) (Memory, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Memory{}, err
	}
	var m Memory
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
	return 0, fmt.Errorf("procstat: no %s in /proc/PID/status", name)
}

// Settle waits until the process is idle and its memory is stable, and returns
// that memory. This needs three samples in a row, half a second apart, between
// which RSS changes by less than 64 KiB and the process uses less than one
// percent of a CPU. Settle gives up after limit.
func Settle(pid int, limit time.Duration) (Memory, error) {
	const (
		interval = 500 * time.Millisecond
		slack    = 64 << 10
		samples  = 3
	)
	var last Memory
	var lastCPU time.Duration
	calm := 0
	for deadline := time.Now().Add(limit); ; time.Sleep(interval) {
		now, err := memoryOf(pid)
		if err != nil {
			return now, err
		}
		cpu, err := CPUTime(pid)
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
			return now, fmt.Errorf("procstat: process %d did not become idle within %v", pid, limit)
		}
		last, lastCPU = now, cpu
	}
}
