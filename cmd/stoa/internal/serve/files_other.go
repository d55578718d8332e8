//go:build !linux && !darwin

package serve

// raiseFileLimit returns zero, for unknown. Windows has no limit of open files
// per process, and other systems are not supported.
func raiseFileLimit() uint64 { return 0 }
