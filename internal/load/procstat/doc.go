// Package procstat reads the resource usage of a process.
//
// CPU time comes from the process's CPU clock, which counts nanoseconds. Memory
// comes from /proc/PID/status. The package uses the standard library only and
// exists on Linux only.
package procstat
