// Package memlimit reads how much memory this process may use.
//
// The bounds are the machine's memory, the limits of the control groups of the
// process, and the soft limit of Go's runtime. It reads files of the system and
// nothing else.
package memlimit
