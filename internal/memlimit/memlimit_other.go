//go:build !linux

package memlimit

// Available returns zero, for unknown. The standard library has no interface
// for it on other systems.
func Available() uint64 { return 0 }

func systemTotal() uint64 { return 0 }
