//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
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

// A machine is how the CPUs have spent their time, in ticks.
type machine struct {
	total, steal float64
}

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
		m.total += ticks
		if i == 7 {
			m.steal = ticks
		}
	}
	return m, nil
}

// since tells how much of the CPUs other virtual machines took, the usual reason
// for figures that do not repeat.
func (m machine) since(before machine) string {
	load := "unknown"
	if average, err := os.ReadFile("/proc/loadavg"); err == nil {
		load, _, _ = strings.Cut(string(average), " ")
	}
	return fmt.Sprintf("stolen by the hypervisor: %.1f %% of the CPUs; load average now %s",
		100*(m.steal-before.steal)/max(m.total-before.total, 1), load)
}
