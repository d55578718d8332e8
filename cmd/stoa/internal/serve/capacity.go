package serve

import (
	"math"

	"github.com/stoa-io/stoa/config"
	"github.com/stoa-io/stoa/internal/memlimit"
	"github.com/stoa-io/stoa/node"
)

const (
	// The memory of an idle connection in a namespace and a room: in the
	// process, as the benchmarks measure it, and in the kernel for its socket.
	processBytesPerConnection = 700
	kernelBytesPerConnection  = 4 << 10
	bytesPerConnection        = processBytesPerConnection + kernelBytesPerConnection

	// The same with the blocking transport, without and with TLS.
	bytesPerBlocking = 9_000 + kernelBytesPerConnection
	bytesPerTLS      = 12_500 + kernelBytesPerConnection

	// A lower limit of open files is usually a forgotten configuration.
	lowFileLimit = 10_000
)

// capacity is the resources of the machine. Zero means unknown or unlimited.
type capacity struct {
	files  uint64 // limit of open files
	held   uint64 // connections that the node holds at most, which files allow
	memory uint64 // available bytes
	each   uint64 // bytes per connection; 0: bytesPerConnection
}

// measureCapacity raises the limit of open files to its maximum and returns the
// capacity for connections of this kind.
func measureCapacity(conf *config.Config) capacity {
	c := capacity{files: raiseFileLimit(), memory: memlimit.Available()}
	switch {
	case conf.TLS.Cert != "":
		c.each = bytesPerTLS
	case conf.Listen.Transport == node.TransportBlocking.String():
		c.each = bytesPerBlocking
	}
	return c
}

// byFiles returns the number of connections that the descriptors allow.
func (c capacity) byFiles() uint64 {
	if c.files == 0 {
		return math.MaxUint64
	}
	return c.held
}

// byMemory returns the number of idle connections that the memory allows.
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
