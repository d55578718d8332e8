//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// machineName returns the processor and the kernel from /proc.
func machineName() string {
	processor := "unknown processor"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == "model name" {
				processor = strings.TrimSpace(value)
				break
			}
		}
	}
	kernel := "unknown"
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel = strings.TrimSpace(string(release))
	}
	return fmt.Sprintf("%d × %s, Linux %s", runtime.NumCPU(), processor, kernel)
}

// A machine holds how the CPUs have spent their time since boot, in seconds.
type machine struct {
	total, idle, steal float64
	own                float64 // this process and its terminated children
}

// ticksPerSecond is the unit of /proc/stat, which the kernel's ABI fixes.
const ticksPerSecond = 100

func readMachine() (machine, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return machine{}, err
	}
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	// cpu user nice system idle iowait irq softirq steal; guest time is part of
	// user.
	fields := strings.Fields(string(line))
	if len(fields) < 9 {
		return machine{}, fmt.Errorf("bench: /proc/stat: %q", line)
	}
	var m machine
	for i, field := range fields[1:9] {
		ticks, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return machine{}, fmt.Errorf("bench: /proc/stat: %w", err)
		}
		m.total += ticks / ticksPerSecond
		switch i {
		case 3, 4:
			m.idle += ticks / ticksPerSecond
		case 7:
			m.steal = ticks / ticksPerSecond
		}
	}
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var usage syscall.Rusage
		if err := syscall.Getrusage(who, &usage); err != nil {
			return machine{}, os.NewSyscallError("getrusage", err)
		}
		m.own += time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
	}
	return m, nil
}

// between returns the percentage of the CPUs that other programs and other
// virtual machines used: the usual reasons for results that cannot be repeated.
// All child processes started since m must have terminated.
func (m machine) between(later machine) (others, stolen float64) {
	total := max(later.total-m.total, 1.0/ticksPerSecond)
	stolen = later.steal - m.steal
	others = total - (later.idle - m.idle) - stolen - (later.own - m.own)
	return 100 * max(others, 0) / total, 100 * stolen / total
}
