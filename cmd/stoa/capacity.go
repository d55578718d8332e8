package main

import (
	"math"

	"github.com/stoa-io/stoa/node"
)

const (
	// What an idle connection in a namespace and a room costs: the process'
	// memory, as the benchmarks measure it, and the kernel's for its socket.
	processBytesPerConnection = 700
	kernelBytesPerConnection  = 4 << 10
	bytesPerConnection        = processBytesPerConnection + kernelBytesPerConnection

	// The same where goroutines serve the connection, without and with TLS.
	bytesPerStream    = 9_000 + kernelBytesPerConnection
	bytesPerTLSStream = 12_500 + kernelBytesPerConnection

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
	each   uint64 // bytes that a connection takes; 0: bytesPerConnection
}

// measureCapacity raises the limit of open files as far as it may and returns
// what is there for connections of this kind.
func measureCapacity(transport node.Transport, secure bool) capacity {
	c := capacity{files: raiseFileLimit(), memory: availableMemory()}
	switch {
	case secure:
		c.each = bytesPerTLSStream
	case transport == node.TransportStream:
		c.each = bytesPerStream
	}
	return c
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
	return c.memory / c.perConnection()
}

func (c capacity) perConnection() uint64 {
	if c.each != 0 {
		return c.each
	}
	return bytesPerConnection
}

func (c capacity) connections() uint64 { return min(c.byFiles(), c.byMemory()) }

func (c capacity) filesAreLow() bool { return c.files != 0 && c.files < lowFileLimit }
