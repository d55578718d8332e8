//go:build !race

package archtest_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestNodeNeedsNoBrokerOfAServer lists what a program over package node
// compiles with the memory broker.
func TestNodeNeedsNoBrokerOfAServer(t *testing.T) {
	command := exec.Command("go", "list", "-deps", "./node")
	command.Dir = top
	output, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for name := range strings.Lines(string(output)) {
		if strings.Contains(name, "redis") {
			t.Errorf("package node depends on %s", strings.TrimSpace(name))
		}
	}
}
