package memlimit

import (
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
)

func TestMachineMemory(t *testing.T) {
	cases := []struct {
		name    string
		content string
		want    uint64
		ok      bool
	}{
		{"usual", "MemTotal:  2048 kB\nMemFree:  10 kB\nMemAvailable:    1024 kB\n", 1 << 20, true},
		{"kernel before 3.14", "MemTotal:  2048 kB\nMemFree:  10 kB\n", 0, false},
		{"garbage", "MemAvailable: much kB\n", 0, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "meminfo")
			write(t, path, c.content)
			if got, ok := machineMemory(path, "MemAvailable:"); got != c.want || ok != c.ok {
				t.Errorf("got %d, %t, want %d, %t", got, ok, c.want, c.ok)
			}
		})
	}
	if _, ok := machineMemory(filepath.Join(t.TempDir(), "missing"), "MemAvailable:"); ok {
		t.Error("no error for a missing file")
	}
}

func TestGroups(t *testing.T) {
	const none = math.MaxUint64
	root := t.TempDir()
	create := func(path, limitFile, limit, usedFile, used string) {
		directory := filepath.Join(root, path)
		if err := os.MkdirAll(directory, 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(directory, limitFile), limit+"\n")
		write(t, filepath.Join(directory, usedFile), used+"\n")
	}
	version2 := func(path, limit, used string) { create(path, "memory.max", limit, "memory.current", used) }
	version2("outer", "1000", "400")
	version2("outer/unlimited", "max", "100")
	version2("outer/narrow", "500", "200")
	version2("outer/full", "500", "600")
	version1 := func(path, limit, used string) {
		create(filepath.Join("memory", path), "memory.limit_in_bytes", limit, "memory.usage_in_bytes", used)
	}
	version1("", "9223372036854771712", "5000")
	version1("old", "2000", "500")
	version1("old/narrow", "800", "300")
	cases := []struct {
		name        string
		own         string
		limit, left uint64
	}{
		{"own limit", "0::/outer/narrow\n", 500, 300},
		{"limit of the group above", "0::/outer/unlimited\n", 1000, 600},
		{"nothing left", "0::/outer/full\n", 500, 0},
		{"root", "0::/\n", none, none},
		{"outside of the namespace", "0::/../other\n", none, none},
		{"unknown group", "0::/elsewhere\n", none, none},
		{"version 1", "6:cpu,cpuacct:/\n5:memory:/old/narrow\n", 800, 500},
		{"version 1, limit of the group above", "5:memory:/old/other\n", 2000, 1500},
		{"version 1 in a container", "5:hugetlb,memory:/host/path\n", 9223372036854771712, 9223372036854771712 - 5000},
		{"both versions", "5:memory:/old\n0::/outer/narrow\n", 500, 300},
		{"garbage", "memory\n\n:::\n5:memory\n5:memory:old\n0:", none, none},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			groups := groupsOf(root, []byte(c.own))
			if limit, left := leastOf(groups, group.limit), leastOf(groups, group.left); limit != c.limit || left != c.left {
				t.Errorf("a limit of %d of which %d are left, want %d and %d", limit, left, c.limit, c.left)
			}
		})
	}
}

func TestAvailable(t *testing.T) {
	total := Total()
	if got := Available(); got == 0 || got > total {
		t.Errorf("%d available bytes of %d are implausible", got, total)
	}
	if total == 0 || total > 1<<50 {
		t.Errorf("%d bytes in total are implausible", total)
	}
}

// The limit of Go's runtime counts, too.
func TestSoftLimit(t *testing.T) {
	before := debug.SetMemoryLimit(64 << 20)
	defer debug.SetMemoryLimit(before)
	if got := Total(); got != 64<<20 {
		t.Errorf("%d bytes in total, want the soft limit", got)
	}
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
