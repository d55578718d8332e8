//go:build !unix

package netpoll

// DescriptorLimit returns 0: other systems have no such limit.
func DescriptorLimit() int { return 0 }

// NextDescriptor is for systems with a limit.
func NextDescriptor() int { return 0 }
