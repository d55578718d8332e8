//go:build !linux

package serve

// availableMemory returns zero, for unknown. The standard library has no
// interface for it on other systems.
func availableMemory() uint64 { return 0 }
