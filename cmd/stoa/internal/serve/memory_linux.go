package serve

import (
	"bufio"
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// availableMemory returns the bytes of memory that this process can still use;
// zero means unknown. It is the kernel's estimate for the machine (MemAvailable
// in proc(5)), or the rest of the limits of the control groups, if that is
// less.
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

// cgroupMemory returns the minimum that the control group of the process and
// its parents leave. It supports version 2, where a group is one directory,
// named by the line "0::/path" in own, the content of /proc/self/cgroup.
func cgroupMemory(root string, own []byte) uint64 {
	left := uint64(math.MaxUint64)
	for line := range bytes.Lines(own) {
		group, ok := strings.CutPrefix(strings.TrimSpace(string(line)), "0::/")
		if !ok {
			continue
		}
		// A path outside of the container's namespace begins with "..".
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

// groupMemory returns the memory that one group leaves. Without a limit
// memory.max contains the word "max", which fails to parse.
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
