package main

import "math"

const (
	// What an idle connection in a namespace and a room costs: the process'
	// memory, as the benchmarks measure it, and the kernel's for its socket.
	processBytesPerConnection = 700
	kernelBytesPerConnection  = 4 << 10
	bytesPerConnection        = processBytesPerConnection + kernelBytesPerConnection

	// Descriptors that are not connections: listeners, pollers, the log, requests
	// for pages and metrics.
	reservedFiles = 64

	// Below this limit of open files it is usually forgotten configuration.
	lowFileLimit = 10_000
)

// capacity is what the machine has room for. Zero means unknown or unlimited.
type capacity struct {
	files  uint64 // limit of open files
	memory uint64 // bytes that the system can still give
}

// measureCapacity raises the limit of open files as far as it may and returns
// what is there.
func measureCapacity() capacity {
	return capacity{files: raiseFileLimit(), memory: availableMemory()}
}

// byFiles returns how many connections the descriptors allow.
func (c capacity) byFiles() uint64 {
	if c.files == 0 {
		return math.MaxUint64
	}
	return c.files - min(c.files, reservedFiles)
}

// byMemory returns how many idle connections the memory allows.
func (c capacity) byMemory() uint64 {
	if c.memory == 0 {
		return math.MaxUint64
	}
	return c.memory / bytesPerConnection
}

func (c capacity) connections() uint64 { return min(c.byFiles(), c.byMemory()) }

func (c capacity) filesAreLow() bool { return c.files != 0 && c.files < lowFileLimit }
