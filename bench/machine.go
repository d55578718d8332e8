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

// machineName is the processor and the kernel, as far as /proc tells.
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

// A machine is how its CPUs have spent their time since it started, in seconds.
type machine struct {
	total, idle, steal float64
	own                float64 // this process and its children that have ended
}

// ticksPerSecond is the unit of /proc/stat, fixed by the kernel's interface.
const ticksPerSecond = 100

func readMachine() (machine, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return machine{}, err
	}
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	// cpu user nice system idle iowait irq softirq steal; guest time is part of user.
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

// between returns which part of the CPUs other programs and other virtual machines
// took, in per cent: the usual reasons for figures that do not repeat. All
// children of the time between have to have ended.
func (m machine) between(later machine) (others, stolen float64) {
	total := max(later.total-m.total, 1.0/ticksPerSecond)
	stolen = later.steal - m.steal
	others = total - (later.idle - m.idle) - stolen - (later.own - m.own)
	return 100 * max(others, 0) / total, 100 * stolen / total
}
