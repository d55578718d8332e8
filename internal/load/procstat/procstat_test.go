//go:build linux

package procstat

import "testing"

func TestStatusField(t *testing.T) {
	if got, err := statusField([]byte("Name:\tx\nVmRSS:\t    5 kB\n"), "VmRSS:"); err != nil || got != 5<<10 {
		t.Errorf("statusField: %v, %v; want 5120", got, err)
	}
}
