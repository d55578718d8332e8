//go:build !linux && !darwin

package main

// raiseFileLimit returns zero, for unknown: Windows has no limit of open files
// for each process, and the other systems are not looked at.
func raiseFileLimit() uint64 { return 0 }
