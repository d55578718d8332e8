package serve

import (
	"math"
	"os"
	"path/filepath"
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
			if got, ok := machineMemory(path); got != c.want || ok != c.ok {
				t.Errorf("got %d, %t, want %d, %t", got, ok, c.want, c.ok)
			}
		})
	}
	if _, ok := machineMemory(filepath.Join(t.TempDir(), "missing")); ok {
		t.Error("no error for a missing file")
	}
}

func TestCgroupMemory(t *testing.T) {
	root := t.TempDir()
	group := func(path, limit, used string) {
		directory := filepath.Join(root, path)
		if err := os.MkdirAll(directory, 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(directory, "memory.max"), limit+"\n")
		write(t, filepath.Join(directory, "memory.current"), used+"\n")
	}
	group("outer", "1000", "400")
	group("outer/unlimited", "max", "100")
	group("outer/narrow", "500", "200")
	group("outer/full", "500", "600")
	cases := []struct {
		name string
		own  string
		want uint64
	}{
		{"own limit", "0::/outer/narrow\n", 300},
		{"limit of the group above", "0::/outer/unlimited\n", 600},
		{"nothing left", "0::/outer/full\n", 0},
		{"root", "0::/\n", math.MaxUint64},
		{"outside of the namespace", "0::/../other\n", math.MaxUint64},
		{"version 1", "5:memory:/outer/narrow\n", math.MaxUint64},
		{"unknown group", "0::/elsewhere\n", math.MaxUint64},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := cgroupMemory(root, []byte(c.own)); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestAvailableMemory(t *testing.T) {
	if got := availableMemory(); got == 0 || got > 1<<50 {
		t.Errorf("%d available bytes are implausible", got)
	}
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
