package memlimit

import (
	"bufio"
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Where the kernel describes the machine's memory and the control groups.
const (
	machineFile = "/proc/meminfo"
	ownFile     = "/proc/self/cgroup"
	groupRoot   = "/sys/fs/cgroup"
)

// Available returns the bytes of memory that this process can still use; zero
// means unknown. It is the kernel's estimate for the machine (MemAvailable in
// proc(5)), or the rest of the limits of the control groups, if that is less.
func Available() uint64 {
	machine, ok := machineMemory(machineFile, "MemAvailable:")
	if !ok {
		return 0
	}
	return min(machine, leastOf(ownGroups(), group.left))
}

// systemTotal returns the memory of the machine, or the least limit of the
// control groups.
func systemTotal() uint64 {
	machine, ok := machineMemory(machineFile, "MemTotal:")
	if !ok {
		return 0
	}
	return min(machine, leastOf(ownGroups(), group.limit))
}

func machineMemory(path, field string) (uint64, bool) {
	file, err := os.Open(path)
	if err != nil {
		return 0, false
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) >= 2 && fields[0] == field {
			kilobytes, err := strconv.ParseUint(fields[1], 10, 54)
			return kilobytes << 10, err == nil
		}
	}
	return 0, false
}

// group is a control group: its directory, and the names of its files, which
// depend on the version.
type group struct{ directory, limitFile, usedFile string }

// ownGroups returns the control groups of the process and all above them.
func ownGroups() []group {
	own, err := os.ReadFile(ownFile)
	if err != nil {
		return nil
	}
	return groupsOf(groupRoot, own)
}

// groupsOf returns the groups that the content of /proc/self/cgroup names. In
// version 2 a process is in one group, named by the line "0::/path"; in version
// 1 it has one for memory, "5:memory:/path".
func groupsOf(root string, own []byte) []group {
	var all []group
	for line := range bytes.Lines(own) {
		fields := strings.SplitN(strings.TrimSpace(string(line)), ":", 3)
		if len(fields) < 3 {
			continue
		}
		path, is := strings.CutPrefix(fields[2], "/")
		switch controllers := strings.Split(fields[1], ","); {
		case !is:
		case fields[0] == "0" && fields[1] == "":
			all = appendGroups(all, path, group{root, "memory.max", "memory.current"})
		case slices.Contains(controllers, "memory"):
			all = appendGroups(all, path, group{filepath.Join(root, "memory"), "memory.limit_in_bytes", "memory.usage_in_bytes"})
		}
	}
	return all
}

// appendGroups appends the group with this path below the root, and all above
// it. A path outside of the container's namespace begins with "..". Version 1
// shows a container the path on the host, which does not exist there; its own
// group is the root.
func appendGroups(all []group, path string, root group) []group {
	for !strings.HasPrefix(path, "..") {
		g := root
		g.directory = filepath.Join(root.directory, path)
		all = append(all, g)
		if path == "" || path == "." {
			break
		}
		path = filepath.Dir(path)
	}
	return all
}

func leastOf(groups []group, figure func(group) uint64) uint64 {
	least := uint64(math.MaxUint64)
	for _, g := range groups {
		least = min(least, figure(g))
	}
	return least
}

// limit returns the limit of the group, the largest number if it has none: then
// the file is missing or, in version 2, has the word "max", which fails to
// parse.
func (g group) limit() uint64 {
	limit, err := readUint(filepath.Join(g.directory, g.limitFile))
	if err != nil {
		return math.MaxUint64
	}
	return limit
}

// left returns the memory that the group leaves.
func (g group) left() uint64 {
	limit := g.limit()
	used, err := readUint(filepath.Join(g.directory, g.usedFile))
	if err != nil || limit == math.MaxUint64 {
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
