// Package probe measures how long a server takes to answer GET /healthz.
//
// net/http answers it on Go's scheduler, so the latency shows whether
// goroutines starve next to busy loops. The probe itself waits in read(2), not
// in Go's poller, which keeps its own scheduler out of the measurement.
//
// Run is the main function of the process. The package imports internal/load
// and its rawnet. It exists on Linux only.
package probe
