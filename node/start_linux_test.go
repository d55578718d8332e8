package node_test

import (
	"os"
	"syscall"
	"testing"

	"github.com/stoa-io/stoa/internal/testkit"
)

// A node whose start fails for want of descriptors is closed, and says so.
func TestStartWithoutDescriptors(t *testing.T) {
	before := testkit.CountResources()
	n := newNode(t, nil)
	if err := n.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	next, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	low := old
	low.Cur = uint64(next.Fd()) + 2
	if err := next.Close(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	served := n.Serve()
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if served == nil || n.Ready(t.Context()) == nil || n.Serve() == nil {
		t.Errorf("Serve: %v, then Ready: %v; want errors", served, n.Ready(t.Context()))
	}
	if err := n.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := before.AwaitAtMost(); err != nil {
		t.Error(err)
	}
}
