package main

import (
	"bufio"
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// availableMemory returns how many bytes the system can still give to this
// process; zero means unknown. It is the kernel's estimate for the machine
// (proc(5), MemAvailable), or what the process' control groups leave, if less.
func availableMemory() uint64 {
	machine, ok := machineMemory("/proc/meminfo")
	if !ok {
		return 0
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return machine
	}
	return min(machine, cgroupMemory("/sys/fs/cgroup", own))
}

func machineMemory(path string) (uint64, bool) {
	file, err := os.Open(path)
	if err != nil {
		return 0, false
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) >= 2 && fields[0] == "MemAvailable:" {
			kilobytes, err := strconv.ParseUint(fields[1], 10, 54)
			return kilobytes << 10, err == nil
		}
	}
	return 0, false
}

// cgroupMemory returns the least that the process' control group and those above
// it leave. Only version 2 is looked at: a group is one directory there, named by
// the line "0::/path" of own, the content of /proc/self/cgroup.
func cgroupMemory(root string, own []byte) uint64 {
	left := uint64(math.MaxUint64)
	for line := range bytes.Lines(own) {
		group, ok := strings.CutPrefix(strings.TrimSpace(string(line)), "0::/")
		if !ok {
			continue
		}
		// A path above the root of a container's namespace starts with "..".
		for !strings.HasPrefix(group, "..") {
			left = min(left, groupMemory(filepath.Join(root, group)))
			if group == "" || group == "." {
				break
			}
			group = filepath.Dir(group)
		}
	}
	return left
}

// groupMemory returns what one group leaves; a group without a limit has the word
// "max" in memory.max, which is not a number.
func groupMemory(directory string) uint64 {
	limit, errLimit := readUint(filepath.Join(directory, "memory.max"))
	used, errUsed := readUint(filepath.Join(directory, "memory.current"))
	if errLimit != nil || errUsed != nil {
		return math.MaxUint64
	}
	return limit - min(used, limit)
}

func readUint(path string) (uint64, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(content)), 10, 64)
}
