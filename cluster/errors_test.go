package cluster_test

import (
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/stoa-io/stoa/cluster"
)

func TestErrClosedMatchesThatOfNet(t *testing.T) {
	err := fmt.Errorf("publish: %w", cluster.ErrClosed)
	if !errors.Is(err, net.ErrClosed) || !errors.Is(err, cluster.ErrClosed) {
		t.Errorf("%v does not match cluster.ErrClosed and net.ErrClosed", err)
	}
	if got, want := cluster.ErrClosed.Error(), "cluster: closed"; got != want {
		t.Errorf("the text is %q, want %q", got, want)
	}
	if errors.Is(net.ErrClosed, cluster.ErrClosed) || errors.Is(cluster.ErrStarted, net.ErrClosed) {
		t.Error("other errors match too")
	}
}
