//go:build linux || darwin

package serve

import (
	"syscall"
	"testing"
)

func TestFileLimitIsRaised(t *testing.T) {
	got := raiseFileLimit()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if got != 0 && got != limit.Cur {
		t.Errorf("got %d, and the limit is %d", got, limit.Cur)
	}
	if again := raiseFileLimit(); again != got {
		t.Errorf("the second time it is %d instead of %d", again, got)
	}
}
