//go:build !linux

package main

import (
	"fmt"
	"os"
	"runtime"
)

func main() {
	fmt.Fprintf(os.Stderr, "bench: needs Linux (epoll, CPU affinity, /proc); this is %s\n", runtime.GOOS)
	os.Exit(2)
}
